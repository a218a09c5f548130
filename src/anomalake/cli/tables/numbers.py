"""Decides how the numbers of a column are written, and writes them plainly: `(1.234,50 €)` becomes `-1234.50`."""

import re
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from anomalake.cli.tables.table import BadRows, find_bad_rows

MAX_NUMBER_CHARACTERS = 1_000
SAMPLE_VALUES = 1_000  # distinct values, of which one must be a number
Decimal = Literal[".", ","]
# In lower case; the last ones are dashes, and an ellipsis.
PLACEHOLDERS = tuple(
    "na n/a #n/a nan null none nil - -- . .. ? #div/0! #value! #ref! "
    "\N{EM DASH} \N{EN DASH} \N{HORIZONTAL ELLIPSIS}".split()
)
_PLAIN = r"^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?$"
_CURRENCY = r"(?:\p{Sc}|US\$|USD|EUR|GBP|JPY|CHF|CAD|AUD|CNY|INR|SEK|NOK|DKK|PLN|CZK|BRL|MXN|ZAR|kr\.?|zł|Kč|Fr\.?|R\$)"
_BLANK = r"\s\x{A0}\x{202F}\x{2009}"
_GROUP = rf"'\x{{2019}}{_BLANK}"  # marks that only separate thousands, besides the comma or the dot
_MINUS = r"\-\x{2212}"
_DIGITS = rf"\d[\d.,'\x{{2019}}]*(?:[{_BLANK}]\d{{3}}[\d.,]*)*|[.,]\d+"
_DECORATED = (
    rf"^(?P<open>\()?(?P<sign>[+{_MINUS}])?[{_BLANK}]*{_CURRENCY}?[{_BLANK}]*(?P<sign2>[+{_MINUS}])?"
    rf"(?P<digits>{_DIGITS})(?P<exponent>[eE][+-]?\d{{1,3}})?[{_BLANK}]*(?P<percent>%)?[{_BLANK}]*{_CURRENCY}?"
    rf"(?P<close>\))?(?P<sign3>[{_MINUS}])?$"
)


class Numbers(NamedTuple):
    """A column of numbers."""

    texts: "pd.Series[Any]"  # plain numbers; blanks and placeholders are null; text that is no number stays as it is
    values: "pd.Series[Any]"  # as floats; NaN where there is no number
    bad: BadRows  # rows with text that is no number
    blank: int  # rows without text, or with a placeholder such as NA
    decimal: Decimal
    is_percent: bool  # numbers are written with a percent sign, which is left out: 12 % is 12
    is_ambiguous: bool  # 1,234 can be a number of thousands or a fraction, and no value decides
    is_changed: bool  # whether `texts` differs from the column

    @property
    def share(self) -> float:
        """The share of numbers among the rows that are not blank; 0 without any."""
        filled = len(self.values) - self.blank
        return float(self.values.notna().sum()) / filled if filled else 0.0


