"""Calculated fields: whether a row's partition can be in the window, and values of several series together.

Values of several series are rolled up by the aggregation of the measure: SUM, COUNT and COUNT_DISTINCT are added up,
MIN and MAX are the least and the greatest, AVG is the mean over the rows behind the means, RATIO is a ratio of sums.
"""

from collections.abc import Sequence

from anomalake.dashboards.definition.datasets import BAND, LIVE, UTC_DAY
from anomalake.domain.metric_set import Aggregation, Measure, MetricSet

# 1 where the row's UTC date can be in the window from `From` to `Until`. There are two fields because Athena reads
# fewer partitions when a condition names the partition column once. The parameters are local times; a zone's clock is
# at most 14 hours ahead of UTC and 12 hours behind it, and a date stands for its first moment.
PARTITION_IN_WINDOW = {
    "from": ("partition in window, from", f"ifelse({{{UTC_DAY}}} >= addDateTime(-2, 'DD', ${{From}}), 1, 0)"),
    "until": ("partition in window, until", f"ifelse({{{UTC_DAY}}} <= addDateTime(1, 'DD', ${{Until}}), 1, 0)"),
}

# What the names of a band's fields add to the line, for aggregations that are not added up.
_ROLL_UPS: dict[Aggregation, str] = {"AVG": "mean", "RATIO": "ratio", "MIN": "minimum", "MAX": "maximum"}
_WEIGHT = "coalesce({weight}, 1)"  # an observation that was written without a weight counts once
# `observed` has only rows that have an expected value, as the other lines do.
_EXTREMES = {
    "observed": "{value} + 0 * {expectedvalue}",
    "expected": "{expectedvalue}",
    "lower": "{lowerbound}",
    "upper": "{upperbound}",
}


def build_partition_fields(datasets: Sequence[str]) -> list[dict[str, str]]:
    """Return the fields of `PARTITION_IN_WINDOW` for each dataset."""
    return [
        {"DataSetIdentifier": dataset, "Name": name, "Expression": expression}
        for dataset in datasets
        for name, expression in PARTITION_IN_WINDOW.values()
    ]


def name_band_fields(aggregation: Aggregation) -> dict[str, str]:
    """Return the names of the fields of a band by line: observed, expected, lower and upper."""
    names = {"observed": "observed", "expected": "expected", "lower": "lower bound", "upper": "upper bound"}
    roll_up = _ROLL_UPS.get(aggregation)
    if roll_up is None:
        return names
    return {line: f"{name} of {roll_up}" if "bound" in name else f"{name} {roll_up}" for line, name in names.items()}


def build_band_fields(metric_set: MetricSet) -> list[dict[str, str]]:
    """Return the fields of the band, for each aggregation that the metric set's measures use."""
    expressions = {
        name: _band_expression(aggregation, line)
        for aggregation in sorted({measure.aggregation for measure in metric_set.measures})
        for line, name in name_band_fields(aggregation).items()
    }
    return [
        {"DataSetIdentifier": BAND, "Name": name, "Expression": expression} for name, expression in expressions.items()
    ]


def _band_expression(aggregation: Aggregation, line: str) -> str:
    match aggregation:
        case "AVG" | "RATIO":
            return f"({_band_sum(line, f'{_WEIGHT} * ')}) / sum({_WEIGHT} + 0 * {{expectedvalue}})"
        case "MIN" | "MAX":
            return f"{aggregation.lower()}({_EXTREMES[line]})"
    return _band_sum(line)


def _band_sum(line: str, factor: str = "") -> str:
    """Return the sum over several series, each value multiplied by the factor.

    The deviations of several series add up in squares, like the deviations of independent variables. The band of one
    series is the series' own band.
    """
    expected = f"sum({factor}{{expectedvalue}})"
    match line:
        case "observed":
            return f"sum({factor}({{value}} - {{expectedvalue}})) + {expected}"
        case "lower":
            deviation = f"{factor}({{expectedvalue}} - {{lowerbound}})"
            return f"{expected} - sqrt(sum({deviation} * {deviation}))"
        case "upper":
            deviation = f"{factor}({{upperbound}} - {{expectedvalue}})"
            return f"{expected} + sqrt(sum({deviation} * {deviation}))"
    return expected


def name_live_ratio(measure: Measure) -> str:
    """Return the name of the field that rolls up a ratio of the live data. No column has such a name."""
    return f"{measure.name.lower()}, ratio of sums"


def name_anomalous_ratio(measure: Measure) -> str:
    """Return the name of the field that rolls up the anomalous values of a ratio. No column has such a name."""
    return f"{measure.name.lower()}, anomalous ratio"


def build_ratio_fields(metric_set: MetricSet) -> list[dict[str, str]]:
    """Return the fields that roll up each ratio of the live data, and its anomalous values.

    An anomalous value without live data has the weight 1, as an observation without a weight.
    """
    fields = []
    for measure in metric_set.measures:
        if measure.aggregation != "RATIO":
            continue
        numerator, denominator = str(measure.numerator).lower(), str(measure.denominator).lower()
        anomalous = f"{{{measure.name.lower()}anomalymetricvalue}}"
        weight = f"coalesce({{{denominator}}}, 1)"
        expressions = {
            name_live_ratio(measure): f"sum({{{numerator}}}) / sum({{{denominator}}})",
            name_anomalous_ratio(measure): f"sum({weight} * {anomalous}) / sum({weight} + 0 * {anomalous})",
        }
        fields += [
            {"DataSetIdentifier": LIVE, "Name": name, "Expression": expression}
            for name, expression in expressions.items()
        ]
    return fields
