"""The series key: the values of a metric set's dimensions, in declared order, as one text that tells any two series apart.

Injective and the same in every engine: `%` and `|` inside a value are percent-encoded, a null is `%null`, values are joined by `|`.
`catalog.sql.key_sql` writes the same rule in SQL.
"""

from collections.abc import Iterable

NULL = "%null"


def build_series_key(values: Iterable[str | None]) -> str:
    """`["pc_web", None, "a|b"]` -> `pc_web|%null|a%7Cb`."""
    return "|".join(NULL if value is None else value.replace("%", "%25").replace("|", "%7C") for value in values)