def parse_numbers(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return the column as numbers; NaN where the text is not a plain number, or is longer than the limit.

    pandas raises an error for a text of thousands of digits (`MAX_NUMBER_CHARACTERS`).
    """
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column
    return pd.to_numeric(column.where(column.str.len() <= MAX_NUMBER_CHARACTERS), errors="coerce")


def recognise_numbers(column: "pd.Series[Any]", decimal: Decimal | None = None) -> Numbers:
    """Return the numbers of a column of text.

    All values together decide whether a comma or a dot is the decimal mark. `decimal` is the answer where they do not.
    """
    codes, distinct = pd.factorize(column)
    values = pc.utf8_trim_whitespace(pa.array(distinct, pa.string()))
    if not _may_hold_numbers(values[:SAMPLE_VALUES]):
        nothing = pd.Series(np.full(len(column), np.nan), index=column.index)
        filled = column.notna()
        return Numbers(column, nothing, find_bad_rows(column, filled), int((~filled).sum()), ".", False, False, False)
    is_blank = pc.or_(pc.equal(values, ""), pc.is_in(pc.utf8_lower(values), value_set=pa.array(PLACEHOLDERS)))
    is_short = pc.less_equal(pc.binary_length(values), MAX_NUMBER_CHARACTERS)
    is_plain = pc.and_(pc.match_substring_regex(values, _PLAIN), is_short)
    mark: Decimal = "."
    ambiguous = percent = False
    plain = pc.if_else(is_plain, values, pa.scalar(None, pa.string()))
    if not pc.all(pc.or_(is_plain, is_blank)).as_py() or (decimal == "," or _has_grouped_dots(values)):
        fields = pc.extract_regex(pc.if_else(pc.or_(is_blank, pc.invert(is_short)), "", values), _DECORATED)
        digits = pc.struct_field(fields, "digits").drop_null()
        mark, ambiguous = _decide_decimal(pc.unique(digits).to_pylist(), decimal)
        plain = _to_plain(fields, mark)
        percent = bool(pc.any(pc.equal(pc.struct_field(fields, "percent"), "%")).as_py())
    is_number = pc.is_valid(plain)
    floats = pc.if_else(is_number, plain, "nan").cast(pa.float64()).to_numpy(zero_copy_only=False)
    floats = np.where(np.isfinite(floats), floats, np.nan)
    texts = pc.if_else(
        is_blank, pa.scalar(None, pa.string()), pc.if_else(is_number, plain, pa.array(distinct, pa.string()))
    )
    indices = pa.array(np.where(codes < 0, 0, codes), mask=codes < 0)
    series = pd.Series(texts.take(indices), dtype="str")
    series.index = column.index
    numbers = pd.Series(np.append(floats, np.nan)[codes], index=column.index)
    blank = series.isna()
    bad = find_bad_rows(column, numbers.isna() & ~blank)
    changed = not series.equals(column.astype("str"))
    return Numbers(series, numbers, bad, int(blank.sum()), mark, percent, ambiguous, changed)


def _may_hold_numbers(sample: "pa.Array") -> bool:
    """Return whether one of the first values is a number. Without any, the column is not read further."""
    return bool(pc.any(pc.match_substring_regex(pc.utf8_slice_codeunits(sample, 0, 100), _DECORATED)).as_py())


def _has_grouped_dots(values: "pa.Array") -> bool:
    """Return whether a value has groups of digits between dots, as 1.234.567."""
    return bool(pc.any(pc.match_substring_regex(values, r"^[^\d]*\d{1,3}(\.\d{3}){2,}")).as_py())


def _decide_decimal(digits: list[str], decimal: Decimal | None) -> tuple[Decimal, bool]:
    """Return the decimal mark of numbers without signs, and whether no value decides it.

    The last of two different marks is the decimal mark. A mark that occurs twice in a number separates thousands; so
    does a mark that three digits follow in every number, unless a number of thousands is written without it.
    """
    votes = {".": 0, ",": 0}
    for text in digits:
        marks = re.sub(r"[^.,]", "", text)
        if "." in marks and "," in marks:
            last = marks[-1]
            votes[last if marks.count(last) == 1 else marks[0]] += 1
        elif len(marks) > 1:
            votes["," if marks[0] == "." else "."] += 1
        elif marks and not re.fullmatch(r"[1-9]\d{0,2}[.,]\d{3}", text):
            votes[marks] += 1
    if votes["."] or votes[","]:
        return (",", False) if votes[","] > votes["."] else (".", False)
    if not any("," in text for text in digits):
        return ".", False
    if any(re.fullmatch(r"\d{4,}", text) for text in digits):  # thousands are written without a comma
        return ",", False
    return decimal or ".", decimal is None


def _to_plain(fields: "pa.StructArray", decimal: Decimal) -> "pa.Array":
    """Return the numbers as plain text; null where the text is no number in this notation."""
    group = "," if decimal == "." else "."
    part = {
        name: pc.struct_field(fields, name)
        for name in ("open", "sign", "sign2", "digits", "exponent", "close", "sign3")
    }
    digits = part["digits"]
    mark = rf"[{group}{_GROUP}]"
    grouped = rf"\d{{1,3}}(?:{mark}\d{{2,3}})*{mark}\d{{3}}"
    is_well_formed = pc.match_substring_regex(digits, rf"^(?:{grouped}|\d*)(?:[{decimal}]\d*)?$")
    digits = pc.replace_substring_regex(digits, mark, "")
    digits = pc.replace_substring(digits, ",", ".")
    signs = pc.binary_join_element_wise(part["sign"], part["sign2"], part["sign3"], "")
    is_bracketed = pc.and_(pc.equal(part["open"], "("), pc.equal(part["close"], ")"))
    is_half_bracketed = pc.not_equal(pc.equal(part["open"], "("), pc.equal(part["close"], ")"))
    is_negative = pc.or_(is_bracketed, pc.match_substring_regex(signs, f"[{_MINUS}]"))
    is_valid = pc.and_(is_well_formed, pc.and_(pc.invert(is_half_bracketed), pc.less_equal(pc.utf8_length(signs), 1)))
    sign = pc.if_else(is_negative, "-", "")
    text = pc.binary_join_element_wise(sign, digits, part["exponent"], "")
    return pc.if_else(pc.and_(is_valid, pc.match_substring_regex(text, _PLAIN)), text, pa.scalar(None, pa.string()))
