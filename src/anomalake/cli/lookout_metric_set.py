"""A metric set from what Amazon Lookout for Metrics said of one: the saved answer of `describe-metric-set`, as YAML, with what it leaves open. Pure.

Source: `DescribeMetricSet` and the types it names, in the API reference of Amazon Lookout for Metrics (the service has ended).
"""

import codecs
import re
from collections import Counter
from typing import Any

import msgspec

from anomalake.cli.propose_metric_set import Proposal, to_yaml
from anomalake.domain import metric_set_yaml
from anomalake.domain.errors import UserError
from anomalake.domain.names import to_metric_set_name
from anomalake.domain.time_patterns import UNIX


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="pascal"):
    pass


class _Metric(_Record, frozen=True):
    metric_name: str
    aggregation_function: str
    namespace: str | None = None


class _TimestampColumn(_Record, frozen=True):
    column_name: str | None = None
    column_format: str | None = None


class _Csv(_Record, frozen=True):
    file_compression: str = "NONE"
    charset: str = "UTF-8"
    contains_header: bool | None = None
    delimiter: str = ","
    header_list: tuple[str, ...] = ()
    quote_symbol: str = '"'


class _Json(_Record, frozen=True):
    file_compression: str = "NONE"
    charset: str = "UTF-8"


class _FileFormat(_Record, frozen=True):
    csv_format_descriptor: _Csv | None = None
    json_format_descriptor: _Json | None = None


class _S3(_Record, frozen=True):
    templated_path_list: tuple[str, ...] = ()
    historical_data_path_list: tuple[str, ...] = ()
    file_format_descriptor: _FileFormat = _FileFormat()
    role_arn: str | None = None


class _MetricSource(_Record, frozen=True):
    s3_source_config: _S3 | None = None
    app_flow_config: dict[str, Any] | None = None
    cloud_watch_config: dict[str, Any] | None = None
    rds_source_config: dict[str, Any] | None = msgspec.field(default=None, name="RDSSourceConfig")
    redshift_source_config: dict[str, Any] | None = None
    athena_source_config: dict[str, Any] | None = None


class _Filter(_Record, frozen=True):
    name: str | None = None
    filter_list: tuple[dict[str, Any], ...] = ()


class _Answer(_Record, frozen=True):
    metric_set_name: str
    metric_list: tuple[_Metric, ...]
    metric_set_frequency: str
    metric_set_arn: str | None = None
    metric_set_description: str | None = None
    anomaly_detector_arn: str | None = None
    creation_time: str | float | None = None
    last_modification_time: str | float | None = None
    offset: int = 0
    timestamp_column: _TimestampColumn = _TimestampColumn()
    dimension_list: tuple[str, ...] = ()
    timezone: str | None = None
    metric_source: _MetricSource = _MetricSource()
    dimension_filter_list: tuple[_Filter, ...] = ()
    response_metadata: dict[str, Any] | None = None


