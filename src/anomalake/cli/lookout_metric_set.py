"""Converts a metric set of Amazon Lookout for Metrics: the saved response of `describe-metric-set`, with notes.

Does no input or output. Source: `DescribeMetricSet` and its data types in the API reference of Amazon Lookout for
Metrics. The service has ended.
"""

import codecs
import re
from collections import Counter
from typing import Any

import msgspec

from anomalake.cli.lookout_response import S3, Csv, DescribedMetricSet, TimestampColumn, decode_response
from anomalake.cli.proposal.document import Proposal, to_yaml
from anomalake.domain import metric_set_yaml
from anomalake.domain.errors import UserError
from anomalake.domain.names import to_metric_set_name
from anomalake.domain.time_patterns import UNIX

_S3_CONFIG = "MetricSource.S3SourceConfig"
_CSV_DESCRIPTOR = f"{_S3_CONFIG}.FileFormatDescriptor.CsvFormatDescriptor"
_JSON_DESCRIPTOR = f"{_S3_CONFIG}.FileFormatDescriptor.JsonFormatDescriptor"
# The fields of a metric set, and the same fields of the response, so that errors name the field of the response.
_RESPONSE_FIELDS = (
    (r"^frequency", "MetricSetFrequency"),
    (r"^timezone", "Timezone"),
    (r"^timestamp\.column", "TimestampColumn.ColumnName"),
    (r"^timestamp\.format", "TimestampColumn.ColumnFormat"),
    (r"^dimensions(\[\d+\])\.name", r"DimensionList\1"),
    (r"^dimensions", "DimensionList"),
    (r"^measures(\[\d+\])\.name", r"MetricList\1.MetricName"),
    (r"^measures(\[\d+\])\.aggregation", r"MetricList\1.AggregationFunction"),
    (r"^measures", "MetricList"),
    (r"^source\.path", f"{_S3_CONFIG}.TemplatedPathList"),
    (r"^source\.columns", f"{_CSV_DESCRIPTOR}.HeaderList"),
    (r"^source\.delimiter", f"{_CSV_DESCRIPTOR}.Delimiter"),
    (r"^source\.quote", f"{_CSV_DESCRIPTOR}.QuoteSymbol"),
    (r"^source\.compression", f"{_S3_CONFIG}.FileFormatDescriptor: FileCompression"),
    (r"^source\.offset", "Offset"),
)
# Python's name of each charset, and its name in a metric set.
_CHARSETS = {"utf-8": "UTF-8", "ascii": "UTF-8", "iso8859-1": "ISO-8859-1"}
# Used where the response has no timestamp column; a metric set requires one even without a source.
_DEFAULT_TIMESTAMP = TimestampColumn("timestamp", "yyyy-MM-dd HH:mm:ss")


def convert(text: str, where: str) -> Proposal:
    """Return the metric set of a `describe-metric-set` response (JSON), as YAML that `metric_set_yaml.parse` accepts.

    `where` is the name of the response in errors. Raises `UserError` for what cannot be converted, with the names of
    the response, and with what to do.
    """
    described = decode_response(text, where)
    _require_unique_measures(described, where)
    notes: list[str] = []
    document: dict[str, Any] = {"name": _name(described, notes), "version": 1}
    if described.metric_set_description:
        document["description"] = described.metric_set_description
    timestamp = _timestamp(described, where, notes)
    document |= {
        "frequency": described.metric_set_frequency,
        "timezone": described.timezone or "UTC",
        "timestamp": {"column": timestamp.column_name, "format": timestamp.column_format},
        "dimensions": list(described.dimension_list),
        "measures": [
            {"name": metric.metric_name, "aggregation": metric.aggregation_function} for metric in described.metric_list
        ],
    }
    source = _source(described, timestamp, where, notes)
    if source is not None:
        document["source"] = source
    document["alerts"] = {"sensitivity": 50, "detectors": _detectors(described, notes)}
    notes.append("alerts.sensitivity: 50 is used; the response does not have it, each alert of the detector did")
    notes += [
        f"DimensionFilterList: the filter on '{filtered.name}' is not converted; "
        "write only the rows that the detector should process to the live data"
        for filtered in described.dimension_filter_list
    ]
    yaml = to_yaml(document)
    try:
        metric_set_yaml.parse(yaml, where)
    except UserError as error:
        problem = _name_response_field(str(error).removeprefix(f"{where}: "))
        raise UserError(f"{where}: {problem}") from error
    return Proposal(yaml, tuple(notes))


