"""Timestamps of alerts: parse, normalize and format them."""

import re
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from anomalake.domain.errors import AlertError
from anomalake.domain.text import quote

# The tables hold timestamps from the first of these on and before the second; naive UTC. An earlier date, such as
# 1970-01-01, is usually written for null.
EARLIEST_TIMESTAMP, TIMESTAMP_LIMIT = datetime(1980, 1, 1), datetime(2100, 1, 1)
# Athena shows the tables from here on: each day of a projected range costs time in planning.
FIRST_PROJECTED_TIMESTAMP = datetime(2000, 1, 1)

_TIMESTAMP = re.compile(
    r"(?P<wall>\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?)(?:\.\d+)?"
    r"(?P<offset>Z|[+-]\d\d:?\d\d(?::\d\d)?)?(?:\[(?P<zone>[A-Za-z0-9_+\-/:]+)\])?"
)


def parse_timestamp(text: str) -> datetime:
    """Return an ISO 8601 timestamp (`2022-03-04T05:25:00.000+0000`) as naive UTC. Raises `AlertError`.

    Java can add a time zone (`2022-03-04T05:25Z[UTC]`), which counts only if there is no offset.
    """
    match = _TIMESTAMP.fullmatch(text)
    if match is None or not (match["offset"] or match["zone"]):
        raise AlertError(f"timestamp: {quote(text)} must look like 2022-03-04T05:25Z[UTC] or 2022-03-04T05:25:00+01:00")
    try:
        wall_time = datetime.fromisoformat(match["wall"])
        zone = _parse_zone(match["offset"], match["zone"])
        instant = wall_time.replace(tzinfo=zone).astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError, ZoneInfoNotFoundError, OSError) as error:
        raise AlertError(f"timestamp: {quote(text)} is not a valid time: {error}") from error
    if not EARLIEST_TIMESTAMP <= instant < TIMESTAMP_LIMIT:
        raise AlertError(
            f"timestamp: {quote(text)} must be in the years {EARLIEST_TIMESTAMP.year} to {TIMESTAMP_LIMIT.year - 1}, "
            "which the tables cover"
        )
    return instant


def format_timestamp(instant: datetime) -> str:
    """Return a naive UTC time as the `timestamp` of an alert, without fractions of a second."""
    return f"{instant:%Y-%m-%dT%H:%M:%S}Z[UTC]"


_FRACTION = re.compile(r"T\d\d:\d\d:\d\d\.(\d{1,9})")


def normalize_report_time(text: str) -> str:
    """Return a timestamp in UTC with milliseconds (`2022-03-04T05:25:00.000Z`). These texts sort by time.

    Raises `AlertError`.
    """
    try:
        instant = parse_timestamp(text)
    except AlertError as error:
        raise AlertError(f"reportedAt: {str(error).removeprefix('timestamp: ')}") from error
    match = _FRACTION.search(text)
    return f"{instant:%Y-%m-%dT%H:%M:%S}.{(match[1] if match else '').ljust(3, '0')[:3]}Z"


def normalize_report_time_or_none(value: object) -> str | None:
    """Return `normalize_report_time` of a value that a service or an envelope gives; None if it is not a timestamp.

    Without the time, the alert is still valid; only the order of its reports is unknown.
    """
    try:
        return normalize_report_time(value) if isinstance(value, str) else None
    except AlertError:
        return None


def _parse_zone(offset: str | None, zone_name: str | None) -> timezone | ZoneInfo:
    if offset is None:
        return ZoneInfo(zone_name or "")
    if offset == "Z":
        return UTC
    digits = offset[1:].replace(":", "")
    sign = -1 if offset[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(digits[:2]), minutes=int(digits[2:4]), seconds=int(digits[4:] or 0)))
