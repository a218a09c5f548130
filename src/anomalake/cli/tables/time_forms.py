"""The forms in which people and programs write times, and their fields as numbers, for many values at once.

Each form is a regular expression with named groups. Arrow's engine (RE2) matches it in linear time.
"""

import re
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Order = Literal["day-first", "month-first"]
Precision = Literal["year", "quarter", "month", "week", "day", "time"]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

FIRST_YEAR, LAST_YEAR = 1900, 2199
_FIRST_TWO_DIGIT_YEAR = 69  # 69 is 1969, and 68 is 2068 (POSIX)
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?P<name>(?i:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?))"
)
_WEEKDAY = r"(?:(?i:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?i:day)?\.?,?\s+)"
_CLOCK = (
    r"(?P<hour>\d{1,2})(?::(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?)?"
    r"(?:\s*(?P<half>[AaPp])\.?[Mm]\.?)?"
)
_ZONE = (
    r"(?:\s*(?P<zone>[Zz]|(?:UTC|GMT|UT)?[+\-\x{2212}]\d\d(?::?\d\d)?|UTC|GMT|UT|[ECMP][SD]T))?"
    r"(?:\s*[\[(][\w+\-/: ]+[\])])?"
)
_TIME = rf"(?:(?:[Tt]|,?\s+|:|\s-\s|\sat\s){_CLOCK})?{_ZONE}"
# Offsets of the zones that RFC 2822 names, in hours.
_NAMED_ZONES = {"EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7}


class Form(NamedTuple):
    """A form of dates: an example, its expression, the precision of a date alone, and the order of its fields."""

    example: str
    pattern: str
    precision: Precision
    fields: str = (
        ""  # the letters of Java patterns in order, for a form that the lake may read as it is; # = two orders
    )


FORMS = (
    Form("2017-04-22", rf"(?P<year>\d{{4}})[-/.](?P<month>\d{{1,2}})[-/.](?P<day>\d{{1,2}}){_TIME}", "day", "yMd"),
    Form("20170422", rf"(?P<year>\d{{4}})(?P<month>\d\d)(?P<day>\d\d){_TIME}", "day", "yMd"),
    Form(
        "20170422151158",
        r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)[Tt ]?(?P<hour>\d\d)(?:(?P<minute>\d\d)(?P<second>\d\d)?)?"
        + _ZONE,
        "day",
        "yMdHms",
    ),
    Form(
        "22/04/2017",
        rf"(?P<left>\d{{1,2}})(?P<mark>[-/.])(?P<right>\d{{1,2}})[-/.](?P<year>\d{{4}}|\d\d){_TIME}",
        "day",
        "##y",
    ),
    Form(
        "22 Apr 2017",
        rf"{_WEEKDAY}?(?P<day>\d{{1,2}})(?:st|nd|rd|th)?[\s\-/.]*{_MONTH}\.?,?[\s\-/]*(?P<year>\d{{4}}|\d\d){_TIME}",
        "day",
    ),
    Form(
        "Apr 22 2017",
        rf"{_WEEKDAY}?{_MONTH}[.\-]?\s*(?P<day>\d{{1,2}})(?:st|nd|rd|th)?[,\-]?\s*(?P<year>\d{{4}}){_TIME}",
        "day",
    ),
    Form("2017 Apr 22", rf"(?P<year>\d{{4}})[\s\-/]*{_MONTH}[\s\-/]*(?P<day>\d{{1,2}}){_TIME}", "day"),
    Form(
        "Sat Apr 22 15:11:58 2017",
        rf"{_WEEKDAY}{_MONTH}\s+(?P<day>\d{{1,2}})\s+{_CLOCK}{_ZONE}\s+(?P<year>\d{{4}})(?:\s+(?P<zone2>[+-]\d{{4}}))?",
        "day",
    ),
    Form("2017-04", r"(?P<year>\d{4})(?:[-/]|-?M)(?P<month>\d{1,2})", "month"),
    Form("04/2017", r"(?P<month>\d{1,2})[-/](?P<year>\d{4})", "month"),
    Form("April 2017", rf"{_MONTH}\.?[\s\-/,]+(?P<year>\d{{4}})", "month"),
    Form("Apr-17", rf"{_MONTH}[\-' ]+(?P<year>\d\d)", "month"),
    Form("2017 Apr", rf"(?P<year>\d{{4}})[\s\-/]*{_MONTH}", "month"),
    Form("2017-W16", r"(?P<year>\d{4})-?[Ww](?P<week>\d\d)(?:-?(?P<weekday>[1-7]))?", "week"),
    Form("2017-Q2", r"(?P<year>\d{4})[\s\-/]?[Qq](?P<quarter>[1-4])", "quarter"),
    Form("Q2 2017", r"[Qq](?P<quarter>[1-4])[\s\-/]?(?P<year>\d{4})", "quarter"),
)
EPOCH = Form("1492873918", r"(?P<epoch>\d{9,19})(?:\.(?P<fraction>\d{0,9}))?", "time")
YEAR = Form("2017", r"(?P<year>\d{4})(?:\.0)?", "year")