def _require_unique_measures(described: DescribedMetricSet, where: str) -> None:
    """Raise `UserError` where two measures have one name."""
    counts = Counter(metric.metric_name for metric in described.metric_list)
    repeated = next((name for name, count in counts.items() if count > 1), None)
    if repeated is None:
        return
    kinds = [
        f"{metric.aggregation_function} in {metric.namespace}" if metric.namespace else metric.aggregation_function
        for metric in described.metric_list
        if metric.metric_name == repeated
    ]
    raise UserError(
        f"{where}: MetricList: the measure '{repeated}' occurs {len(kinds)} times ({', '.join(kinds)}), and a measure "
        "is one column of the tables; keep one of them, or rename the others here and in the data"
    )


def _name(described: DescribedMetricSet, notes: list[str]) -> str:
    name = to_metric_set_name(described.metric_set_name)
    if name != described.metric_set_name:
        notes.append(f"name: '{described.metric_set_name}' becomes '{name}', which names folders, tables and databases")
    return name


def _timestamp(described: DescribedMetricSet, where: str, notes: list[str]) -> TimestampColumn:
    """Return the timestamp column and its format.

    The usual ones are used if the response lacks them and has no S3 source.
    """
    column = described.timestamp_column
    if column.column_name and column.column_format:
        return TimestampColumn(
            column.column_name, UNIX if column.column_format.upper() == UNIX else column.column_format
        )
    missing = "ColumnFormat" if column.column_name else "ColumnName"
    if described.metric_source.s3_source_config is not None:
        raise UserError(
            f"{where}: TimestampColumn: lacks the field `{missing}`; add it "
            f"(a format is such as {_DEFAULT_TIMESTAMP.column_format}, or UNIX)"
        )
    used = TimestampColumn(column.column_name or _DEFAULT_TIMESTAMP.column_name, _DEFAULT_TIMESTAMP.column_format)
    notes.append(
        f"timestamp: the response has no {missing}; the column '{used.column_name}' and the format "
        f"'{used.column_format}' are used"
    )
    return used


def _detectors(described: DescribedMetricSet, notes: list[str]) -> list[str]:
    detector = (described.anomaly_detector_arn or "").rpartition(":")[2]
    if not detector:
        notes.append(
            "alerts.detectors: the response has no AnomalyDetectorArn; add the name of the detector here "
            "to store alerts of that detector"
        )
    elif set(detector) & set("*?["):
        notes.append(
            f"alerts.detectors: the detector name '{detector}' of the response would be read as a pattern; "
            "write the name here"
        )
        return []
    return [detector] if detector else []


