"""Fields of a report: report time and direction, and the time at which SNS sent a message."""

import json
from datetime import datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalake.domain import alert as alerts
from anomalake.domain.errors import AlertError
from anomalake.domain.timestamps import normalize_report_time
from anomalake.functions.ingest import handler
from anomalake.lake.object_store import ObjectStore
from examples import alert_body


@pytest.mark.parametrize(
    "text", ["2021-02-17T11:00:00.5+02:00", "2021-02-17T09:00:00.500Z", "2021-02-17T09:00:00.500123Z"]
)
def test_a_report_time_is_in_utc_to_the_millisecond(text):
    assert normalize_report_time(text) == "2021-02-17T09:00:00.500Z"


@given(st.lists(st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)), min_size=2, max_size=5))
def test_report_times_sort_as_the_times_do(some):
    some = [time.replace(microsecond=time.microsecond // 1000 * 1000) for time in some]
    assert [normalize_report_time(f"{time.isoformat()}Z") for time in sorted(some)] == sorted(
        normalize_report_time(f"{time.isoformat()}Z") for time in some
    )


def test_an_invalid_report_time_is_rejected_with_its_field():
    with pytest.raises(AlertError, match="reportedAt: 'today' must look like"):
        alerts.parse(json.dumps({**json.loads(alert_body()), "reportedAt": "today"}))


def test_the_direction_follows_from_value_and_expected_value_of_all_series():
    alert = alerts.parse(alert_body())
    (one, _) = alert.impacted_metric.relevant_time_series

    def of(*numbers):
        series = tuple(
            msgspec.structs.replace(one, metric_value=value, expected_value=expected) for value, expected in numbers
        )
        metric = msgspec.structs.replace(alert.impacted_metric, relevant_time_series=series)
        return alerts.add_direction(msgspec.structs.replace(alert, impacted_metric=metric)).direction

    assert (of((5.0, 3.0)), of((3.0, 5.0)), of((5.0, 5.0)), of((5.0, None)), of()) == (
        "above",
        "below",
        None,
        None,
        None,
    )
    assert of((5.0, 3.0), (1.0, 9.0), (7.0, None)) == "below"
    assert of((1e308, -1e308), (1e308, -1e308), (-1e308, 1e308)) == "above"


def test_an_sns_event_of_the_function_keeps_the_time_of_each_message(function_lake):
    assert isinstance(function_lake, ObjectStore)
    sns = [
        {"Sns": {"Message": alert_body(event=name), "TopicArn": "t", "Timestamp": "2021-02-17T12:00:00.000Z"}}
        for name in ("a", "b")
    ]
    handler({"Records": sns}, None)
    archived = [function_lake.get(key).data.decode() for key in function_lake.list("alerts")]
    assert sum(text.count("2021-02-17T12:00:00.000Z") for text in archived) == 2