_S3_CONFIG = "MetricSource.S3SourceConfig"
_CSV_DESCRIPTOR = f"{_S3_CONFIG}.FileFormatDescriptor.CsvFormatDescriptor"
_JSON_DESCRIPTOR = f"{_S3_CONFIG}.FileFormatDescriptor.JsonFormatDescriptor"
# What a metric set calls it, and where the answer says it: so that a mistake is told in the answer's own words.
_THEIRS = (
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
_CHARSETS = {"utf-8": "UTF-8", "ascii": "UTF-8", "iso8859-1": "ISO-8859-1"}  # Python's names, and a metric set's
# Where a live file says when, if the answer does not: a metric set needs it even while it has no source.
_ASSUMED = _TimestampColumn("timestamp", "yyyy-MM-dd HH:mm:ss")


def convert(text: str, where: str) -> Proposal:
    """The metric set of a `describe-metric-set` answer (JSON); `UserError` names what cannot be taken over, in the answer's terms, and what to do.

    `where` is the name that errors give the answer. The YAML is a metric set that `metric_set_yaml.parse` takes.
    """
    answer = _decode(text, where)
    repeated = [
        name for name, count in Counter(metric.metric_name for metric in answer.metric_list).items() if count > 1
    ]
    if repeated:
        kinds = [
            f"{m.aggregation_function} in {m.namespace}" if m.namespace else m.aggregation_function
            for m in answer.metric_list
        ]
        named = ", ".join(
            kind for kind, metric in zip(kinds, answer.metric_list, strict=True) if metric.metric_name == repeated[0]
        )
        raise UserError(
            f"{where}: MetricList: the measure {repeated[0]!r} stands {len(named.split(', '))} times ({named}), and a measure is one column of the "
            f"tables; keep one here, or name the others otherwise here and write them to the data under those names"
        )
    doubts: list[str] = []
    document: dict[str, Any] = {"name": _name(answer, doubts), "version": 1}
    if answer.metric_set_description:
        document["description"] = answer.metric_set_description
    moment = _timestamp(answer, where, doubts)
    document |= {
        "frequency": answer.metric_set_frequency,
        "timezone": answer.timezone or "UTC",
        "timestamp": {"column": moment.column_name, "format": moment.column_format},
        "dimensions": list(answer.dimension_list),
        "measures": [
            {"name": metric.metric_name, "aggregation": metric.aggregation_function} for metric in answer.metric_list
        ],
    }
    source = _source(answer, moment, where, doubts)
    if source is not None:
        document["source"] = source
    document["alerts"] = {"sensitivity": 50, "detectors": _detectors(answer, doubts)}
    doubts.append(
        "alerts.sensitivity: 50 was taken; the answer does not say it, it stood in each alert of the detector"
    )
    doubts += [
        f"DimensionFilterList: the filter on {one.name!r} is not taken over; write only the rows that you want watched to the live data"
        for one in answer.dimension_filter_list
    ]
    yaml = to_yaml(document)
    try:
        metric_set_yaml.parse(yaml, where)
    except UserError as error:
        raise UserError(f"{where}: {_in_their_words(str(error).removeprefix(f'{where}: '))}") from error
    return Proposal(yaml, tuple(doubts))


def _decode(text: str, where: str) -> _Answer:
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise UserError(
            f"{where}: is not JSON ({error}); save what `aws lookoutmetrics describe-metric-set --output json` printed"
        ) from error
    if not isinstance(document, dict):
        raise UserError(
            f"{where}: holds no answer of describe-metric-set; that is a JSON object with MetricSetName, MetricList and more"
        )
    if "AnomalyDetectorName" in document or "AnomalyDetectorConfig" in document:
        raise UserError(
            f"{where}: is an answer of describe-anomaly-detector; give that of describe-metric-set, which names the measures"
        )
    if "MetricSetSummaryList" in document:
        raise UserError(
            f"{where}: is an answer of list-metric-sets; give that of describe-metric-set, which names the measures"
        )
    try:
        return msgspec.convert(document, _Answer)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at ")
        field = path.strip("`").removeprefix("$").removeprefix(".")
        problem = problem.replace("Object missing required field", "lacks the field").replace(
            "Object contains unknown field", "has the unknown field"
        )
        raise UserError(
            f"{where}: {field + ': ' if field else ''}{problem}; wanted is the answer of describe-metric-set as it came"
        ) from error


def _name(answer: _Answer, doubts: list[str]) -> str:
    name = to_metric_set_name(answer.metric_set_name)
    if name != answer.metric_set_name:
        doubts.append(f"name: {answer.metric_set_name!r} became {name!r}, which names folders, tables and databases")
    return name


def _timestamp(answer: _Answer, where: str, doubts: list[str]) -> _TimestampColumn:
    """The column and format of time; without an S3 source the answer may lack them, and usual ones are taken."""
    given = answer.timestamp_column
    if given.column_name and given.column_format:
        return _TimestampColumn(given.column_name, UNIX if given.column_format.upper() == UNIX else given.column_format)
    lacking = "ColumnFormat" if given.column_name else "ColumnName"
    if answer.metric_source.s3_source_config is not None:
        raise UserError(
            f"{where}: TimestampColumn: lacks the field `{lacking}`; add it, as in {_ASSUMED.column_format!r} for a format, or UNIX"
        )
    taken = _TimestampColumn(given.column_name or _ASSUMED.column_name, _ASSUMED.column_format)
    doubts.append(
        f"timestamp: the answer has no {lacking}; column {taken.column_name!r} and format {taken.column_format!r} were taken"
    )
    return taken


def _detectors(answer: _Answer, doubts: list[str]) -> list[str]:
    detector = (answer.anomaly_detector_arn or "").rpartition(":")[2]
    if not detector:
        doubts.append(
            "alerts.detectors: the answer has no AnomalyDetectorArn; write the detector's name here if its alerts are still to be filed"
        )
    elif set(detector) & set("*?["):
        doubts.append(
            f"alerts.detectors: the answer's detector {detector!r} would be read as a pattern; write its name here"
        )
        return []
    return [detector] if detector else []


def _source(answer: _Answer, moment: _TimestampColumn, where: str, doubts: list[str]) -> dict[str, Any] | None:
    """The fields of `source`; None where the data did not come from S3."""
    s3 = answer.metric_source.s3_source_config
    if s3 is None:
        given = [name for name, value in msgspec.to_builtins(answer.metric_source).items() if value is not None]
        doubts.append(
            f"source: left out, since {f'{given[0]} is not read here' if given else 'the answer names none'}; to watch this set, have its data "
            "written to S3, one folder an interval, and describe the files under `source` (docs/metric-sets.md)"
        )
        return None
    formats = s3.file_format_descriptor
    source: dict[str, Any] = {"path": _path(s3, where, doubts)}
    columns = (moment.column_name, *answer.dimension_list, *(metric.metric_name for metric in answer.metric_list))
    if formats.csv_format_descriptor is not None:
        source |= _csv(formats.csv_format_descriptor, columns, where, doubts)
    elif formats.json_format_descriptor is not None:
        told = formats.json_format_descriptor
        charset = _charset(told.charset, f"{_JSON_DESCRIPTOR}.Charset", where, {"UTF-8"}, doubts)
        source |= {
            "format": "jsonl",
            "columns": list(columns),
            "charset": charset,
            "compression": told.file_compression.lower(),
        }
    else:
        raise UserError(
            f"{where}: {_S3_CONFIG}: lacks the field `FileFormatDescriptor`; give it a CsvFormatDescriptor or a JsonFormatDescriptor"
        )
    if s3.historical_data_path_list:
        doubts.append(
            f"HistoricalDataPathList: {', '.join(s3.historical_data_path_list)} is not taken over; to learn from it, have it laid out as live data "
            "(`anomalake backtest --data FILE`)"
        )
    return {**source, "offset": answer.offset}


def _path(s3: _S3, where: str, doubts: list[str]) -> str:
    if len(s3.templated_path_list) != 1:
        raise UserError(
            f"{where}: {_S3_CONFIG}.TemplatedPathList: must hold one path, not {len(s3.templated_path_list)}; keep the one of the live data"
        )
    (path,) = s3.templated_path_list
    found = re.fullmatch(r"s3://([^/{}]+)/(.+)", path)
    if found is None:
        raise UserError(
            f"{where}: {_S3_CONFIG}.TemplatedPathList: {path!r} must be as in s3://bucket/ecommerce/live/{{{{yyyyMMdd}}}}/{{{{HHmm}}}}"
        )
    doubts.append(
        f"source.path: the data lies in the bucket {found[1]!r}; give that to the stack as its existing bucket, or move the data"
    )
    return found[2].rstrip("/")


def _csv(told: _Csv, columns: tuple[str | None, ...], where: str, doubts: list[str]) -> dict[str, Any]:
    header = not told.header_list if told.contains_header is None else told.contains_header
    if told.contains_header is None:
        doubts.append(f"source.header: the answer does not say; {str(header).lower()} was taken")
    if not told.header_list:
        doubts.append(
            "source.columns: the answer does not say in which order the file has them; timestamp, dimensions, measures was taken. List every column "
            "of the file in its order, unused ones too"
        )
    return {
        "format": "csv",
        "columns": list(told.header_list or columns),
        "delimiter": told.delimiter,
        "quote": told.quote_symbol,
        "header": header,
        "charset": _charset(told.charset, f"{_CSV_DESCRIPTOR}.Charset", where, {"UTF-8", "ISO-8859-1"}, doubts),
        "compression": told.file_compression.lower(),
    }


def _charset(told: str, field: str, where: str, readable: set[str], doubts: list[str]) -> str:
    """A charset that is read; another becomes UTF-8, under which rows that are not it are named and never misread."""
    try:
        known = _CHARSETS.get(codecs.lookup(told).name)
    except (LookupError, ValueError):
        raise UserError(f"{where}: {field}: {told!r} is no charset; UTF-8 and ISO-8859-1 are read") from None
    if known in readable:
        return known
    doubts.append(
        f"source.charset: {told} is not read here, UTF-8 was taken; have the files written in {' or '.join(sorted(readable, reverse=True))}"
    )
    return "UTF-8"


def _in_their_words(told: str) -> str:
    """A mistake in the metric set, with the answer's name of the field first, and where to mend it."""
    for ours, theirs in _THEIRS:
        if re.match(ours, told):
            return f"{re.sub(ours, theirs, told)}. Change it in the data, then here, and import again"
    return told
