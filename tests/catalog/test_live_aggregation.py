"""The live view equals `lake.live_data`, for every frequency, folder and aggregation, also where clocks change."""

import csv
import io
import math
import tempfile
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from anomalake.catalog import duckdb_catalog
from anomalake.domain import intervals, metric_set_yaml
from anomalake.domain.metric_set import MetricSet, find_folder_period
from anomalake.lake import live_data, top_values
from anomalake.lake.folder_store import FolderStore
from anomalake.lake.ingest import Message, ingest_messages
from examples import alert_body
from slow_cases import slow_after

# Live columns have names that the tables and views also use.
COUNTER = """
name: counter
frequency: {frequency}
timezone: {zone}
timestamp: {{column: timestamp, format: {format}}}
dimensions: [{{name: place, column: key, top: 2}}, {{name: kind, column: slots}}]
measures:
  - {{name: total, aggregation: SUM, column: value}}
  - {{name: mean, aggregation: AVG, column: value}}
  - {{name: low, aggregation: MIN, column: value}}
  - {{name: high, aggregation: MAX, column: value}}
  - {{name: lines, aggregation: COUNT}}
  - {{name: filled, aggregation: COUNT, column: date}}
  - {{name: buyers, aggregation: COUNT_DISTINCT, column: date}}
  - {{name: share, aggregation: RATIO, numerator: filled, denominator: lines}}
  - {{name: worth, aggregation: RATIO, numerator: total, denominator: buyers}}
missing: {missing}
source:
  path: "counter/{path}"
  format: csv
  columns: [timestamp, value, key, slots, date]
"""
MEASURES = "total, mean, low, high, lines, filled, buyers, share, worth"
# UTC times around the changes of 2021: clocks are set forward, and back. In Lord Howe they move by half an hour, in
# Chatham at 2:45, in Troll by two hours. St. John's had changes at 0:01 until 2011.
CHANGES = {
    "UTC": ("2021-03-14T07:00", "2021-11-07T06:00"),
    "America/New_York": ("2021-03-14T07:00", "2021-11-07T06:00"),
    "America/Havana": ("2021-03-14T05:00", "2021-11-07T05:00"),
    "America/St_Johns": ("2011-03-13T03:31", "2010-11-07T02:31"),
    "America/Sao_Paulo": ("2018-11-04T03:00", "2018-02-18T02:00"),
    "Europe/Berlin": ("2021-03-28T01:00", "2021-10-31T01:00"),
    "Australia/Lord_Howe": ("2021-10-02T15:30", "2021-04-03T15:00"),
    "Pacific/Chatham": ("2021-09-25T14:00", "2021-04-03T14:00"),
    "Antarctica/Troll": ("2021-03-28T01:00", "2021-10-31T01:00"),
}
FOLDERS = (  # for an interval, in the folder of a day or not; for an hour, a day, a month
    "{{yyyyMMdd}}/{{HHmm}}",
    "{{yyyy-MM-dd HHmm}}/in",
    "{{yyyyMMdd}}/{{HH}}",
    "{{yyyyMMddHH}}",
    "{{yyyy}}/{{MM}}/{{dd}}",
    "{{yyyy-MM}}",
)
CELLS = ("", "1", "2.5", "-3", " 4 ", "x", "1e3")


class LiveRow(NamedTuple):
    """A row: where it is in time, its cells, and by how many intervals its file misses the folder it belongs in."""

    minutes: int  # from the change of the clocks
    value: str
    place: str
    kind: str
    buyer: str
    folders_off: int


live_rows = st.lists(
    st.builds(
        LiveRow,
        st.one_of(st.integers(-200, 200), st.integers(-3000, 3000), st.integers(-60_000, 60_000)),
        st.sampled_from(CELLS),
        st.sampled_from(["", "a", "b", "c", "%null", "(other)"]),
        st.sampled_from(["", "pc"]),
        st.sampled_from(["", "ann", "Ann", " ", "7", "7.0"]),
        st.sampled_from([0, 0, 0, 0, 0, 1, -1]),
    ),
    min_size=1,
    max_size=25,
)


