"""OpenSearch anomaly detection: its result document, one alert for each feature that the anomaly is attributed to.

Source: "Anomaly result mapping" in the OpenSearch documentation. Its alerts are free templates, so the result document is what is read.
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
_FEW = msgspec.Meta(
    max_length=MAX_ALERTS_PER_EVENT
)  # a detector has five features and two fields of entities at most, where nothing is set otherwise


class _Data(msgspec.Struct):
    feature_id: str
    data: float | None = None


class _Feature(_Data):
    feature_name: str = ""


class _Entity(msgspec.Struct):
    name: str
    value: str


class _Expected(msgspec.Struct):
    likelihood: float = 0
    value_list: Annotated[list[_Data], _FEW] = []


class _Result(msgspec.Struct):
    detector_id: _Text
    data_start_time: _Milliseconds
    feature_data: Annotated[list[_Feature], _FEW]
    anomaly_grade: float | None = None
    entity: Annotated[list[_Entity], _FEW] | None = None
    relevant_attribution: Annotated[list[_Data], _FEW] | None = None
    expected_values: Annotated[list[_Expected], _FEW] | None = None
    past_values: Annotated[list[_Data], _FEW] | None = None
    approx_anomaly_start_time: _Milliseconds | None = None
    execution_end_time: _Milliseconds | None = None

    @property
    def anomaly_time(self) -> int:
        """When the anomaly was. One that is detected late has `past_values`; its data began at the approximate time."""
        if not self.past_values:
            return self.data_start_time
        if self.approx_anomaly_start_time is None:
            raise AlertError("approx_anomaly_start_time: is missing; `past_values` are the values of that time")
        return self.approx_anomaly_start_time

    def value(self, feature: _Feature) -> float | None:
        """The anomalous value of a feature: the past one of an anomaly that is detected late."""
        if not self.past_values:
            return feature.data
        return next((one.data for one in self.past_values if one.feature_id == feature.feature_id), None)


def matches(event: dict[str, Any]) -> bool:
    """Whether it is a result of a detector."""
    return {"detector_id", "feature_data"} <= event.keys()


def read(event: dict[str, Any]) -> tuple[Alert, ...]:
    """An alert for each feature with a share in the anomaly (each, if none has); no grade, no alert. `AlertError` names the field that is wrong."""
    result = alerts.convert(event, _Result, "a result of OpenSearch anomaly detection")
    if not result.anomaly_grade:
        return ()
    features = _features(result)
    if not features:
        raise AlertError("feature_data: is empty; an anomaly is one of some feature")
    return tuple(_alert(result, feature) for feature in features)


def split_event(event: dict[str, Any]) -> list[str]:
    """The result once for each feature that has an alert, with no other feature in it."""
    features = _features(alerts.convert(event, _Result, "a result of OpenSearch anomaly detection"))
    identities = {one.feature_id for one in features}
    return [
        json.dumps({**event, "feature_data": [one]}) for one in event["feature_data"] if one["feature_id"] in identities
    ]


def _features(result: _Result) -> list[_Feature]:
    causes = {one.feature_id for one in result.relevant_attribution or [] if one.data}
    return [one for one in result.feature_data if one.feature_id in causes] or result.feature_data


def _alert(result: _Result, feature: _Feature) -> Alert:
    start = format_timestamp(_instant(result.anomaly_time))
    value = result.value(feature)
    entity = sorted((one.name, one.value) for one in result.entity or [])
    likeliest = max(result.expected_values or [_Expected()], key=lambda one: one.likelihood)
    expected = next((one.data for one in likeliest.value_list if one.feature_id == feature.feature_id), None)
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
                        alerts.DimensionValue(to_column_name(one.name), one.value) for one in result.entity or []
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
        reported_at=None if result.execution_end_time is None else _written(result.execution_end_time),
    )


def _instant(milliseconds: int) -> datetime:
    return datetime(1970, 1, 1) + timedelta(milliseconds=milliseconds)


def _written(milliseconds: int) -> str:
    return f"{_instant(milliseconds).isoformat(timespec='milliseconds')}Z"
