"""`anomalake feedback`: records whether anomalies of an event or of time series are wanted."""

import argparse

from anomalake.cli.options import (
    add_format,
    add_lake_or_bucket,
    add_metric_set,
    load_single_metric_set,
    metric_set_path,
    parse_utc_time,
    resolve_format,
)
from anomalake.cli.terminal import print_line
from anomalake.domain.errors import UsageError

SUMMARY = "record whether anomalies like those of an event, or of time series, are wanted"
HELP = """\
Example:
  anomalake feedback 0b6f6e4e-... --not-wanted --note 'a planned sale'
  anomalake feedback --measure revenue --series marketplace=us --not-wanted

Result:
  A file in the lake's folder feedback/, which the next run of the detector applies. The column `feedback` of
  anomaly_log shows it. The command prints the key of the file and what the feedback covers.

Each "not wanted" halves the distance from the expected value that counts toward the severity score, and each "wanted"
adds a quarter to it. Feedback covers the same measure, time series and direction, after the event. Newer feedback
replaces older feedback on the same event or series."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    add_lake_or_bucket(parser)
    add_metric_set(parser)
    add_format(parser)
    parser.add_argument("event", nargs="?", metavar="EVENT", help="the id of the event (`eventid` in anomaly_log)")
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("--wanted", action="store_true", help="raise the severity of such anomalies")
    choice.add_argument(
        "--not-wanted", dest="wanted", action="store_false", help="lower the severity of such anomalies"
    )
    parser.add_argument("--measure", metavar="NAME", help="a measure, or 'missing data', instead of an event")
    parser.add_argument(
        "--series",
        action="append",
        metavar="NAME=VALUE",
        help="only time series with this dimension value; repeat the option for several dimensions",
    )
    parser.add_argument(
        "--direction",
        choices=("above", "below"),
        help="only anomalies above or below the expected value (default: both)",
    )
    parser.add_argument(
        "--since",
        type=parse_utc_time,
        metavar="TIME",
        help="anomalies after this time, such as 2026-07-01T11:00 in UTC (default: the present time)",
    )
    parser.add_argument("--note", metavar="TEXT", help="the reason, for people who read the feedback")


def run(arguments: argparse.Namespace) -> int:
    """Save the feedback and print what it covers."""
    import msgspec

    from anomalake.cli import give_feedback
    from anomalake.detect.timeline import utc_now
    from anomalake.lake.credentials import open_lake

    if (arguments.event is None) == (arguments.measure is None):
        raise UsageError("name an event, or a --measure (with --series to cover only some of its time series)")
    metric_set, now = load_single_metric_set(metric_set_path(arguments)), utc_now().replace(microsecond=0)
    store = open_lake(arguments.lake)
    if arguments.event is not None:
        table_format = resolve_format(arguments, store, [metric_set])
        drafts = give_feedback.feedback_on_event(arguments.event, metric_set, store, table_format)
    else:
        since, series = arguments.since or now, arguments.series or []
        drafts = [give_feedback.feedback_on_series(arguments.measure, since, arguments.direction, series, metric_set)]
    for draft in drafts:
        feedback = msgspec.structs.replace(draft, wanted=arguments.wanted, note=arguments.note, said_at=now)
        print_line(give_feedback.save_feedback(feedback, metric_set, store))
        effect = "raised" if arguments.wanted else "lowered"
        series = f"{len(feedback.series)} series" if feedback.series else "all series"
        direction = f"{feedback.direction} the expected value" if feedback.direction else "in both directions"
        print_line(
            f"  {feedback.metric_name}, {series}: the severity of anomalies {direction} "
            f"after {feedback.timestamp} UTC is {effect}"
        )
    return 0