def parse_counter(frequency: str, zone: str, path: str, missing: str = "unknown", form: str = "UNIX") -> MetricSet:
    text = COUNTER.format(frequency=frequency, zone=zone, path=path, missing=missing, format=f'"{form}"')
    return metric_set_yaml.parse(text, "counter.yaml")


SETS = [  # every frequency, with every folder in which its intervals fit
    (frequency, path)
    for frequency in intervals.INTERVAL_LENGTHS
    for path in FOLDERS
    if find_folder_period(path, frequency) is not None
]


def write_rows(store: FolderStore, item: MetricSet, rows: list[LiveRow], change: datetime) -> None:
    """Write the rows to the folders of their intervals, or to another folder."""
    files: dict[str, list[list[str]]] = defaultdict(list)
    for row in rows:
        instant = change + timedelta(minutes=row.minutes)
        wall = intervals.to_wall_time(instant, item.timezone)
        stamp = f"{instant.replace(tzinfo=UTC).timestamp():.0f}" if item.clock.absolute else f"{wall:%Y-%m-%d %H:%M:%S}"
        folder = intervals.floor_to_interval(item.clock.wall_time(item.start(instant)), item.folder_period)
        for _ in range(abs(row.folders_off)):
            step = intervals.next_wall_time(folder, item.folder_period) - folder
            folder = intervals.floor_to_interval(folder + step * row.folders_off, item.folder_period)
        cells = [stamp, row.value, row.place, row.kind, row.buyer]
        files[live_data.interval_folder(item, folder)].append(cells)
    for folder_name, lines in files.items():
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows([item.source.columns if item.source else (), *lines])
        store.put(f"{folder_name}/a.csv", text.getvalue().encode())


def read_in_python(store: FolderStore, item: MetricSet, rows: list[LiveRow], change: datetime) -> dict[Any, Any]:
    """Return the values of each interval and series."""
    starts = sorted({item.start(change + timedelta(minutes=row.minutes)) for row in rows})
    folders = defaultdict(list)
    for start in starts:
        wall = intervals.floor_to_interval(item.clock.wall_time(start), item.folder_period)
        folders[live_data.interval_folder(item, wall)].append(start)
    kept = top_values.read_top_values(store, item)
    return {
        (interval.start, *series): values
        for folder, folder_starts in folders.items()
        for interval in live_data.read_intervals(store, item, folder_starts, list(store.list(folder)), kept)
        for series, values in interval.values.items()
    }


def read_view(root: Path, item: MetricSet) -> dict[Any, Any]:
    statement = f'SELECT "timestamp", place, kind, {MEASURES}, "date", "localtimestamp" FROM anomalies_with_live'
    _, rows = duckdb_catalog.query(duckdb_catalog.connect(root, [item], "parquet"), statement)
    assert all(date == f"{start:%Y-%m-%d}" for start, *_, date, _ in rows)
    assert all(wall == intervals.to_wall_time(start, item.timezone) for start, *_, wall in rows)
    found = {row[:3]: row[3:-2] for row in rows}
    assert len(found) == len(rows)
    return found


def assert_equal_values(found: dict[Any, Any], expected: dict[Any, Any]) -> None:
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        assert [value is None for value in found[key]] == [value is None for value in values], key
        for one, other in zip(found[key], values, strict=True):
            assert one is None or math.isclose(one, other, rel_tol=1e-12, abs_tol=1e-12), key


class Case(NamedTuple):
    """A metric set, its rows around a clock change, and the kept values of its first dimension (None: no list)."""

    frequency_and_path: tuple[str, str]
    zone: str
    is_forward: bool
    form: str
    missing: str
    rows: list[LiveRow]
    top: set[str | None] | None


EVERY_MINUTE = [LiveRow(minutes, "1", "a", "", "ann", 0) for minutes in range(-150, 150)]


