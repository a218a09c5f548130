"""`anomalake import-metric-set`: a saved response of DescribeMetricSet becomes a metric set, or one clear error."""

import json
from pathlib import Path
from typing import Any

import pytest

from anomalake.cli import lookout_metric_set
from anomalake.cli.main import main
from anomalake.domain import metric_set, metric_set_yaml
from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import MetricSet
from anomalake.domain.routing import find_metric_set

CSV: dict[str, Any] = {
    "FileCompression": "NONE", "Charset": "UTF-8", "ContainsHeader": True, "Delimiter": ",", "QuoteSymbol": '"',
    "HeaderList": ["marketplace", "platform", "sold_at", "orders", "order_value", "note"],
}  # fmt: skip


def build_response(csv: dict[str, Any] | None = None, **replaced: Any) -> dict[str, Any]:
    """Return a response as the AWS CLI prints it. Each keyword replaces a field; None removes it."""
    s3 = {
        "RoleArn": "arn:aws:iam::111122223333:role/checkout-data",
        "TemplatedPathList": ["s3://example-checkout/orders/live/{{yyyyMMdd}}/{{HHmm}}"],
        "FileFormatDescriptor": {"CsvFormatDescriptor": CSV | (csv or {})},
    }
    answer = {
        "MetricSetArn": "arn:aws:lookoutmetrics:eu-west-1:111122223333:MetricSet/checkout/orders",
        "MetricSetName": "orders",
        "MetricSetDescription": "Orders by shop",
        "AnomalyDetectorArn": "arn:aws:lookoutmetrics:eu-west-1:111122223333:AnomalyDetector:checkout",
        "CreationTime": "2023-05-02T09:14:31.520000+02:00",
        "LastModificationTime": 1683011671.52,
        "Offset": 600,
        "MetricList": [
            {"MetricName": "orders", "AggregationFunction": "SUM", "Namespace": ""},
            {"MetricName": "order_value", "AggregationFunction": "AVG"},
        ],
        "TimestampColumn": {"ColumnName": "sold_at", "ColumnFormat": "yyyy-MM-dd HH:mm:ss"},
        "DimensionList": ["platform", "marketplace"],
        "MetricSetFrequency": "PT1H",
        "Timezone": "Europe/Berlin",
        "MetricSource": {"S3SourceConfig": s3},
    }
    return {name: value for name, value in (answer | replaced).items() if value is not None}


def s3(**replaced: Any) -> dict[str, Any]:
    config = build_response()["MetricSource"]["S3SourceConfig"] | replaced
    return {"S3SourceConfig": {name: value for name, value in config.items() if value is not None}}


def convert(answer: object) -> tuple[MetricSet, str]:
    """Return the metric set and its notes, one line each."""
    proposed = lookout_metric_set.convert(json.dumps(answer), "described.json")
    return metric_set_yaml.parse(proposed.text, "proposed"), "\n".join(proposed.notes)


def test_a_metric_set_with_files_in_s3_is_converted_completely():
    item, notes = convert(build_response())
    assert (item.name, item.version, item.description, item.frequency, item.timezone) == (
        "orders",
        1,
        "Orders by shop",
        "PT1H",
        "Europe/Berlin",
    )
    assert item.timestamp == metric_set.Timestamp("sold_at", "yyyy-MM-dd HH:mm:ss")
    assert item.dimension_names == ("platform", "marketplace")
    assert [(measure.name, measure.aggregation) for measure in item.measures] == [
        ("orders", "SUM"),
        ("order_value", "AVG"),
    ]
    assert item.source == metric_set.Source(
        "orders/live/{{yyyyMMdd}}/{{HHmm}}", "csv", tuple(CSV["HeaderList"]), offset=600
    )
    assert [line.partition(":")[0] for line in notes.splitlines()] == ["source.path", "alerts.sensitivity"]
    assert "the bucket 'example-checkout'; deploy the stack with this existing bucket" in notes


def test_alerts_of_the_old_detector_are_routed_to_the_metric_set():
    answer = build_response()
    item, _ = convert(answer)
    assert item.alerts.detectors == ("checkout",)
    assert find_metric_set(answer["AnomalyDetectorArn"], (item,)) is item
    item, notes = convert(build_response(AnomalyDetectorArn=None))
    assert item.alerts.detectors == ()
    assert "the response has no AnomalyDetectorArn" in notes


def test_the_response_metadata_of_an_sdk_is_ignored():
    assert convert(build_response(ResponseMetadata={"HTTPStatusCode": 200})) == convert(build_response())


@pytest.mark.parametrize(
    ("given", "taken"), [("Orders-EU", "orders_eu"), ("2023-shop_1", "shop_1"), ("A" * 63, "a" * 41), ("1-", "metrics")]
)
def test_a_name_is_changed_to_match_the_pattern_and_noted(given, taken):
    item, notes = convert(build_response(MetricSetName=given))
    assert item.name == taken
    assert f"name: '{given}' becomes '{taken}'" in notes