def _source(
    described: DescribedMetricSet, timestamp: TimestampColumn, where: str, notes: list[str]
) -> dict[str, Any] | None:
    """Return the fields of `source`; None if the data is not in S3."""
    s3 = described.metric_source.s3_source_config
    if s3 is None:
        given = [name for name, value in msgspec.to_builtins(described.metric_source).items() if value is not None]
        reason = f"{given[0]} is not supported" if given else "the response has no source"
        notes.append(
            f"source: left out, because {reason}; to run the detector on this metric set, write its data to S3, "
            "one folder for each interval, and describe the files in `source` (docs/metric-sets.md)"
        )
        return None
    formats = s3.file_format_descriptor
    source: dict[str, Any] = {"path": _path(s3, where, notes)}
    columns = (
        timestamp.column_name,
        *described.dimension_list,
        *(metric.metric_name for metric in described.metric_list),
    )
    if formats.csv_format_descriptor is not None:
        source |= _csv(formats.csv_format_descriptor, columns, where, notes)
    elif formats.json_format_descriptor is not None:
        json_format = formats.json_format_descriptor
        charset = _charset(json_format.charset, f"{_JSON_DESCRIPTOR}.Charset", where, {"UTF-8"}, notes)
        source |= {
            "format": "jsonl",
            "columns": list(columns),
            "charset": charset,
            "compression": json_format.file_compression.lower(),
        }
    else:
        raise UserError(
            f"{where}: {_S3_CONFIG}: lacks the field `FileFormatDescriptor`; "
            "add it with a CsvFormatDescriptor or a JsonFormatDescriptor"
        )
    if s3.historical_data_path_list:
        notes.append(
            f"HistoricalDataPathList: {', '.join(s3.historical_data_path_list)} is not converted; "
            "to learn from this data, write it as live data (`anomalake backtest --data FILE`)"
        )
    return {**source, "offset": described.offset}


def _path(s3: S3, where: str, notes: list[str]) -> str:
    if len(s3.templated_path_list) != 1:
        raise UserError(
            f"{where}: {_S3_CONFIG}.TemplatedPathList: must have one path, not {len(s3.templated_path_list)}; "
            "keep the path of the live data"
        )
    (path,) = s3.templated_path_list
    match = re.fullmatch(r"s3://([^/{}]+)/(.+)", path)
    if match is None:
        raise UserError(
            f"{where}: {_S3_CONFIG}.TemplatedPathList: '{path}' must have the form "
            "s3://bucket/ecommerce/live/{{yyyyMMdd}}/{{HHmm}}"
        )
    notes.append(
        f"source.path: the data is in the bucket '{match[1]}'; deploy the stack with this existing bucket, "
        "or copy the data to the lake"
    )
    return match[2].rstrip("/")


def _csv(csv_format: Csv, columns: tuple[str | None, ...], where: str, notes: list[str]) -> dict[str, Any]:
    header = not csv_format.header_list if csv_format.contains_header is None else csv_format.contains_header
    if csv_format.contains_header is None:
        notes.append(f"source.header: the response does not have it; {str(header).lower()} is used")
    if not csv_format.header_list:
        notes.append(
            "source.columns: the response does not have the order of the columns; timestamp, dimensions, measures is "
            "used. List every column of the file in its order, also those that are not used"
        )
    return {
        "format": "csv",
        "columns": list(csv_format.header_list or columns),
        "delimiter": csv_format.delimiter,
        "quote": csv_format.quote_symbol,
        "header": header,
        "charset": _charset(csv_format.charset, f"{_CSV_DESCRIPTOR}.Charset", where, {"UTF-8", "ISO-8859-1"}, notes),
        "compression": csv_format.file_compression.lower(),
    }


def _charset(charset: str, field: str, where: str, supported: set[str], notes: list[str]) -> str:
    """Return the charset, where it is supported; else UTF-8, under which other rows are reported and never misread."""
    try:
        known = _CHARSETS.get(codecs.lookup(charset).name)
    except (LookupError, ValueError):
        raise UserError(f"{where}: {field}: '{charset}' is not a charset; UTF-8 and ISO-8859-1 are supported") from None
    if known in supported:
        return known
    notes.append(
        f"source.charset: {charset} is not supported and UTF-8 is used; "
        f"write the files in {' or '.join(sorted(supported, reverse=True))}"
    )
    return "UTF-8"


def _name_response_field(problem: str) -> str:
    """Return a problem of the metric set with the name of the field in the response, and where to fix it."""
    for pattern, response_field in _RESPONSE_FIELDS:
        if re.match(pattern, problem):
            changed = re.sub(pattern, response_field, problem)
            return f"{changed}. Change it in the data, then here, and import again"
    return problem
