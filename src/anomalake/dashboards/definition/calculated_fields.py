"""Calculated fields: whether a row's partition can be in the window, and the band of several series together."""

from collections.abc import Sequence

from anomalake.dashboards.definition.datasets import BAND, UTC_DAY
from anomalake.domain.metric_set import MetricSet

# 1 where the row's UTC date can be in the window from `From` to `Until`. There are two fields because Athena reads
# fewer partitions when a condition names the partition column once. The parameters are local times; a zone's clock is
# at most 14 hours ahead of UTC and 12 hours behind it, and a date stands for its first moment.
PARTITION_IN_WINDOW = {
    "from": ("partition in window, from", f"ifelse({{{UTC_DAY}}} >= addDateTime(-2, 'DD', ${{From}}), 1, 0)"),
    "until": ("partition in window, until", f"ifelse({{{UTC_DAY}}} <= addDateTime(1, 'DD', ${{Until}}), 1, 0)"),
}

# The names of the four lines of a band, by the aggregation of the measure.
BAND_FIELD_NAMES = {
    "SUM": {"observed": "observed", "expected": "expected", "lower": "lower bound", "upper": "upper bound"},
    "AVG": {
        "observed": "observed mean",
        "expected": "expected mean",
        "lower": "lower bound of mean",
        "upper": "upper bound of mean",
    },
}
# The deviations of several series add up in squares, like the deviations of independent variables. The band of one
# series is the series' own band.
_BAND_SUMS = {
    "observed": "sum({value} - {expectedvalue}) + sum({expectedvalue})",  # only rows that have an expected value
    "expected": "sum({expectedvalue})",
    "lower": "sum({expectedvalue}) - sqrt(sum(({expectedvalue} - {lowerbound}) * ({expectedvalue} - {lowerbound})))",
    "upper": "sum({expectedvalue}) + sqrt(sum(({upperbound} - {expectedvalue}) * ({upperbound} - {expectedvalue})))",
}


def build_partition_fields(datasets: Sequence[str]) -> list[dict[str, str]]:
    """Return the fields of `PARTITION_IN_WINDOW` for each dataset."""
    return [
        {"DataSetIdentifier": dataset, "Name": name, "Expression": expression}
        for dataset in datasets
        for name, expression in PARTITION_IN_WINDOW.values()
    ]


def build_band_fields(metric_set: MetricSet) -> list[dict[str, str]]:
    """Return the fields of the band, for each aggregation that the metric set's measures use."""
    return [
        {"DataSetIdentifier": BAND, "Name": name, "Expression": _band_expression(aggregation, line)}
        for aggregation in sorted({measure.aggregation for measure in metric_set.measures})
        for line, name in BAND_FIELD_NAMES[aggregation].items()
    ]


def _band_expression(aggregation: str, line: str) -> str:
    total = _BAND_SUMS[line]
    return total if aggregation == "SUM" else f"({total}) / count({{expectedvalue}})"