def test_defaults_of_missing_fields():
    item, _ = convert(build_response(Timezone=None, Offset=None, MetricSetDescription=None, DimensionList=None))
    assert (item.timezone, item.source.offset, item.description, item.dimensions) == ("UTC", 0, None, ())


def test_csv_options_are_converted():
    item, _ = convert(
        build_response(
            {
                "Delimiter": "\t",
                "QuoteSymbol": "'",
                "ContainsHeader": False,
                "FileCompression": "GZIP",
                "Charset": "iso-8859-1",
            }
        )
    )
    source = item.source
    assert (source.delimiter, source.quote, source.header, source.compression, source.charset) == (
        "\t",
        "'",
        False,
        "gzip",
        "ISO-8859-1",
    )


def test_an_unknown_order_of_columns_is_assumed_and_noted():
    item, notes = convert(build_response({"HeaderList": [], "ContainsHeader": True}))
    assert item.source.columns == ("sold_at", "platform", "marketplace", "orders", "order_value")
    assert "source.columns: the response does not have the order of the columns" in notes


@pytest.mark.parametrize(("names", "header"), [(CSV["HeaderList"], False), ([], True)])
def test_a_missing_contains_header_follows_from_the_header_list(names, header):
    item, notes = convert(build_response({"HeaderList": names, "ContainsHeader": None}))
    assert item.source.header is header
    assert f"source.header: the response does not have it; {str(header).lower()} is used" in notes


def test_json_lines_require_no_order_of_columns():
    descriptor = {"JsonFormatDescriptor": {"FileCompression": "GZIP", "Charset": "UTF8"}}
    item, notes = convert(build_response(MetricSource=s3(FileFormatDescriptor=descriptor)))
    assert (item.source.format, item.source.compression, item.source.charset) == ("jsonl", "gzip", "UTF-8")
    assert "source.columns" not in notes


@pytest.mark.parametrize(
    "answer",
    [
        build_response({"Charset": "UTF-16"}),
        build_response(MetricSource=s3(FileFormatDescriptor={"JsonFormatDescriptor": {"Charset": "ISO-8859-1"}})),
    ],
)
def test_an_unsupported_charset_becomes_utf_8_and_is_noted(answer):
    item, notes = convert(answer)
    assert item.source.charset == "UTF-8"
    assert "is not supported and UTF-8 is used; write the files in UTF-8" in notes


@pytest.mark.parametrize("given", ["UNIX", "unix"])
def test_unix_timestamps_are_unix(given):
    assert (
        convert(build_response(TimestampColumn={"ColumnName": "sold_at", "ColumnFormat": given}))[0].timestamp.format
        == "UNIX"
    )


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            {"RedshiftSourceConfig": {"TableName": "orders"}},
            "source: left out, because RedshiftSourceConfig is not supported",
        ),
        ({"RDSSourceConfig": {"TableName": "orders"}}, "source: left out, because RDSSourceConfig is not supported"),
        (None, "source: left out, because the response has no source"),
    ],
)
def test_without_files_in_s3_the_source_is_left_out_with_what_to_do(source, message):
    item, notes = convert(build_response(MetricSource=source, TimestampColumn=None))
    assert item.source is None
    assert item.timestamp == metric_set.Timestamp("timestamp", "yyyy-MM-dd HH:mm:ss")
    assert (
        f"{message}; to run the detector on this metric set, write its data to S3, one folder for each interval"
        in notes
    )
    assert "timestamp: the response has no ColumnName" in notes


def test_what_a_metric_set_does_not_support_is_noted():
    filters = [{"Name": "marketplace", "FilterList": [{"DimensionValue": "de", "FilterOperation": "EQUALS"}]}]
    history = s3(HistoricalDataPathList=["s3://example-checkout/orders/history"])
    _, notes = convert(build_response(DimensionFilterList=filters, MetricSource=history))
    assert "DimensionFilterList: the filter on 'marketplace' is not converted" in notes
    assert "HistoricalDataPathList: s3://example-checkout/orders/history is not converted" in notes


