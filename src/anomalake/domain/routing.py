"""Finds the metric set that receives the alerts of a detector."""

import re
from fnmatch import fnmatchcase

import yaml

from anomalake.domain import strict_yaml
from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import MetricSet
from anomalake.domain.text import to_one_line


def extract_detector_name(arn: str) -> str:
    """What follows the type in an ARN's resource, colons and all (`alarm:api: 5xx` gives `api: 5xx`); of a text that is no ARN, its last part."""
    fields = arn.split(":", 5)
    if len(fields) < 6 or fields[0] != "arn":
        return arn.rpartition(":")[2]
    kind, colon, name = fields[5].partition(":")
    return name if colon and "/" not in kind else fields[5]


def names_detector(item: MetricSet, detector_arn: str) -> bool:
    """Whether `alerts.detectors` names the detector literally, by name or by ARN."""
    return not {detector_arn, extract_detector_name(detector_arn)}.isdisjoint(item.alerts.detectors)


def matches_detector(item: MetricSet, detector_arn: str) -> bool:
    """Whether a pattern in `alerts.detectors` matches the detector: its ARN, its name, or what follows the last colon."""
    called = {detector_arn, extract_detector_name(detector_arn), detector_arn.rpartition(":")[2]}
    return any(fnmatchcase(name, pattern) for pattern in item.alerts.detectors for name in called)


def find_metric_set(detector_arn: str, sets: tuple[MetricSet, ...]) -> MetricSet:
    """The metric set that a detector's alerts belong to; `UserError` says which line to add where.

    The nearest claim counts: the set whose mapping made the alert, a set that names the detector, a set of its name, a set whose pattern matches.
    """
    name = extract_detector_name(detector_arn)
    own = [item for item in sets if item.name == name]
    if own and detector_arn == own[0].mapping_arn and own[0].mapping:
        return own[0]
    for claims in (names_detector, None, matches_detector):
        matching = own if claims is None else [item for item in sets if claims(item, detector_arn)]
        if len(matching) > 1:
            several = ", ".join(item.name for item in matching)
            raise UserError(
                f"the detector {detector_arn!r} is claimed by several metric sets ({several}); leave it in the alerts.detectors of one"
            )
        if matching:
            return matching[0]
    known = to_one_line(", ".join(item.name for item in sets), 500)
    raise UserError(
        f"no metric set takes the alerts of the detector {detector_arn!r}; add it to one (there are: {known}): "
        f"in src/metric_sets/<name>.yaml write `alerts: {{detectors: [{_yaml_text(name)}]}}`, or add it to the `detectors` that are there"
    )


def _yaml_text(text: str) -> str:
    """The text as it stands in a YAML list: bare where that reads as the same text, else in double quotes."""
    if re.fullmatch(r"[A-Za-z][\w./-]*", text, re.ASCII) and strict_yaml.parse(text, text) == text:
        return text
    quoted = yaml.safe_dump(text, default_style='"', width=float("inf"), allow_unicode=text.isprintable())
    return str(quoted).removesuffix("\n")
