"""Ids of sheets, filters and controls, made from the names of measures and dimensions."""

from anomalake.domain.metric_set import Measure


def join_names(*names: str) -> str:
    """Join names to one id with hyphens.

    A hyphen inside a name is doubled, so different lists of names give different ids (a name starts with a letter or
    digit).
    """
    return "-".join(name.lower().replace("-", "--") for name in names)


def measure_sheet_id(measure: Measure) -> str:
    """Return the id of the measure's sheet."""
    return join_names("measure", measure.name)


def dimension_filter_id(dimension: str) -> str:
    """Return the id of the filter that a drop-down list of the dimension controls."""
    return join_names("choose", dimension)