TWICE = [{"MetricName": "latency", "AggregationFunction": "AVG", "Namespace": n} for n in ("Shop", "Warehouse")]
ONE = [{"MetricName": "orders", "AggregationFunction": "SUM"}]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (build_response(MetricSetName=None), "lacks the field `MetricSetName`"),
        (build_response(MetricList=[{"MetricName": "orders"}]), "MetricList[0]: lacks the field `AggregationFunction`"),
        (build_response(Measures=ONE), "has the unknown field `Measures`"),
        (build_response(Offset="ten"), "Offset: Expected `int`, got `str`"),
        (
            build_response(MetricList=TWICE),
            "MetricList: the measure 'latency' occurs 2 times (AVG in Shop, AVG in Warehouse)",
        ),
        (build_response(MetricList=[]), "MetricList: at least one is required"),
        (
            build_response(MetricList=[{"MetricName": "orders", "AggregationFunction": "MEDIAN"}]),
            "MetricList[0].AggregationFunction: 'MEDIAN' must be SUM, AVG, COUNT,",
        ),
        (
            build_response(MetricSetFrequency="P7D"),
            "MetricSetFrequency: 'P7D' must be a step that divides a day, from PT1M to",
        ),
        (build_response(Timezone="Mars/Olympus"), "Timezone: 'Mars/Olympus' is not a time zone"),
        (
            build_response(DimensionList=["date"]),
            "DimensionList[0]: 'date' collides with a generated column of the tables",
        ),
        (
            build_response(DimensionList=["Orders"]),
            "MetricList[0].MetricName: 'orders' collides with dimensions 'Orders'",
        ),
        (build_response(TimestampColumn={"ColumnName": "sold_at"}), "TimestampColumn: lacks the field `ColumnFormat`"),
        (
            build_response(TimestampColumn={"ColumnName": "sold_at", "ColumnFormat": "yyyy-MM-dd'T'HH:mm:ssXXX"}),
            "TimestampColumn.ColumnFormat: the date pattern \"yyyy-MM-dd'T'HH:mm:ssXXX\" has 'XXX'; supported are",
        ),
        (
            build_response({"HeaderList": ["sold_at", "platform"]}),
            "CsvFormatDescriptor.HeaderList: must contain 'marketplace' once",
        ),
        (
            build_response({"Charset": "Morse"}),
            "CsvFormatDescriptor.Charset: 'Morse' is not a charset; UTF-8 and ISO-8859-1 are supported",
        ),
        (build_response({"FileCompression": "ZIP"}), "FileCompression: 'zip' must be none or gzip"),
        (build_response({"Delimiter": ";;"}), "CsvFormatDescriptor.Delimiter: ';;' must be one ASCII character"),
        (build_response(MetricSource=s3(FileFormatDescriptor=None)), "lacks the field `FileFormatDescriptor`"),
        (build_response(MetricSource=s3(TemplatedPathList=[])), "TemplatedPathList: must have one path, not 0"),
        (
            build_response(MetricSource=s3(TemplatedPathList=["orders/{{yyyyMMdd}}"])),
            "TemplatedPathList: 'orders/{{yyyyMMdd}}' must have the form s3://bucket/",
        ),
        (
            build_response(MetricSource=s3(TemplatedPathList=["s3://b/live/{{yyyy}}"])),
            "the intervals of PT1H do not each lie in one folder",
        ),
        (
            build_response(MetricSource=s3(TemplatedPathList=["s3://b/live/{{yyyyMMdd}}/{{kk}}"])),
            "TemplatedPathList: the path 'live/{{yyyyMMdd}}/{{kk}}'",
        ),
        (
            {"AnomalyDetectorName": "checkout", "AnomalyDetectorConfig": {}},
            "is a response of describe-anomaly-detector; use the response of describe-metric-set",
        ),
        ({"MetricSetSummaryList": []}, "is a response of list-metric-sets; use the response of describe-metric-set"),
        ([build_response()], "is not a response of describe-metric-set"),
    ],
)
def test_what_cannot_be_converted_is_one_error_with_the_field_of_the_response(answer, message):
    with pytest.raises(UserError) as caught:
        convert(answer)
    assert str(caught.value).startswith("described.json: ")
    assert message in str(caught.value)


def test_a_field_to_rename_must_be_renamed_in_the_data_and_in_the_response():
    with pytest.raises(UserError, match=r"rename it\. Change it in the data, then here, and import again"):
        convert(build_response(DimensionList=["date"]))


@pytest.mark.parametrize("text", ["", "METRICSET orders", "{'MetricSetName': 'orders'}", "[" * 100_000])
def test_text_that_is_not_json_is_an_error(text):
    with pytest.raises(UserError, match=r"described.json: is not JSON .*describe-metric-set --output json"):
        lookout_metric_set.convert(text, "described.json")


def test_the_command_writes_the_metric_set_prints_its_notes_and_overwrites_nothing(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("described.json").write_text(json.dumps(build_response(), indent=4))
    assert main(["import-metric-set", "described.json"]) == 0
    output = capsys.readouterr().out
    assert metric_set_yaml.load(Path("orders.yaml")).name == "orders"
    assert "Check these points:\n- source.path: the data is in the bucket 'example-checkout'" in output
    assert "move orders.yaml to src/metric_sets/ and run `anomalake render`" in output
    Path("orders.yaml").write_text("mine")
    assert main(["import-metric-set", "described.json"]) == 1
    assert "orders.yaml: already exists" in capsys.readouterr().err
    assert Path("orders.yaml").read_text() == "mine"
    assert main(["import-metric-set", "described.json", "--force"]) == 0
    assert main(["import-metric-set", "described.json", "--output", "other.yaml"]) == 0
    assert Path("other.yaml").read_text() == Path("orders.yaml").read_text()
    Path("described.json").write_text("{}")
    assert main(["import-metric-set", "described.json", "--output", "third.yaml"]) == 1
    assert not Path("third.yaml").exists()
    assert main(["import-metric-set", "nowhere.json"]) == 1
    assert "nowhere.json: cannot be read" in capsys.readouterr().err
