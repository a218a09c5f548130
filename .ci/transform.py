"""Expands a SAM template, offline, so that cfn-lint reads the roles, schedules and event sources that SAM adds.

`.venv/sam/bin/python .ci/transform.py template.yaml transformed.json`. On the template itself cfn-lint sees SAM's own
types only.
"""

import json
import os
import sys
from pathlib import Path

from samcli.commands.validate.lib.exceptions import InvalidSamDocumentException
from samcli.lib.translate.sam_template_validator import SamTemplateValidator
from samcli.yamlhelper import yaml_parse


class _NoManagedPolicies:
    """Stands in for the list of AWS's managed policies: the template names them by ARN, where it names any."""

    def load(self) -> dict[str, str]:
        return {}


def main(template: Path, transformed: Path) -> None:
    """The template, transformed; what SAM refuses is said, with exit status 1."""
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")  # only the ARNs' partition follows from it
    try:
        found = SamTemplateValidator(
            yaml_parse(template.read_text("utf-8")), _NoManagedPolicies()
        ).get_translated_template_if_valid()
    except InvalidSamDocumentException as error:
        sys.exit(f"{template}: {error}")
    transformed.parent.mkdir(parents=True, exist_ok=True)
    transformed.write_text(json.dumps(yaml_parse(found), indent=1, default=str) + "\n", "utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
