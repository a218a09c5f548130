"""OpenSearch anomaly detection: one alert for each feature that a result document attributes the anomaly to.

Source: "Anomaly result mapping" in the OpenSearch documentation. The text of OpenSearch alerts is a free template, so
this module reads result documents instead.
"""

import json
from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec

from anomalake.domain import alert as alerts
from anomalake.domain.alert import MAX_ALERTS_PER_EVENT, Alert
from anomalake.domain.errors import AlertError
from anomalake.domain.names import to_column_name
from anomalake.domain.timestamps import format_timestamp

SOURCE = "opensearch"
DETECTOR = "arn:anomalake:opensearch:::AnomalyDetector:"  # OpenSearch has no ARN for a detector
_Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=10**14)]
_Text = Annotated[str, msgspec.Meta(min_length=1)]
# By default, a detector has at most five features and two entity fields.
_MAX_ITEMS = msgspec.Meta(max_length=MAX_ALERTS_PER_EVENT)


class _FeatureValue(msgspec.Struct):
    feature_id: str
    data: float | None = None


class _Feature(_FeatureValue):
    feature_name: str = ""


class _Entity(msgspec.Struct):
    name: str
    value: str


class _Expected(msgspec.Struct):
    likelihood: float = 0
    value_list: Annotated[list[_FeatureValue], _MAX_ITEMS] = []


class _Result(msgspec.Struct):
    detector_id: _Text
    data_start_time: _Milliseconds
    feature_data: Annotated[list[_Feature], _MAX_ITEMS]
    anomaly_grade: float | None = None
    entity: Annotated[list[_Entity], _MAX_ITEMS] | None = None
    relevant_attribution: Annotated[list[_FeatureValue], _MAX_ITEMS] | None = None
    expected_values: Annotated[list[_Expected], _MAX_ITEMS] | None = None
    past_values: Annotated[list[_FeatureValue], _MAX_ITEMS] | None = None
    approx_anomaly_start_time: _Milliseconds | None = None
    execution_end_time: _Milliseconds | None = None

    @property
    def anomaly_time(self) -> int:
        """The time of the anomaly.

        An anomaly that is detected late has `past_values`, and its data starts at the approximate time.
        """
        if not self.past_values:
            return self.data_start_time
        if self.approx_anomaly_start_time is None:
            raise AlertError("approx_anomaly_start_time: is missing; `past_values` are the values of that time")
        return self.approx_anomaly_start_time

    def value(self, feature: _Feature) -> float | None:
        """Return the anomalous value of a feature: its past value if the anomaly is detected late."""
        if not self.past_values:
            return feature.data
        return next((past.data for past in self.past_values if past.feature_id == feature.feature_id), None)


def matches(event: dict[str, Any]) -> bool:
    """Return whether the event is a result of a detector."""
    return {"detector_id", "feature_data"} <= event.keys()


def read(event: dict[str, Any]) -> tuple[Alert, ...]:
    """Return an alert for each feature that contributes to the anomaly, or for each feature if no feature contributes.

    Raises `AlertError`, which names the invalid field.
    """
    result = alerts.convert(event, _Result, "a result of OpenSearch anomaly detection")
    if not result.anomaly_grade:
        return ()
    features = _find_features(result)
    if not features:
        raise AlertError("feature_data: is empty; an anomaly requires a feature")
    return tuple(_make_alert(result, feature) for feature in features)


def split_event(event: dict[str, Any]) -> list[str]:
    """Return the result once for each feature that has an alert, without the other features."""
    features = _find_features(alerts.convert(event, _Result, "a result of OpenSearch anomaly detection"))
    feature_ids = {feature.feature_id for feature in features}
    return [
        json.dumps({**event, "feature_data": [feature]})
        for feature in event["feature_data"]
        if feature["feature_id"] in feature_ids
    ]


def _find_features(result: _Result) -> list[_Feature]:
    causes = {share.feature_id for share in result.relevant_attribution or [] if share.data}
    return [feature for feature in result.feature_data if feature.feature_id in causes] or result.feature_data


def _make_alert(result: _Result, feature: _Feature) -> Alert:
    start = format_timestamp(_to_datetime(result.anomaly_time))
    value = result.value(feature)
    entity = sorted((field.name, field.value) for field in result.entity or [])
    likeliest = max(result.expected_values or [_Expected()], key=lambda candidate: candidate.likelihood)
    expected = next((item.data for item in likeliest.value_list if item.feature_id == feature.feature_id), None)
    arn = DETECTOR + result.detector_id
    return Alert(
        alert_event_id=f"{arn}:event/{alerts.derive_id(arn, start, json.dumps([feature.feature_id, entity]))}",
        anomaly_detector_arn=arn,
        timestamp=start,
        impacted_metric=alerts.ImpactedMetric(
            to_column_name(feature.feature_name or feature.feature_id),
            relevant_time_series=(
                alerts.TimeSeries(
                    dimensions=tuple(
                        alerts.DimensionValue(to_column_name(field.name), field.value) for field in result.entity or []
                    ),
                    optional_dimensions=(alerts.DimensionValue("detector_id", result.detector_id),),
                    metric_value=value,
                    expected_value=expected,
                ),
            ),
        ),
        anomaly_score=round(100 * (result.anomaly_grade or 0), 2),
        anomaly_group_id=alerts.derive_id(arn, start, json.dumps(entity)),
        source=SOURCE,
        reported_at=None if result.execution_end_time is None else _format_milliseconds(result.execution_end_time),
    )


def _to_datetime(milliseconds: int) -> datetime:
    return datetime(1970, 1, 1) + timedelta(milliseconds=milliseconds)


def _format_milliseconds(milliseconds: int) -> str:
    return f"{_to_datetime(milliseconds).isoformat(timespec='milliseconds')}Z"
