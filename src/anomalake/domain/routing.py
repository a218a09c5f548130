"""Finds the metric set that an alert belongs to, by the ARN of its detector."""

import re
from fnmatch import fnmatchcase

import yaml

from anomalake.domain import strict_yaml
from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import MetricSet
from anomalake.domain.text import quote, to_one_line


def extract_detector_name(arn: str) -> str:
    """Return the part of an ARN's resource after the type, with all its colons (`alarm:api: 5xx` -> `api: 5xx`).

    For a text that is not an ARN, the part after the last colon.
    """
    fields = arn.split(":", 5)
    if len(fields) < 6 or fields[0] != "arn":
        return arn.rpartition(":")[2]
    kind, colon, name = fields[5].partition(":")
    return name if colon and "/" not in kind else fields[5]


def claims_arn(item: MetricSet, detector_arn: str) -> bool:
    """Return whether `alerts.detectors` contains the ARN of the detector, compared as text."""
    return detector_arn in item.alerts.detectors


def claims_name(item: MetricSet, detector_arn: str) -> bool:
    """Return whether `alerts.detectors` contains the name of the detector, compared as text."""
    return extract_detector_name(detector_arn) in item.alerts.detectors


def matches_detector(item: MetricSet, detector_arn: str) -> bool:
    """Return whether a glob in `alerts.detectors` matches the ARN, the name, or the part after the last colon."""
    candidates = {detector_arn, extract_detector_name(detector_arn), detector_arn.rpartition(":")[2]}
    return any(fnmatchcase(name, pattern) for pattern in item.alerts.detectors for name in candidates)


def find_metric_set(detector_arn: str, sets: tuple[MetricSet, ...]) -> MetricSet:
    """Return the metric set that the alerts of a detector belong to.

    Raises `UserError`, which shows the line to add and where.

    The first rule that matches decides: the set whose mapping read the alert, a set that lists the detector's ARN,
    a set that lists its name, the set with the detector's name, a set with a matching glob.
    """
    name = extract_detector_name(detector_arn)
    namesakes = [item for item in sets if item.name == name]
    if namesakes and detector_arn == namesakes[0].mapping_arn and namesakes[0].mapping:
        return namesakes[0]
    for has_claim in (claims_arn, claims_name, None, matches_detector):
        matching = [item for item in sets if has_claim(item, detector_arn)] if has_claim else namesakes
        if len(matching) > 1:
            listed = ", ".join(item.name for item in matching)
            raise UserError(
                f"the detector {quote(detector_arn)} is claimed by several metric sets ({listed}); "
                "keep it in the alerts.detectors of one"
            )
        if matching:
            return matching[0]
    known = to_one_line(", ".join(item.name for item in sets), 500)
    raise UserError(
        f"no metric set accepts alerts of the detector {quote(detector_arn)}; add the detector to one of {known}: "
        f"in src/metric_sets/<name>.yaml write `alerts: {{detectors: [{_to_yaml(name)}]}}`, "
        "or add it to the existing `detectors`"
    )


def _to_yaml(text: str) -> str:
    """Return the text as an element of a YAML list.

    It is plain if YAML reads it back as the same text, and in double quotes otherwise.
    """
    if re.fullmatch(r"[A-Za-z][\w./-]*", text, re.ASCII) and strict_yaml.parse(text, text) == text:
        return text
    quoted = yaml.safe_dump(text, default_style='"', width=float("inf"), allow_unicode=text.isprintable())
    return str(quoted).removesuffix("\n")
