"""A lake with data that is hard to read: clock changes, nulls, quotes, line breaks, ten dimensions."""

import gzip
import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from anomalake.cli import local_pipeline
from anomalake.domain import intervals
from anomalake.domain.metric_set import MetricSet
from anomalake.lake import layout, live_data, top_values
from anomalake.lake.folder_store import FolderStore
from anomalake.lake.ingest import Message, ingest_messages
from anomalake.lake.layout import Format
from anomalake.lake.live_data import require_source
from examples import Point, alert_body

from .awkward_sets import awkward


def encode_live_file(item: MetricSet, text: str) -> bytes:
    """Return the bytes of a live file, compressed if the metric set requires it."""
    return gzip.compress(text.encode(), mtime=0) if item.source and item.source.compression == "gzip" else text.encode()


VALUES = (
    "us",
    "de",
    'q"uote',
    '"quoted"',
    "com,ma",
    "per%cent|bar",
    "back\\slash",
    "\\",
    "=1+1",
    "+49",
    "🦀 </script>",
    " blank ",
    "",
    "line\nbreak",
    "carriage\r\nreturn",
    "tab\there",
    "it's",
    "semi;colon",
    "%null",
    "NULL",
    "\\N",
    "null",
    "ünï",
    "日本",
    "\u2028",
    "e\u0301",
    "a" * 300,
)
_NEW_YORK = (
    "2021-03-14T05:00",
    "2021-11-07T03:00",
)  # UTC; the hours around a clock change that skips 2:00 to 3:00, and one that repeats 1:00 to 2:00
_BERLIN = ("2021-03-27T23:00", "2021-10-30T23:00")
_LORD_HOWE = ("2021-04-03T14:00", "2021-10-02T14:00")


def fill_awkward(root: Path, form: Format) -> None:
    """Write the live data and alerts of the awkward metric sets."""
    sets, store = awkward(), FolderStore(root)
    town, wide, midnight, brief, island, counts, shifts, weeks, months = sets
    _write_town(store, town)
    _write_wide(store, wide)
    _write_midnight(store, midnight)
    _write_brief(store, brief)
    _write_island(store, island)
    _write_rows(store, counts, _list_hours(_NEW_YORK, 24, 15))
    _write_rows(store, shifts, _list_hours(_BERLIN, 16, 60))
    _write_rows(store, weeks, _list_hours(("2021-03-29T13:00", "2021-09-27T14:00"), 12, 1440))
    _write_rows(store, months, _list_hours(("2021-02-27T05:00", "2021-10-27T04:00"), 20, 720))
    for item in sets:
        local_pipeline.run_backtest(item, store, sets, form)
    top_values.write_top_values(store, counts, {"platform": frozenset([*VALUES[2:4], None])})
    bodies = []
    places = (
        (town, _NEW_YORK, 60),
        (wide, _BERLIN, 60),
        (midnight, ("2021-03-14T05:00", "2021-11-07T04:00"), 1440),
        (brief, _NEW_YORK, 5),
        (island, _LORD_HOWE, 10),
        (counts, _NEW_YORK, 15),
        (shifts, _BERLIN, 120),
        (weeks, ("2021-03-29T13:00", "2021-10-03T13:00"), 7 * 1440),
        (months, ("2021-03-01T05:00",), 0),
    )
    for item, instants, minutes in places:
        for start in instants:
            bodies += [
                _alert(item, datetime.fromisoformat(start) + timedelta(minutes=minutes * number), number)
                for number in range(6)
            ]
    for first in range(0, len(bodies), 10):
        outcome = ingest_messages(
            [Message(str(n), body) for n, body in enumerate(bodies[first : first + 10])], store, sets, form
        )
        assert (outcome.quarantined, outcome.failed_ids) == ((), ())
    feedback_entries = [
        {
            "eventId": f"town-{number}",
            "metricName": "views",
            "timestamp": "2021-03-14T05:00Z",
            "wanted": number % 2 == 0,
            "direction": None,
            "series": [{"platform": "pc", "marketplace": VALUES[number]}],
            "note": VALUES[number] + "\n",
            "saidAt": f"2021-03-15T00:0{number}:00Z",
        }
        for number in range(6)
    ]
    for number, feedback in enumerate(
        [*feedback_entries, {**feedback_entries[0], "wanted": False, "saidAt": "2021-03-16T00:00:00Z"}]
    ):
        store.put(layout.feedback_key(town, f"said-{number}"), json.dumps(feedback).encode())
    store.put(layout.feedback_key(town, "broken"), b'{"eventId": "town-1", ')