class Parsed(NamedTuple):
    """Values as times, one element a value: seconds since 1970 on the clock of the text; other facts of each value."""

    valid: Flags
    seconds: Integers
    has_time: Flags
    has_zone: Flags
    offset: Integers  # seconds east of UTC; 0 without a zone


class Fields(NamedTuple):
    """The matches of a form: which values match, and the text of each group, blank where it is absent."""

    matches: Flags
    groups: dict[str, "pa.Array"]

    def number(self, name: str, default: int = 0) -> Integers:
        """Return a group as numbers; the default where it is absent."""
        if name not in self.groups:
            return np.full(len(self.matches), default, np.int64)
        text = self.groups[name]
        filled = pc.if_else(pc.equal(text, ""), pa.scalar(str(default)), text)
        return np.asarray(filled.cast(pa.int64()).to_numpy(zero_copy_only=False), np.int64)

    def has(self, name: str) -> Flags:
        """Return where the group is present."""
        if name not in self.groups:
            return np.zeros(len(self.matches), np.bool_)
        return np.asarray(pc.not_equal(self.groups[name], "").to_numpy(zero_copy_only=False), np.bool_)


def match(values: "pa.Array", form: Form) -> Fields:
    """Return the fields of the values, which are text without nulls."""
    found = pc.extract_regex(values, rf"^\s*{form.pattern}\s*$")
    matches = np.asarray(pc.is_valid(found).to_numpy(zero_copy_only=False), np.bool_)
    groups = {
        name: pc.fill_null(pc.struct_field(found, name), "") for name in re.findall(r"\(\?P<(\w+)>", form.pattern)
    }
    return Fields(matches, groups)


def parse(fields: Fields, form: Form, order: Order) -> Parsed:
    """Return the times of the values that match; `valid` is false where there is no such day or time of day."""
    if form is EPOCH:
        return _parse_epoch(fields)
    year = fields.number("year", 1970)
    year = np.where(year < 100, year + np.where(year < _FIRST_TWO_DIGIT_YEAR, 2000, 1900), year)
    valid = fields.matches & (year >= FIRST_YEAR) & (year <= LAST_YEAR)
    days, valid_day = _to_days(fields, year, order)
    seconds, valid_time = _to_seconds(fields)
    offset, valid_zone = _parse_zones(fields)
    has_zone = fields.has("zone") | fields.has("zone2")
    valid &= valid_day & valid_time & valid_zone
    return Parsed(valid, days * 86_400 + seconds, fields.has("hour"), has_zone, offset)


def _parse_epoch(fields: Fields) -> Parsed:
    """Return times since 1970 in seconds, milliseconds, microseconds or nanoseconds, told apart by their size."""
    value = fields.number("epoch")
    unit = np.select([value < 10**11, value < 10**14, value < 10**17], [1, 10**3, 10**6], 10**9)
    seconds = value // unit
    valid = fields.matches & (seconds >= 10**8) & (seconds < 4_102_444_800)  # 1973 to 2100
    true = np.ones(len(value), np.bool_)
    return Parsed(valid, seconds, true, true, np.zeros(len(value), np.int64))


