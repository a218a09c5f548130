"""Timestamps of alerts: read, normalized and written."""

import re
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from anomalake.domain.errors import AlertError

EARLIEST_TIMESTAMP, TIMESTAMP_LIMIT = (
    datetime(2000, 1, 1),
    datetime(2100, 1, 1),
)  # naive UTC; what the tables' partitions cover

_TIMESTAMP = re.compile(
    r"(?P<wall>\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?)(?:\.\d+)?"
    r"(?P<offset>Z|[+-]\d\d:?\d\d(?::\d\d)?)?(?:\[(?P<zone>[A-Za-z0-9_+\-/:]+)\])?"
)


def parse_timestamp(text: str) -> datetime:
    """An ISO instant (`2022-03-04T05:25:00.000+0000`; Java adds a zone, `...T05:25Z[UTC]`) as naive UTC; the zone decides only without an offset."""
    match = _TIMESTAMP.fullmatch(text)
    if match is None or not (match["offset"] or match["zone"]):
        raise AlertError(f"timestamp: {text!r} is not written like 2022-03-04T05:25Z[UTC] or 2022-03-04T05:25:00+01:00")
    try:
        wall = datetime.fromisoformat(match["wall"])
        instant = wall.replace(tzinfo=_tzinfo(match["offset"], match["zone"])).astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError, ZoneInfoNotFoundError, OSError) as error:
        raise AlertError(f"timestamp: {text!r} names no instant: {error}") from error
    if not EARLIEST_TIMESTAMP <= instant < TIMESTAMP_LIMIT:
        raise AlertError(
            f"timestamp: {text!r} lies outside the years {EARLIEST_TIMESTAMP.year} to {TIMESTAMP_LIMIT.year - 1} that the tables cover"
        )
    return instant


_FRACTION = re.compile(r"T\d\d:\d\d:\d\d\.(\d{1,9})")


def normalize_report_time(text: str) -> str:
    """An instant, written like a timestamp, in UTC and with milliseconds; such texts sort by time. `AlertError` where it cannot be read."""
    try:
        instant = parse_timestamp(text)
    except AlertError as error:
        raise AlertError(f"reportedAt: {str(error).removeprefix('timestamp: ')}") from error
    match = _FRACTION.search(text)
    return f"{instant:%Y-%m-%dT%H:%M:%S}.{(match[1] if match else '').ljust(3, '0')[:3]}Z"


def normalize_report_time_or_none(found: object) -> str | None:
    """`normalize_report_time` of what a service or an envelope says; null where that is no time, which costs the order of reports and not the alert."""
    try:
        return normalize_report_time(found) if isinstance(found, str) else None
    except AlertError:
        return None


def _tzinfo(offset: str | None, zone_name: str | None) -> timezone | ZoneInfo:
    if offset is None:
        return ZoneInfo(zone_name or "")
    if offset == "Z":
        return UTC
    digits = offset[1:].replace(":", "")
    sign = -1 if offset[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(digits[:2]), minutes=int(digits[2:4]), seconds=int(digits[4:] or 0)))


def format_timestamp(instant: datetime) -> str:
    """A naive UTC instant as an alert's `timestamp`, without fractions of a second."""
    return f"{instant:%Y-%m-%dT%H:%M:%S}Z[UTC]"
