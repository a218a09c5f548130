"""The texts of a notification of an alert: a subject, a long text for email, and a short text for SMS.

Pure functions.

Limits on length are in characters. They bound what the sender of an alert writes, because SNS rejects a message of
more than 256 KiB ("Publish" in the SNS API reference).
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from anomalake.domain import intervals
from anomalake.domain.alert import Alert, TimeSeries, get_severity_label
from anomalake.domain.metric_set import MAX_DIMENSIONS, Measure, MetricSet
from anomalake.domain.text import replace_unprintable, to_one_line

MAX_SUBJECT_CHARACTERS = 99  # SNS accepts a subject of fewer than 100 characters
MAX_SHORT_CHARACTERS = 160  # of one SMS
MAX_SHOWN_SERIES = 5
MAX_SHOWN_VALUES = 3  # of each dimension
MAX_VALUE_CHARACTERS, MAX_TEXT_CHARACTERS, MAX_LINK_CHARACTERS = 80, 1_000, 2_000
_LABEL_CHARACTERS = 12
_DIRECTIONS = {"above": " above the expected value", "below": " below the expected value"}


class Notification(NamedTuple):
    """A subject in ASCII, a text of several lines, and a text of one line."""

    subject: str
    long: str
    short: str


def format_notification(alert: Alert, metric_set: MetricSet, dashboard_url: str = "") -> Notification:
    """Return the notification of an alert.

    When the alert has no link, the notification shows the URL of the dashboard.
    """
    name = alert.impacted_metric.metric_name
    measure = next((measure for measure in metric_set.measures if measure.name == name), None)
    title = metric_set.title
    if measure is None:  # the alert says that data is missing
        heading, summary = "data did not arrive", "data did not arrive"
        sentence = f"Data of {title} did not arrive."
    else:
        direction = _DIRECTIONS.get(alert.direction or "", "")
        heading = f"{measure.title}{direction or ' is anomalous'}"
        summary = f"{measure.title}{direction or ' anomalous'}"
        sentence = f"{measure.title} of {title} is anomalous{direction and ':'}{direction}."
    contributions = _list_contributions(alert)
    local_time = intervals.to_wall_time(metric_set.start(alert.instant), metric_set.timezone)
    when = f"{local_time:%Y-%m-%d %H:%M} ({metric_set.timezone})"
    score = _format_score(alert)
    lines = [
        sentence,
        "",
        _format_line("Time", f"{when}, interval {metric_set.frequency}"),
        _format_line("Severity", score),
        *_list_details(alert, measure, contributions, _check_link(alert.console_url) or _check_link(dashboard_url)),
    ]
    main_contribution = f"; {contributions[0]}" if contributions else ""
    short = f"{title}: {summary}, {when}, {score}{main_contribution}"
    return Notification(
        _to_subject(f"[{get_severity_label(alert.anomaly_score)}] {title}: {heading}"),
        "\n".join(map(replace_unprintable, lines)) + "\n",
        to_one_line(short, MAX_SHORT_CHARACTERS * 2)[:MAX_SHORT_CHARACTERS],
    )


def _list_details(alert: Alert, measure: Measure | None, contributions: list[str], link: str) -> Iterator[str]:
    """Yield the lines of the long text after the time and the severity."""
    series = alert.impacted_metric.relevant_time_series
    yield _format_line("Time series", str(len(series)))
    for number, contribution in enumerate(contributions):
        yield _format_line("" if number else "Contributors", contribution)
    for number, shown in enumerate(series[:MAX_SHOWN_SERIES]):
        yield _format_line("" if number else "Values", _format_series(shown, measure))
    if len(series) > MAX_SHOWN_SERIES:
        yield _format_line("", f"and {len(series) - MAX_SHOWN_SERIES} more")
    if alert.root_cause:
        yield _format_line("Cause", to_one_line(alert.root_cause, MAX_TEXT_CHARACTERS))
    if link:
        yield _format_line("Details", link)
    yield _format_line("Event", to_one_line(alert.event_id, MAX_TEXT_CHARACTERS))


def _format_line(label: str, text: str) -> str:
    return f"{label:{_LABEL_CHARACTERS}} {text}"


def _format_score(alert: Alert) -> str:
    if alert.anomaly_score is None:
        return "no severity score"
    return f"{get_severity_label(alert.anomaly_score)}, {alert.anomaly_score:.4g} of 100"


def _list_contributions(alert: Alert) -> list[str]:
    """For each dimension, a text with the values that contribute most: `platform pc_web 64 %, mobile_app 36 %`."""
    texts = []
    for dimension in alert.impacted_metric.dimension_contribution:
        values = sorted(dimension.dimension_value_contributions, key=lambda value: -value.value_contribution)
        shares = [
            f"{_shorten(value.dimension_value, '(none)')} {value.value_contribution:.4g} %"
            for value in values[:MAX_SHOWN_VALUES]
        ]
        if shares:
            texts.append(f"{to_one_line(dimension.dimension_name, MAX_VALUE_CHARACTERS)} {', '.join(shares)}")
    return texts[:MAX_DIMENSIONS]


def _format_series(series: TimeSeries, measure: Measure | None) -> str:
    """Return the dimension values of a time series, its value and its expected value."""
    dimensions = [
        f"{_shorten(dimension.dimension_name, '')}={_shorten(dimension.dimension_value, '(none)')}"
        for dimension in series.dimensions
    ]
    unit = f" {measure.short_unit}" if measure and measure.unit else ""
    value = "no value" if series.metric_value is None else f"{series.metric_value:.6g}{unit}"
    expected = "" if series.expected_value is None else f", expected {series.expected_value:.6g}{unit}"
    return f"{', '.join(dimensions) or '(all)'}: {value}{expected}"


def _shorten(value: str | None, default: str) -> str:
    return default if value is None else to_one_line(value, MAX_VALUE_CHARACTERS)


def _check_link(text: str | None) -> str:
    """Return the text if it is an `https://` link without blanks and invisible characters; otherwise `""`."""
    if not text or len(text) > MAX_LINK_CHARACTERS or not text.isprintable():
        return ""
    return text if re.fullmatch(r"https://[^\s<>\"]+", text) else ""


def _to_subject(text: str) -> str:
    """Return the text as SNS accepts a subject: one line of ASCII."""
    ascii_text = " ".join(replace_unprintable(text).encode("ascii", "replace").decode().split())
    return ascii_text[:MAX_SUBJECT_CHARACTERS]
