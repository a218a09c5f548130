"""The datasets of an analysis: their identifiers, which are the names of views, and the columns that they share."""

from collections.abc import Mapping, Sequence
from typing import Any

Node = dict[str, Any]  # a part of a definition

LIVE = "anomalies_with_live"
CONTRIBUTIONS = "anomalies_with_contributions"
LOG = "anomaly_log"
BAND = "metrics_with_band"
HEALTH = "data_health"
DATASETS = (LIVE, CONTRIBUTIONS, LOG, BAND, HEALTH)
# The datasets over all metric sets.
ALL_ANOMALIES = "all_anomalies"
ALL_CONTRIBUTIONS = "all_contributions"
ALL_LOG = "all_anomaly_log"
ALL_DATASETS = (ALL_ANOMALIES, ALL_CONTRIBUTIONS, ALL_LOG)

TIME = "localtimestamp"  # the start of the interval, in the metric set's time zone
UTC_DAY = "utcday"  # the partition column: the date in UTC

_PLACEHOLDER_ARN = "arn:aws:quicksight:::dataset/"  # for a preview, which reads no dataset in AWS


def declare_datasets(names: Sequence[str], arns: Mapping[str, Any] | None) -> list[Node]:
    """Return the declarations of the datasets.

    `arns` gives each dataset's ARN as a string or a CloudFormation function.
    """
    return [{"Identifier": name, "DataSetArn": (arns or {}).get(name, _PLACEHOLDER_ARN + name)} for name in names]


def build_column(dataset: str, name: str) -> dict[str, str]:
    """Return a reference to a column. Athena's column names are lower case."""
    return {"DataSetIdentifier": dataset, "ColumnName": name.lower()}
