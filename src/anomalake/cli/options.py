"""Options that several commands share: declarations, types of values, and how a command resolves them."""

import argparse
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from anomalake.domain import metric_set_yaml
from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import MetricSet
from anomalake.lake.layout import FORMATS, Format, detect_format
from anomalake.lake.store import Store

if TYPE_CHECKING:
    from anomalake.cli.tables.live_rows import ReadingOptions
    from anomalake.cli.tables.numbers import Decimal

PROJECT_METRIC_SETS = "src/metric_sets"

# --- declarations


def add_lake(parser: argparse.ArgumentParser, default: str | None = None, meaning: str = "") -> None:
    """Add `--lake`; its default is the environment variable ANOMALAKE_LAKE, else the folder `lake`."""
    parser.add_argument(
        "--lake",
        default=default or default_lake(),
        metavar="LAKE",
        help=meaning or "the lake: a folder (default: %(default)s; set ANOMALAKE_LAKE to change the default)",
    )


def add_lake_or_bucket(parser: argparse.ArgumentParser) -> None:
    """Add `--lake` for a command that also runs on a lake in S3."""
    add_lake(
        parser,
        meaning="the lake: a folder, or s3://BUCKET (default: %(default)s; set ANOMALAKE_LAKE to change the default)",
    )


def add_metric_set(parser: argparse.ArgumentParser) -> None:
    """Add `--metric-set` for a command that works on a lake."""
    parser.add_argument(
        "--metric-set",
        metavar="PATH",
        help="the YAML file of a metric set, or a folder of such files (default: the copies in the lake, "
        f"else {PROJECT_METRIC_SETS})",
    )


def add_project_metric_set(parser: argparse.ArgumentParser) -> None:
    """Add `--metric-set` for a command that works on the project's metric sets."""
    parser.add_argument(
        "--metric-set",
        default=PROJECT_METRIC_SETS,
        metavar="PATH",
        help="the YAML file of a metric set, or a folder of such files (default: %(default)s)",
    )


def add_format(parser: argparse.ArgumentParser) -> None:
    """Add `--format`, the format of the lake's tables."""
    parser.add_argument(
        "--format",
        choices=FORMATS,
        help="the format of the lake's tables (default: the format that the lake has, else parquet)",
    )


def add_page_output(parser: argparse.ArgumentParser) -> None:
    """Add `--output`, the dashboard page to write."""
    parser.add_argument(
        "--output", default="dashboard.html", metavar="FILE", help="the HTML page to write (default: %(default)s)"
    )


def add_now(parser: argparse.ArgumentParser) -> None:
    """Add `--now`, the time at which intervals are due."""
    parser.add_argument(
        "--now",
        type=parse_utc_time,
        metavar="TIME",
        help="score the intervals that are due at this time, such as 2026-07-01T11:00 in UTC "
        "(default: the present time)",
    )


def add_metric_set_output(parser: argparse.ArgumentParser) -> None:
    """Add `--output` and `--force` for a command that writes a metric set."""
    parser.add_argument("--output", metavar="FILE", help="the YAML file to write (default: <name>.yaml)")
    parser.add_argument("--force", action="store_true", help="overwrite an existing file")


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add the options that decide what the data itself does not: `--table`, `--date-order`, `--decimal-mark`."""
    parser.add_argument("--table", metavar="NAME", help="the table of a database, or the sheet of a workbook, to read")
    parser.add_argument(
        "--date-order",
        choices=["day-first", "month-first"],
        help="how dates such as 01/02/2026 are read (default: as the data decides)",
    )
    parser.add_argument(
        "--decimal-mark",
        choices=["comma", "point"],
        help="how numbers such as 1,234 are read (default: as the data decides)",
    )


def add_proposal(parser: argparse.ArgumentParser) -> None:
    """Add FILE and the options of a command that proposes a metric set for it."""
    parser.add_argument(
        "file",
        metavar="FILE",
        help="your data, with timestamps: CSV, JSON, Excel, Parquet, a DuckDB or SQLite file, a folder, "
        "s3://BUCKET/KEY, or - for standard input",
    )
    parser.add_argument(
        "--timezone",
        metavar="ZONE",
        help="the time zone of the timestamps, an IANA name (default: the command asks on a terminal, else UTC)",
    )
    parser.add_argument(
        "--frequency",
        metavar="STEP",
        help="the length of an interval, such as PT30M, P1D, P1W or P1M (default: the shortest one at which nine "
        "tenths of the intervals have data)",
    )
    parser.add_argument("--name", help="the name of the metric set (default: derived from the name of the file)")
    parser.add_argument("--yes", action="store_true", help="ask nothing, and take the defaults")
    add_reading(parser)


# --- types of values


def parse_utc_time(text: str) -> datetime:
    """Return a time in UTC (naive) that an option gives as 2026-07-01 or 2026-07-01T11:00."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is not None:
        raise argparse.ArgumentTypeError("must be a time in UTC without a zone, such as 2026-07-01 or 2026-07-01T11:00")
    return time


