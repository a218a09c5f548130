"""Builds live files and reads their interval, for the tests of live files."""

import gzip
import math
import time
from datetime import datetime

from anomalake.domain import metric_set_yaml
from anomalake.lake import live_data
from anomalake.lake.object_store import ObjectStore
from examples import shop_text

WALL = datetime(2021, 2, 17, 11)


HEADER = "platform,marketplace,timestamp,views,revenue\n"


GOOD = f"{HEADER}a,us,2021-02-17 11:00:00,1,1\n".encode()


GOOD_VALUES = {("a", "us"): (1.0, 1.0)}


def shop(form="csv", compression="none", charset="UTF-8", **lines):
    source = f"format: {form}\n  compression: {compression}\n  charset: {charset}"
    return metric_set_yaml.parse(shop_text(**lines).replace("format: csv", source), "shop")


def interval_of(item, *files, store=None):
    """Read the interval of these files, with a valid file before them."""
    store = store or ObjectStore.memory()
    good = GOOD
    if item.source.format == "jsonl":
        good = b'{"platform": "a", "marketplace": "us", "timestamp": "2021-02-17 11:00:00", "views": 1, "revenue": 1}\n'
    good = gzip.compress(good) if item.source.compression == "gzip" else good
    for number, data in enumerate((good, *files)):
        store.put(f"shop/live/20210217/1100/{number}", data)
    return live_data.read_interval(store, item, WALL, live_data.list_interval_files(store, item, WALL))


def find_problem(item, data):
    """Return the finding about the file, which must affect only this file."""
    interval = interval_of(item, data)
    assert interval.values == GOOD_VALUES
    assert interval.finding_count == 1
    (finding,) = interval.findings
    assert finding.where.partition(":")[0] == "shop/live/20210217/1100/1"
    return finding.problem


def seconds(work):
    began = time.process_time()
    work()
    return time.process_time() - began


def parse_file(data, item, start=WALL, where="f.csv"):
    """Return the rows of one file, as (series, cells of the measures' columns), and its findings."""
    request = live_data.build_request(item, [start])
    rows, found = live_data.parse_file(data, request, where)
    columns = [
        [None if isinstance(cell, float) and math.isnan(cell) else cell for cell in rows.cells[part].tolist()]
        if part.kind == "number"
        else [rows.texts[part][cell] if cell >= 0 else None for cell in rows.cells[part].tolist()]
        for part in request.inputs
    ]
    series = [rows.known_series[number] for number in rows.series.tolist()]
    cells = zip(*columns, strict=True) if columns else [()] * len(series)
    return list(zip(series, cells, strict=True)), [finding for place in found.first for finding in found.first[place]]
