"""The target of `make fuzz`: all code that reads an alert, and both table formats.

Two rules hold for every body. It is rejected with `AlertError` or `UserError` and no other error; or its alerts are the
same after writing and reading them in both formats. `PYTHONPATH=tests/support python tests/fuzz/target.py FILE` checks
a saved file.
"""

import copy
import json
import random
import sys

import atheris

with atheris.instrument_imports(include=["anomalake"]):
    from anomalake import sources
    from anomalake.domain.alert_matching import match_to_metric_set
    from anomalake.domain.errors import AlertError, UserError
    from anomalake.domain.routing import find_metric_set
    from anomalake.lake import encoding, tables

import hostile_events

SETS = hostile_events.metric_sets()


def decode_body(data: bytes) -> str:
    """The bytes as text, which can contain unpaired surrogates."""
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def read_and_write(data: bytes) -> None:
    """Raise an error if one of the two rules is violated."""
    try:
        routed = [
            (alert, find_metric_set(alert.anomaly_detector_arn, SETS))
            for alert in sources.read(decode_body(data), SETS)
        ]
        found = [(match_to_metric_set(alert, item), item) for alert, item in routed]
    except (AlertError, UserError):
        return
    for alert, item in found:
        for table in tables.ALERT_TABLES:
            schema, units = tables.schema(table, item), tables.units_from_alert(table, alert, item)
            for form in ("csv", "parquet"):
                written = encoding.encode_table(
                    form, schema, tables.columns_from_units(table, units, item, item.start(alert.instant))
                )
                read = tables.units_from_columns(table, encoding.decode_table(form, schema, written, "here"), item)
                assert read == units, f"{table} in {form}: {units} became {read}"


def mutate(data: bytes, most: int, seed: int) -> bytes:
    """In turn, random bytes, and (in JSON) an invalid value or another part of the body at a random path."""
    rng = random.Random(seed)
    try:
        event = json.loads(data) if seed % 2 else None
        places = list(hostile_events.iterate_paths(event))
    except (ValueError, RecursionError):
        places = []
    if not places:
        return bytes(atheris.Mutate(data, most))
    other = rng.choice([*hostile_events.WRONG_VALUES, *(hostile_events.get_at(event, path) for path in places)])
    body = hostile_events.change_at(
        event, rng.choice(places), lambda inner, last: inner.__setitem__(last, copy.deepcopy(other))
    )
    return body.encode()[:most]


if __name__ == "__main__":
    atheris.Setup(sys.argv, read_and_write, custom_mutator=mutate)
    atheris.Fuzz()
