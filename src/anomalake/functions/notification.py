"""What a person is told of an alert: what, when, how severe, who contributed, where to look; long for mail, short for a telephone. Pure."""

import re
from typing import NamedTuple

from anomalake.domain import intervals
from anomalake.domain.alert import Alert, TimeSeries, get_severity_label
from anomalake.domain.metric_set import MAX_DIMENSIONS, Measure, MetricSet, replace_unprintable, to_one_line

MOST_SUBJECT, MOST_SHORT = 99, 160  # characters that SNS takes as a subject, and that one SMS holds
MOST_SERIES, MOST_VALUES = 5, 3
MOST_VALUE, MOST_CAUSE, MOST_LINK = (
    80,
    1_000,
    2_000,
)  # characters: what a sender writes is bounded, since SNS refuses more than 256 KiB


class Notice(NamedTuple):
    """A message in the lengths that its readers want."""

    subject: str
    long: str
    short: str


def notice(alert: Alert, metric_set: MetricSet, dashboard: str = "") -> Notice:
    """The message of an alert; `dashboard` is where to look when the alert itself has no link."""
    metric = alert.impacted_metric
    measure = next(
        (one for one in metric_set.measures if one.name == metric.metric_name), None
    )  # none: data that did not arrive
    title = metric_set.title
    label, what = (
        (measure.title, f"{measure.title} of {title} is anomalous")
        if measure
        else ("Data", f"Data of {title} did not arrive")
    )
    wall = intervals.to_wall_time(metric_set.start(alert.instant), metric_set.timezone)
    when = f"{wall:%Y-%m-%d %H:%M} ({metric_set.timezone})"
    score = (
        "without a score"
        if alert.anomaly_score is None
        else f"{get_severity_label(alert.anomaly_score)}, {alert.anomaly_score:.4g} of 100"
    )
    direction = (
        ""
        if measure is None
        else {"above": " above what was expected", "below": " below what was expected"}.get(alert.direction or "", "")
    )
    series = metric.relevant_time_series
    link = _link(alert.console_url) or _link(dashboard)
    contributors = [
        f"{to_one_line(one.dimension_name, MOST_VALUE)} "
        + ", ".join(f"{_cut(value.dimension_value, '(none)')} {value.value_contribution:.4g} %" for value in best)
        for one in metric.dimension_contribution
        if (
            best := sorted(one.dimension_value_contributions, key=lambda value: -value.value_contribution)[:MOST_VALUES]
        )
    ][:MAX_DIMENSIONS]
    lines = [
        f"{what}{direction}.",
        "",
        f"When        {when}, interval {metric_set.frequency}",
        f"Severity    {score}",
        f"Series      {len(series)}",
        *(f"{'Contributed' if not number else '':11} {line}" for number, line in enumerate(contributors)),
        *(
            f"{'Values' if not number else '':11} {_values(one, measure)}"
            for number, one in enumerate(series[:MOST_SERIES])
        ),
        *([f"{'':11} and {len(series) - MOST_SERIES} more"] if len(series) > MOST_SERIES else []),
        *([f"Cause       {to_one_line(alert.root_cause, MOST_CAUSE)}"] if alert.root_cause else []),
        *([f"Look at it  {link}"] if link else []),
        f"Event       {to_one_line(alert.event_id, MOST_CAUSE)}",
    ]
    short = f"{label}{direction or ' anomalous'}" if measure else "data did not arrive"
    subject = f"{label}{direction or ' is anomalous'}" if measure else short
    brief = f"{short}, {when}, {score}"
    most = f"; {contributors[0]}" if contributors else ""
    return Notice(
        _plain(f"[{get_severity_label(alert.anomaly_score)}] {title}: {subject}")[:MOST_SUBJECT],
        "\n".join(map(replace_unprintable, lines)) + "\n",
        to_one_line(f"{title}: {brief}{most}", MOST_SHORT * 2)[:MOST_SHORT],
    )


def _link(text: str | None) -> str:
    """A link that may be shown: `https://` without blanks or other characters that cannot be seen; empty otherwise."""
    return (
        text
        if text and len(text) <= MOST_LINK and text.isprintable() and re.fullmatch(r"https://[^\s<>\"]+", text)
        else ""
    )


def _values(series: TimeSeries, measure: Measure | None) -> str:
    """A series' dimension values, its value, and what was expected."""
    who = (
        ", ".join(f"{_cut(one.dimension_name, '')}={_cut(one.dimension_value, '(none)')}" for one in series.dimensions)
        or "(all)"
    )
    unit = f" {measure.short_unit}" if measure and measure.unit else ""
    value = "no value" if series.metric_value is None else f"{series.metric_value:.6g}{unit}"
    expected = "" if series.expected_value is None else f", expected {series.expected_value:.6g}{unit}"
    return f"{who}: {value}{expected}"


def _cut(value: str | None, otherwise: str) -> str:
    return otherwise if value is None else to_one_line(value, MOST_VALUE)


def _plain(text: str) -> str:
    """As SNS takes a subject: ASCII on one line."""
    return " ".join(replace_unprintable(text).encode("ascii", "replace").decode().split())
