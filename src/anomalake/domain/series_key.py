"""The series key: one text for the dimension values of a time series, in declared order.

Different series have different keys.

The encoding is injective and the same in every engine: `%` and `|` inside a value are percent-encoded, a null is
`%null`, and `|` joins the values. `catalog.sql.series_key` implements the same rule in SQL.
"""

from collections.abc import Iterable

NULL = "%null"


def build_series_key(values: Iterable[str | None]) -> str:
    """Encode dimension values as a key: `["pc_web", None, "a|b"]` -> `pc_web|%null|a%7Cb`."""
    return "|".join(NULL if value is None else value.replace("%", "%25").replace("|", "%7C") for value in values)
