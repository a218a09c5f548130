"""The response of `describe-metric-set` of Amazon Lookout for Metrics, as records.

Source: `DescribeMetricSet` and its data types in the API reference of Amazon Lookout for Metrics.
"""

from typing import Any

import msgspec

from anomalake.domain.errors import UserError


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="pascal"):
    pass


class Metric(_Record, frozen=True):
    """A measure."""

    metric_name: str
    aggregation_function: str
    namespace: str | None = None


class TimestampColumn(_Record, frozen=True):
    """The column of the timestamps and its format."""

    column_name: str | None = None
    column_format: str | None = None


class Csv(_Record, frozen=True):
    """`CsvFormatDescriptor`."""

    file_compression: str = "NONE"
    charset: str = "UTF-8"
    contains_header: bool | None = None
    delimiter: str = ","
    header_list: tuple[str, ...] = ()
    quote_symbol: str = '"'


class Json(_Record, frozen=True):
    """`JsonFormatDescriptor`."""

    file_compression: str = "NONE"
    charset: str = "UTF-8"


class FileFormat(_Record, frozen=True):
    """`FileFormatDescriptor`: one of both."""

    csv_format_descriptor: Csv | None = None
    json_format_descriptor: Json | None = None


class S3(_Record, frozen=True):
    """`S3SourceConfig`."""

    templated_path_list: tuple[str, ...] = ()
    historical_data_path_list: tuple[str, ...] = ()
    file_format_descriptor: FileFormat = FileFormat()
    role_arn: str | None = None


class MetricSource(_Record, frozen=True):
    """Where the data is: one of the sources."""

    s3_source_config: S3 | None = None
    app_flow_config: dict[str, Any] | None = None
    cloud_watch_config: dict[str, Any] | None = None
    rds_source_config: dict[str, Any] | None = msgspec.field(default=None, name="RDSSourceConfig")
    redshift_source_config: dict[str, Any] | None = None
    athena_source_config: dict[str, Any] | None = None


class Filter(_Record, frozen=True):
    """A filter on a dimension, which is not converted."""

    name: str | None = None
    filter_list: tuple[dict[str, Any], ...] = ()


class DescribedMetricSet(_Record, frozen=True):
    """The response of `DescribeMetricSet`."""

    metric_set_name: str
    metric_list: tuple[Metric, ...]
    metric_set_frequency: str
    metric_set_arn: str | None = None
    metric_set_description: str | None = None
    anomaly_detector_arn: str | None = None
    creation_time: str | float | None = None
    last_modification_time: str | float | None = None
    offset: int = 0
    timestamp_column: TimestampColumn = TimestampColumn()
    dimension_list: tuple[str, ...] = ()
    timezone: str | None = None
    metric_source: MetricSource = MetricSource()
    dimension_filter_list: tuple[Filter, ...] = ()
    response_metadata: dict[str, Any] | None = None


def decode_response(text: str, where: str) -> DescribedMetricSet:
    """Return the response in a JSON text.

    Raises `UserError` for another response, and for missing or unknown fields.
    """
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise UserError(
            f"{where}: is not JSON ({error}); save the output of `aws lookoutmetrics describe-metric-set --output json`"
        ) from error
    if not isinstance(document, dict):
        raise UserError(
            f"{where}: is not a response of describe-metric-set, a JSON object with MetricSetName and MetricList"
        )
    if "AnomalyDetectorName" in document or "AnomalyDetectorConfig" in document:
        raise UserError(
            f"{where}: is a response of describe-anomaly-detector; use the response of describe-metric-set, "
            "which has the measures"
        )
    if "MetricSetSummaryList" in document:
        raise UserError(
            f"{where}: is a response of list-metric-sets; use the response of describe-metric-set, "
            "which has the measures"
        )
    try:
        return msgspec.convert(document, DescribedMetricSet)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at ")
        field = path.strip("`").removeprefix("$").removeprefix(".")
        problem = problem.replace("Object missing required field", "lacks the field").replace(
            "Object contains unknown field", "has the unknown field"
        )
        raise UserError(
            f"{where}: {field + ': ' if field else ''}{problem}; use the complete response of describe-metric-set"
        ) from error