def _alert(item: MetricSet, instant: datetime, number: int) -> str:
    def chosen(place: int) -> str | None:
        return None if place % 11 == 7 else VALUES[place % len(VALUES)]

    points: list[Point] = []
    for place in range(8):
        named = {name: chosen(place * 5 + number * 7 + at) for at, name in enumerate(item.dimension_names)}
        if place == 3 and named:
            named.pop(item.dimension_names[-1])  # a series without one of the dimensions
        points.append((named, None if place == 5 else (place + 1) * 1234.5678901 * 10 ** (number - 3)))
    shares: dict[str, dict[str | None, float]] = {
        name: {point[0].get(name): 100 / 3 + place for place, point in enumerate(points)} | {"never seen": 0.1}
        for name in (*item.dimension_names[:1], *item.dimension_names[-1:])
    }
    body = json.loads(
        alert_body(
            item.measure_names[number % len(item.measure_names)],
            timestamp=f"{instant:%Y-%m-%dT%H:%M}Z",
            event=f"{item.name}-{number}",
            score=None if number == 4 else number * 17.3,
            series=points,
            contributions=shares,
            consoleUrl='https://example.com/?a=1,2&b="x"',
            anomalyDetectorArn=f"arn:aws:lookoutmetrics:eu-west-1:111122223333:AnomalyDetector:{item.name}",
            alertName=VALUES[number + 2],
        )
    )
    for place, series in enumerate(body["impactedMetric"]["relevantTimeSeries"]):
        if number % 3 and place % 4 != 1 and series["metricValue"] is not None:
            series |= {
                "expectedValue": series["metricValue"] / 3,
                "lowerBound": series["metricValue"] / 4,
                "upperBound": series["metricValue"] / 2,
            }
    return json.dumps(body)


def _quote_cell(value: str, delimiter: str, quote: str) -> str:
    return (
        quote + value.replace(quote, quote * 2) + quote if any(mark in value for mark in (delimiter, quote)) else value
    )


def _list_line_values() -> list[str]:
    return [value for value in VALUES if not set(value) & set("\r\n\u2028")]


def _list_hours(starts: Sequence[str], count: int, minutes: int) -> list[datetime]:
    return [
        datetime.fromisoformat(start) + timedelta(minutes=minutes * number)
        for start in starts
        for number in range(count)
    ]


NUMBERS = (
    "17",
    "-3.25",
    "1e3",
    " 4 ",
    "",
    "x",
    "NaN",
    "1e999",
    "0x10",
    "1_000",
    "Infinity",
    "5.",
    ".5",
    "+7",
    "0",
    "9007199254740993",
)


def _write_town(store: FolderStore, item: MetricSet) -> None:
    """Return rows with every value that a line of CSV can contain. Both occurrences of a repeated hour are in one
    folder.
    """
    files: dict[datetime, list[str]] = {}
    for number, instant in enumerate(_list_hours(_NEW_YORK, 8, 60)):
        wall = intervals.to_wall_time(instant, item.timezone)
        for place, value in enumerate(_list_line_values()):
            at = wall + timedelta(minutes=(place * 7) % 60)
            cells = (
                "pc" if place % 2 else "",
                value,
                f"{at:%m/%d/%Y %I:%M:%S %p}",
                NUMBERS[(number + place) % len(NUMBERS)],
                f"{place / 7:.4f}",
            )
            files.setdefault(wall, []).append(",".join(_quote_cell(cell, ",", '"') for cell in cells))
    for wall, lines in files.items():
        stray = f"pc,elsewhere,{wall + timedelta(hours=1):%m/%d/%Y %I:%M:%S %p},1,1"  # belongs in another folder
        text = (
            "\n".join([",".join(item.source.columns if item.source else ()), *lines, stray, "pc,nowhen,yesterday,1,1"])
            + "\n"
        )
        store.put(f"{live_data.interval_folder(item, wall)}/part-0.csv", text.encode())
        store.put(f"{live_data.interval_folder(item, wall)}/_hidden.csv", text.encode())


def _write_wide(store: FolderStore, item: MetricSet) -> None:
    """Return JSON objects: texts of every kind, nulls, numbers as texts, missing fields, and lines without JSON."""
    for number, instant in enumerate(_list_hours(_BERLIN, 4, 60)):
        wall = intervals.to_wall_time(instant, item.timezone)
        lines, seconds = [], instant.replace(tzinfo=UTC).timestamp()
        for place in range(12):
            row: dict[str, Any] = (
                {"at": int(seconds) + place} if place % 2 else {"at": str(int(seconds * 1000) + place)}
            )
            row |= {name: VALUES[(place + at * 3) % len(VALUES)] for at, name in enumerate(item.dimension_names)}
            row |= {"hits": place, "Spent-Time": f"{place}.5", "9lives": None, "unused": {"deep": [1]}}
            if place % 5 == 0:
                row[item.dimension_names[3]] = None
                del row[item.dimension_names[4]]
            lines.append(json.dumps(row, ensure_ascii=place % 3 == 0))
        store.put(
            f"{live_data.interval_folder(item, wall)}/{number}.json", ("\n".join([*lines, '{"at": ', ""])).encode()
        )