@given(
    st.builds(
        Case,
        st.sampled_from(SETS),
        st.sampled_from(list(CHANGES)),
        st.booleans(),
        st.sampled_from(["UNIX", "yyyy-MM-dd HH:mm:ss"]),
        st.sampled_from(["zero", "unknown"]),
        live_rows,
        st.one_of(st.none(), st.sets(st.sampled_from([None, "a", "b", "(other)"]), max_size=2)),
    )
)
@example(Case(("PT45M", FOLDERS[0]), "America/New_York", False, "UNIX", "zero", EVERY_MINUTE, None))
def test_the_view_equals_the_values_that_the_detector_reads(case: Case):
    frequency, path = case.frequency_and_path
    item = parse_counter(frequency, case.zone, path, case.missing, case.form)
    change = datetime.fromisoformat(CHANGES[case.zone][0 if case.is_forward else 1])
    with tempfile.TemporaryDirectory() as root:
        store = FolderStore(Path(root))
        write_rows(store, item, case.rows, change)
        if case.top is not None:
            top_values.write_top_values(store, item, {"place": frozenset(case.top)})
        assert_equal_values(read_view(store.root, item), read_in_python(store, item, case.rows, change))


@pytest.mark.parametrize("zone", slow_after(2, CHANGES))
@pytest.mark.parametrize("form", ["UNIX", "yyyy-MM-dd HH:mm:ss"])
def test_every_minute_around_a_clock_change_is_in_the_same_interval_in_both(tmp_path, zone, form):
    rows = [LiveRow(minutes, "1", "a", "", "", 0) for minutes in range(-400, 400)]
    for frequency in ("PT1M", "PT20M", "PT40M", "PT45M", "PT1H", "PT2H", "PT160M", "PT12H", "P1D", "P1W"):
        item = parse_counter(frequency, zone, "{{yyyyMMdd}}", form=form)
        for change in map(datetime.fromisoformat, CHANGES[zone]):
            root = tmp_path / f"{frequency}-{change:%Y%m%d}"
            root.mkdir()
            write_rows(FolderStore(root), item, rows, change)
            assert_equal_values(read_view(root, item), read_in_python(FolderStore(root), item, rows, change))


def alert_of_counter(moment: str) -> str:
    return alert_body(
        "total",
        timestamp=moment,
        series=[({"place": "a", "kind": "pc"}, 9.0)],
        contributions={},
        anomalyDetectorArn="arn:aws:lookoutmetrics:eu-west-1:1:AnomalyDetector:counter",
    )


@pytest.mark.parametrize(
    ("missing", "values"),
    [
        ("zero", (0.0, None, None, None, 0.0, 0.0, 0.0, None, None)),
        ("unknown", (None,) * 9),
    ],
)
def test_an_anomaly_without_live_rows_is_zero_only_if_no_row_means_zero(tmp_path, missing, values):
    item = parse_counter("PT1H", "UTC", FOLDERS[0], missing)
    message = Message("m", alert_of_counter("2021-03-01T10:00Z"))
    assert ingest_messages([message], FolderStore(tmp_path), (item,), "parquet").stored
    assert read_view(tmp_path, item) == {(datetime(2021, 3, 1, 10), "a", "pc"): values}


@pytest.mark.parametrize(
    ("listed", "places"),
    [
        ('{"dimension":"place","value":"a"}\n{"dimension":"place","value":null}\n', {"a", None, "(other)"}),
        ('{"dimension":"place","value":"%null"}\n{"dimension": \n', {"%null", "(other)"}),
        ('{"dimension":"kind","value":"a"}\n', {"a", None, "b", "%null"}),
        ("", {"a", None, "b", "%null"}),
    ],
)
def test_only_listed_values_of_a_dimension_with_top_are_kept_if_there_is_a_list(tmp_path, listed, places):
    item, store = parse_counter("PT1H", "UTC", FOLDERS[0]), FolderStore(tmp_path)
    rows = [LiveRow(0, "1", place, "pc", "", 0) for place in ("a", "", "b", "%null")]
    write_rows(store, item, rows, datetime(2021, 3, 1))
    store.put("topValues/counter/v1/values.jsonl", listed.encode())
    assert {place for _, place, _ in read_view(tmp_path, item)} == places