def _to_days(fields: Fields, year: Integers, order: Order) -> tuple[Integers, Flags]:
    """Return the days since 1970, and whether the day exists."""
    if "week" in fields.groups:
        return _week_to_days(year, fields.number("week", 1), fields.number("weekday", 1))
    if "left" in fields.groups:
        left, right = fields.number("left", 1), fields.number("right", 1)
        day, month = (left, right) if order == "day-first" else (right, left)
    else:
        month, day = _month_numbers(fields), fields.number("day", 1)
    possible = (month >= 1) & (month <= 12) & (day >= 1)
    months = ((year - 1970) * 12 + np.where(possible, month, 1) - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]").astype(np.int64) + day - 1
    return days, possible & (days < (months + 1).astype("datetime64[D]").astype(np.int64))


def _month_numbers(fields: Fields) -> Integers:
    if "quarter" in fields.groups:
        return fields.number("quarter", 1) * 3 - 2
    if "name" not in fields.groups:
        return fields.number("month", 1)
    starts = pc.utf8_lower(pc.utf8_slice_codeunits(fields.groups["name"], 0, 3))
    found = pc.index_in(starts, value_set=pa.array(MONTHS))
    return np.asarray(pc.fill_null(found, -1).to_numpy(zero_copy_only=False), np.int64) + 1


def _week_to_days(year: Integers, week: Integers, weekday: Integers) -> tuple[Integers, Flags]:
    """Return the days of ISO weeks: week 1 contains January 4, and a week belongs to the year of its Thursday."""
    january4 = (year - 1970).astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64) + 3
    monday = january4 - (january4 + 3) % 7 + (week - 1) * 7
    thursday_year = (monday + 3).astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
    return monday + weekday - 1, (week >= 1) & (thursday_year == year)


def _to_seconds(fields: Fields) -> tuple[Integers, Flags]:
    """Return the seconds since the start of the day, and whether the time of day exists. 24:00 ends the day."""
    hour, minute, second = fields.number("hour"), fields.number("minute"), fields.number("second")
    valid = (minute < 60) & (second <= 60)
    valid &= (hour < 24) | ((hour == 24) & (minute == 0) & (second == 0))
    if "half" in fields.groups:
        has_half = fields.has("half")
        is_afternoon = np.asarray(
            pc.equal(pc.ascii_lower(fields.groups["half"]), "p").to_numpy(zero_copy_only=False), np.bool_
        )
        valid &= ~has_half | ((hour >= 1) & (hour <= 12))
        hour = np.where(has_half, hour % 12 + 12 * is_afternoon, hour)
    return hour * 3_600 + minute * 60 + np.minimum(second, 59), valid


def _parse_zones(fields: Fields) -> tuple[Integers, Flags]:
    """Return the offsets in seconds. Few distinct zones occur, so each is parsed once."""
    count = len(fields.matches)
    if "zone" not in fields.groups:
        return np.zeros(count, np.int64), np.ones(count, np.bool_)
    text = fields.groups["zone"]
    if "zone2" in fields.groups:
        text = pc.if_else(pc.equal(text, ""), fields.groups["zone2"], text)
    encoded = text.dictionary_encode()
    offsets = [_zone_offset(zone) for zone in encoded.dictionary.to_pylist()]
    numbers = np.array([0 if offset is None else offset for offset in offsets], np.int64)
    known = np.array([offset is not None for offset in offsets], np.bool_)
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    return numbers[codes], known[codes]


def _zone_offset(text: str) -> int | None:
    """Return the seconds east of UTC, or None if they cannot be."""
    zone = re.sub(r"^(UTC|GMT|UT)", "", text.upper().replace("\N{MINUS SIGN}", "-"))
    if zone in ("", "Z"):
        return 0
    if zone in _NAMED_ZONES:
        return _NAMED_ZONES[zone] * 3_600
    hours, minutes = int(zone[1:3]), int(zone[3:].replace(":", "") or 0)
    seconds = (hours * 60 + minutes) * 60
    return (-seconds if zone[0] == "-" else seconds) if hours <= 15 and minutes < 60 else None