def parse_count(text: str) -> int:
    """Return a whole number from 1 to 9999."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 9999):
        raise argparse.ArgumentTypeError("must be a whole number from 1 to 9999")
    return int(text)


# --- resolution


def reading_options(arguments: argparse.Namespace) -> "ReadingOptions":
    """Return the values of the options of `add_reading`."""
    from anomalake.cli.tables.live_rows import ReadingOptions  # noqa: PLC0415  (imports pandas)

    marks: dict[str | None, Decimal | None] = {"comma": ",", "point": "."}
    return ReadingOptions(arguments.table, arguments.date_order, marks.get(arguments.decimal_mark))


def default_lake() -> str:
    """Return the lake of a command that gets no `--lake`."""
    return os.environ.get("ANOMALAKE_LAKE", "lake")


def lake_folder(arguments: argparse.Namespace) -> Path:
    """Return the folder of the lake; raises `UserError` for a lake in S3."""
    if "://" in arguments.lake:
        raise UserError(
            f"{arguments.lake}: this command requires a lake in a folder; query a lake in S3 through Athena"
        )
    return Path(arguments.lake)


def metric_set_path(arguments: argparse.Namespace) -> Path:
    """Return the file or folder of metric sets.

    It is `--metric-set`, else the environment variable ANOMALAKE_METRIC_SETS, else the lake's copies, else the
    project's folder.
    """
    configured = arguments.metric_set or os.environ.get("ANOMALAKE_METRIC_SETS")
    if configured:
        return Path(configured)
    copies = Path(arguments.lake) / "metric_sets"
    return copies if copies.is_dir() else Path(PROJECT_METRIC_SETS)


def load_metric_sets(path: Path) -> tuple[MetricSet, ...]:
    """Return the metric sets of a file or folder."""
    return metric_set_yaml.load_all(path)


def load_single_metric_set(path: Path) -> MetricSet:
    """Return the metric set of a file, or of a folder that has one; raises `UserError` where the folder has several."""
    metric_sets = metric_set_yaml.load_all(path)
    if len(metric_sets) > 1:
        names = ", ".join(metric_set.name for metric_set in metric_sets)
        raise UserError(f"{path}: holds several metric sets ({names}); name one file with --metric-set")
    return metric_sets[0]


def default_format() -> Format:
    """Return the format of a new lake: the environment variable ANOMALAKE_FORMAT, else parquet."""
    return "csv" if os.environ.get("ANOMALAKE_FORMAT") == "csv" else "parquet"


def resolve_format(arguments: argparse.Namespace, store: Store, metric_sets: Sequence[MetricSet]) -> Format:
    """Return the format of the lake's tables, else `--format`, else the default.

    Raises `UserError` where `--format` is not the format of the lake.
    """
    existing = detect_format(store, metric_sets)
    if existing and arguments.format and existing != arguments.format:
        raise UserError(f"{arguments.lake}: holds {existing} tables; omit --format, or name another lake with --lake")
    resolved: Format = arguments.format or existing or default_format()
    return resolved
