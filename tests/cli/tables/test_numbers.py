"""Numbers are written plainly, whatever marks, signs and units their column has."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalake.cli.tables.numbers import recognise_numbers


def recognise(*values, decimal=None):
    return recognise_numbers(pd.Series(values, dtype="str"), decimal)


@pytest.mark.property
@given(
    st.lists(st.decimals(-(10**9), 10**9, places=2), min_size=1, max_size=6),
    st.sampled_from([(",", "."), (".", ","), (" ", ","), ("'", "."), ("\N{NARROW NO-BREAK SPACE}", ","), ("", ".")]),
    st.sampled_from(["{}", "€ {}", "{} €", "{} %", "USD {}"]),
)
def test_a_number_in_any_notation_is_the_same_number(values, marks, unit):
    group, decimal = marks
    texts = [unit.format(f"{value:,}".replace(",", "g").replace(".", decimal).replace("g", group)) for value in values]
    found = recognise(*texts)
    assert found.values.tolist() == [float(value) for value in values]
    assert [float(text) for text in found.texts] == found.values.tolist()
    assert (found.decimal, found.is_ambiguous, found.is_percent) == (decimal, False, "%" in unit)


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        (["($1,234.50)", "$2"], [-1234.5, 2]),
        (["12-", "\N{MINUS SIGN}3"], [-12, -3]),
        (["1,23,456"], [123456]),  # India
        (["1.234.567", "12"], [1234567, 12]),
        (["1,234", "1500"], [1.234, 1500]),  # thousands are written without a comma
        (["0,123"], [0.123]),
        (["1.234"], [1.234]),
        (["1e5", "-2.5E-3"], [1e5, -2.5e-3]),
    ],
)
def test_the_values_of_a_column_decide_its_notation(values, numbers):
    assert recognise(*values).values.tolist() == numbers


def test_a_comma_that_nothing_decides_is_ambiguous_and_can_be_chosen():
    assert (recognise("1,234", "2,345").is_ambiguous, recognise("1,234").values[0]) == (True, 1234)
    assert recognise("1,234", decimal=",").values[0] == 1.234


def test_blanks_and_placeholders_are_null_and_other_text_is_counted_and_stays():
    found = recognise("1", None, "NA", "-", "n/a", "many", "1,2,3", "(5", "9" * 1_001)
    assert found.blank == 4
    assert (found.bad.total, found.bad.first[0]) == (4, (6, "many"))
    assert found.texts[5] == "many"
    assert found.share == 0.2


def test_plain_numbers_stay_as_they_are():
    assert not recognise("01067", "1.50", None).is_changed
    assert not recognise("north", "NA").is_changed
