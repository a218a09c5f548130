"""Timestamps of live data: the interval that each one belongs to, or what is wrong with it.

`parse_interval_start` is the definition. `number_intervals` gives the same for a whole column: it computes the
timestamps that are written as their pattern says, and calls `parse_interval_start` for the others and wherever clocks
change.
"""

import math
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from anomalake.domain import intervals, time_patterns
from anomalake.lake.live_files import MAX_CACHED_CHARACTERS, is_number, quote

Codes = NDArray[np.int64]
_EPOCH = datetime(1970, 1, 1)
_DAY_SECONDS = 86_400
_QUARTER_SECONDS = 900  # since 1973, every time zone differs from UTC by a multiple of it
_FIRST_SECOND, _SECONDS_LIMIT = 94_694_400, 32_503_680_000  # the years 1973 to 2999 are computed by column
_FEW_TEXTS = 20  # are parsed one by one in less time than by column
_UNREAD = np.iinfo(np.int64).min


def parse_interval_start(text: str, timestamp_format: str, clock: intervals.Clock) -> datetime | str:
    """Return the start (naive UTC) of the interval that a timestamp in the data belongs to.

    Return a text that describes the problem if there is one.
    """
    parse = (
        _parse_interval_start_cached if len(text) <= MAX_CACHED_CHARACTERS else _parse_interval_start_cached.__wrapped__
    )
    return parse(text, timestamp_format, clock)


@lru_cache(maxsize=4096)
def _parse_interval_start_cached(text: str, timestamp_format: str, clock: intervals.Clock) -> datetime | str:
    parsed = (
        parse_instant(text)
        if timestamp_format == time_patterns.UNIX
        else parse_wall_time(text, timestamp_format, clock.zone)
    )
    try:
        return (
            parsed
            if isinstance(parsed, str)
            else clock.start(parsed if timestamp_format == time_patterns.UNIX else intervals.to_utc(parsed, clock.zone))
        )
    except OverflowError:
        return f"the timestamp {quote(text)} lies outside the years 1 to 9999"


def parse_instant(text: str) -> datetime | str:
    """Return the instant (naive UTC) of a UNIX timestamp in the data, or a text that describes the problem."""
    if not is_number(text.strip()):
        return f"the timestamp {quote(text)} is not a UNIX time"
    number = float(text)
    try:
        seconds = number / 1000 if number > time_patterns.MAX_UNIX_SECONDS else number
        return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
    except (ValueError, OverflowError, OSError):
        return f"the timestamp {quote(text)} is not a UNIX time"


def parse_wall_time(text: str, timestamp_format: str, zone: str) -> datetime | str:
    """Return the wall time of a timestamp in the data, or a text that describes the problem."""
    parse = _parse_wall_time_cached if len(text) <= MAX_CACHED_CHARACTERS else _parse_wall_time_cached.__wrapped__
    return parse(text, timestamp_format, zone)


@lru_cache(maxsize=4096)
def _parse_wall_time_cached(text: str, timestamp_format: str, zone: str) -> datetime | str:
    if timestamp_format == time_patterns.UNIX:
        parsed = parse_instant(text)
        try:
            return parsed if isinstance(parsed, str) else intervals.to_wall_time(parsed, zone)
        except OverflowError:
            return f"the timestamp {quote(text)} lies outside the years 1 to 9999"
    try:
        wall = datetime.strptime(text.strip(" "), time_patterns.to_python_format(timestamp_format))
    except ValueError:
        return f"the timestamp {quote(text)} does not have the format {timestamp_format}"
    if time_patterns.has_hour(timestamp_format) and not intervals.wall_time_exists(wall, zone):
        return f"the timestamp {quote(text)} does not exist in {zone}: clocks skip it"
    return wall


def number_intervals(
    texts: pa.StringArray, timestamp_format: str, clock: intervals.Clock
) -> tuple[Codes, list[datetime | str]]:
    """Return a code for each text, and what each code stands for: the result of `parse_interval_start` for the text."""
    encoded = texts.dictionary_encode()
    distinct: pa.StringArray = encoded.dictionary
    if len(distinct) <= _FEW_TEXTS:
        numbers: dict[datetime | str, int] = {}
        found = [parse_interval_start(text, timestamp_format, clock) for text in distinct.to_pylist()]
        codes = np.array([numbers.setdefault(start, len(numbers)) for start in found], np.int64)
    else:
        codes, numbers = _number_distinct(distinct, timestamp_format, clock)
    return codes[encoded.indices.to_numpy()], list(numbers)


