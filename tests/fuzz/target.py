"""What `make fuzz` drives: all that reads an alert, and both formats.

A body is refused with the errors that say so and with no others; or its alerts can be written in both formats, read again, and are the same.
`PYTHONPATH=tests/support python tests/fuzz/target.py FILE` does it once, with a file that was kept.
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


def body_of(data: bytes) -> str:
    """The bytes as a text, unpaired surrogates among it."""
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def read_and_write(data: bytes) -> None:
    """Raise where one of the two above does not hold."""
    try:
        routed = [
            (alert, find_metric_set(alert.anomaly_detector_arn, SETS)) for alert in sources.read(body_of(data), SETS)
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


def mutated(data: bytes, most: int, seed: int) -> bytes:
    """By turns other bytes, and, where the body is JSON, another part of it or a wrong value at one of its places."""
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
    atheris.Setup(sys.argv, read_and_write, custom_mutator=mutated)
    atheris.Fuzz()
