"""The sheet "Contributions": what share each dimension value has in each event, as a pivot table."""

from collections.abc import Sequence

from anomalake.dashboards.definition.datasets import TIME
from anomalake.dashboards.definition.layout import PlacedVisual, Sheet, build_sheet
from anomalake.dashboards.definition.visuals import pivot_table
from anomalake.dashboards.definition.window import Granularity
from anomalake.domain.metric_set import Dimension

_ROWS = ((TIME, "Time"), ("dimensionname", "Dimension"), ("metricname", "Measure"), ("dimensionvalue", "Value"))


def build_contributions(
    dataset: str,
    granularity: Granularity,
    *,
    outer_rows: Sequence[tuple[str, str]] = (),
    dimensions: Sequence[Dimension] = (),
) -> Sheet:
    """Return the contributions in the dataset.

    `outer_rows` are columns, with labels, that divide the table before the time does.
    """
    pivot = pivot_table(
        "pivot",
        "What contributed to each event, per cent",
        dataset=dataset,
        rows=[*outer_rows, *_ROWS],
        value=("contributionshare", "Contribution, %"),
        granularity=granularity,
    )
    return build_sheet("contributions", "Contributions", [PlacedVisual(pivot, 36, 21)], dimensions)