def _number_distinct(
    distinct: pa.StringArray, timestamp_format: str, clock: intervals.Clock
) -> tuple[Codes, dict[datetime | str, int]]:
    """Return the code of each text, and the codes of the results."""
    is_unix = timestamp_format == time_patterns.UNIX
    seconds = _read_unix_seconds(distinct) if is_unix else _read_wall_seconds(distinct, timestamp_format)
    unit = _block_seconds(clock, is_unix)
    blocks, block_of_text = np.unique(np.where(seconds == _UNREAD, _UNREAD, seconds // unit), return_inverse=True)
    find_start, length = _start_of_instants if is_unix else _start_of_wall_times, timedelta(seconds=unit)
    numbers: dict[datetime | str, int] = {}
    code_of_block = np.full(len(blocks), -1, np.int64)
    for number, block in enumerate(blocks.tolist()):
        start = None if block == _UNREAD else find_start(_EPOCH + block * length, length, clock)
        if start is not None:
            code_of_block[number] = numbers.setdefault(start, len(numbers))
    codes = code_of_block[block_of_text]
    others = np.flatnonzero(codes < 0)
    found = [
        parse_interval_start(text, timestamp_format, clock) for text in distinct.take(pa.array(others)).to_pylist()
    ]
    codes[others] = [numbers.setdefault(start, len(numbers)) for start in found]
    return codes, numbers


def _block_seconds(clock: intervals.Clock, is_unix: bool) -> int:
    """Return the length of the blocks that lie in one interval each, unless clocks change."""
    step = clock.step // timedelta(seconds=1) if clock.is_sub_daily else _DAY_SECONDS
    return math.gcd(_QUARTER_SECONDS, step) if is_unix and clock.zone != "UTC" else step


def _start_of_wall_times(wall: datetime, unit: timedelta, clock: intervals.Clock) -> datetime | None:
    """Return the start of the interval of all wall times from `wall`, `unit` long; None if clocks change there."""
    if clock.zone == "UTC":
        return wall if clock.is_sub_daily else clock.start(wall)
    first, end = intervals.to_utc(wall, clock.zone), intervals.to_utc(wall + unit, clock.zone)
    is_regular = (
        end - first == unit
        and intervals.to_utc(wall, clock.zone, fold=1) == first
        and intervals.to_utc(wall + unit, clock.zone, fold=1) == end
    )
    if not is_regular:
        return None
    return first if clock.is_sub_daily else clock.start(first)


def _start_of_instants(instant: datetime, unit: timedelta, clock: intervals.Clock) -> datetime | None:
    """Return the start of the interval of all instants from `instant`, `unit` long; None if clocks change there."""
    if clock.zone != "UTC":
        zone, last = intervals.get_time_zone(clock.zone), instant + unit - timedelta(seconds=1)
        first_local, last_local = (moment.replace(tzinfo=UTC).astimezone(zone) for moment in (instant, last))
        if (first_local.utcoffset(), first_local.fold) != (last_local.utcoffset(), last_local.fold):
            return None
    elif clock.is_sub_daily:
        return instant
    return clock.start(instant)


def _read_unix_seconds(texts: pa.StringArray) -> Codes:
    """Return the UNIX times in seconds, rounded down; `_UNREAD` for a text that is no integer."""
    is_integer = pc.match_substring_regex(texts, "^[0-9]{8,14}$")
    numbers = pc.if_else(is_integer, texts, "0").cast(pa.int64()).to_numpy(zero_copy_only=False)
    seconds = np.where(numbers > time_patterns.MAX_UNIX_SECONDS, numbers // 1000, numbers)
    return np.where((seconds >= _FIRST_SECOND) & (seconds < _SECONDS_LIMIT), seconds, _UNREAD)


def _read_wall_seconds(texts: pa.StringArray, timestamp_format: str) -> Codes:
    """Return the wall times in seconds since 1970; `_UNREAD` for a text that is not written as the pattern says."""
    seconds = np.full(len(texts), _UNREAD, np.int64)
    parts = time_patterns.split_pattern(timestamp_format)
    widths = {letter: max(len(text), 2) for letter, text in parts if letter}
    if not set(widths) <= set("yMdHmsS") or not timestamp_format.isascii():
        return seconds
    if any(letter and len(text) == 1 for letter, text in parts) and "S" not in widths:
        texts = pc.replace_substring_regex(texts, r"\b([0-9])\b", r"0\1")  # 4/2/2021 becomes 04/02/2021
    width = sum(widths[letter] if letter else len(text) for letter, text in parts)
    rows = np.flatnonzero(pc.equal(pc.binary_length(texts), width).to_numpy(zero_copy_only=False))
    if not len(rows):
        return seconds
    characters = np.frombuffer(texts.take(pa.array(rows)).buffers()[2], np.uint8, width * len(rows)).reshape(-1, width)
    valid, fields, position = np.ones(len(rows), bool), dict[str, Codes](), 0
    for letter, text in parts:
        for character in text if not letter else "":
            valid &= characters[:, position] == ord(character)
            position += 1
        for _ in range(widths[letter] if letter else 0):
            digit = characters[:, position] - ord("0")  # unsigned: a character before 0 becomes a large number
            valid &= digit <= 9
            fields[letter] = fields.get(letter, 0) * 10 + digit.astype(np.int64)
            position += 1
    year, month, day = (fields[letter] for letter in "yMd")
    months = np.where(valid, (year - 1970) * 12 + month - 1, 0)
    days = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) + day - 1
    total = days * _DAY_SECONDS
    for letter, factor, limit in (("H", 3600, 24), ("m", 60, 60), ("s", 1, 60)):
        if letter in fields:
            valid &= fields[letter] < limit
            total += fields[letter] * factor
    valid &= (month >= 1) & (month <= 12) & (day >= 1) & (total >= _FIRST_SECOND) & (total < _SECONDS_LIMIT)
    valid &= np.where(valid, days, 0).astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) == np.where(
        valid, months, 0
    )
    seconds[rows] = np.where(valid, total, _UNREAD)
    return seconds