def _write_midnight(store: FolderStore, item: MetricSet) -> None:
    """Return days. One day has no midnight, and one day has two."""
    for month, first in ((3, 12), (11, 5)):
        for day in range(first, first + 5):
            lines = [
                f"{date(2021, month, day)};{_quote_cell(value, ';', chr(39))};{place}"
                for place, value in enumerate(VALUES)
                if not set(value) & set("\r\n\u2028")
            ]
            store.put(
                f"{live_data.interval_folder(item, datetime(2021, month, day))}/day.csv.gz",
                encode_live_file(item, "\n".join(lines) + "\n"),
            )


def _write_brief(store: FolderStore, item: MetricSet) -> None:
    """Return intervals on both sides of midnight. Other files are beside their folders, in the folders of days."""
    for number, wall in enumerate(_list_hours(("2021-03-13T23:30", "2021-11-07T03:00"), 12, 5)):
        rows = [
            {"at": f"{wall + timedelta(seconds=place * 31)}", "platform": value, "views": place}
            for place, value in enumerate(VALUES[:9])
        ]
        text = "\n".join(map(json.dumps, rows)) + "\n"
        place = live_data.interval_folder(item, wall)
        day = place[: place.index("/", len("brief/"))]
        store.put(f"{place}/{number}.json", text.encode())
        for stray in (
            f"{day}/a.json",
            f"{day}/99h/99/in/a.json",
            f"{day}/05h/03/in/a.json",
            f"{place[:-1]}/a.json",
            f"{place}/_b/a.json",
            f"{day}/_c/00/in/a",
        ):
            store.put(stray, text.encode())


def _write_island(store: FolderStore, item: MetricSet) -> None:
    """Return rows in a time zone with an offset of half an hour whose clocks change by half an hour."""
    for number, instant in enumerate(_list_hours(_LORD_HOWE, 9, 10)):
        wall = intervals.to_wall_time(instant, item.timezone)
        lines = [f"{'abc'[place]},{wall + timedelta(minutes=place)},{number + place}" for place in range(3)]
        store.put(
            f"{live_data.interval_folder(item, wall)}/{number}.csv",
            ("\n".join(["platform,at,views", *lines]) + "\n").encode(),
        )


def _write_rows(store: FolderStore, item: MetricSet, instants: Sequence[datetime]) -> None:
    """Write several rows of each time to the folder of its interval, and one that belongs in another folder."""
    source = require_source(item)
    files: dict[str, list[dict[str, str]]] = {}
    for number, instant in enumerate(instants):
        folder = live_data.interval_folder(
            item, intervals.floor_to_interval(item.clock.wall_time(item.start(instant)), item.folder_period)
        )
        for place in range(7):
            moment = instant + timedelta(minutes=place * 2)
            wall = intervals.to_wall_time(moment, item.timezone)
            unix = f"{moment.replace(tzinfo=UTC).timestamp():.0f}"
            stamp = unix if item.clock.absolute else f"{wall:%Y-%m-%d %H:%M:%S}"
            text = VALUES[(number + place * 3) % 13]
            values = {"value": NUMBERS[(number * 5 + place) % len(NUMBERS)], "user": text if place % 2 else ""}
            values |= {"key": VALUES[place], "slots": "x" if place % 3 else "", "platform": "abc"[place % 3]}
            values |= {item.timestamp.column: stamp, "date": "ab"[place % 2] if item.name == "weeks" else text[:3]}
            files.setdefault(folder, []).append({name: values[name] for name in source.columns})
    rows_of_file = list(files.values())
    for rows, others in zip(rows_of_file, rows_of_file[1:] + rows_of_file[:1], strict=True):
        rows.append(others[0])
    for folder, rows in files.items():
        if source.format == "jsonl":
            lines = list(map(json.dumps, rows))
        else:
            cells = ([_quote_cell(row[name], ",", '"') for name in source.columns] for row in rows)
            lines = [",".join(source.columns), *map(",".join, cells)]
        store.put(f"{folder}/a.{source.format}", ("\n".join(lines) + "\n").encode())
