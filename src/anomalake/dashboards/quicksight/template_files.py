"""The files and parameters of the templates."""

from anomalake.domain.metric_set import MetricSet

STACK_PARAMETERS = ("Prefix", "Bucket", "WorkGroup", "KmsKeyArn", "OwnerArn", "ReaderArn", "ImportMode", "Topics")
DATASET_PARAMETERS = ("Prefix", "OwnerArn", "ImportMode", "DataSourceArn")
DASHBOARD_PARAMETERS = ("Prefix", "OwnerArn", "ReaderArn", "FolderArn")
ANALYSIS_PARAMETERS = ("Prefix", "OwnerArn")
TOPIC_PARAMETERS = ("Prefix", "FolderArn")


def set_template_file(metric_set: MetricSet, part: str) -> str:
    """Return the file of one part of the metric set, such as `datasets`, below `quicksight/`."""
    return f"sets/{metric_set.name}/{part}.json"
