"""Writes a proposed metric set to a file and prints it with what to check."""

import argparse
from pathlib import Path

from anomalake.cli.proposal.document import Proposal
from anomalake.cli.terminal import print_line
from anomalake.domain import metric_set_yaml
from anomalake.domain.errors import UserError
from anomalake.lake import files


def write_metric_set(proposal: Proposal, arguments: argparse.Namespace) -> Path:
    """Write the proposal to `--output`, else to `<name>.yaml`, and print it; returns the file.

    Raises `UserError` where the file exists and `--force` is not given.
    """
    metric_set = metric_set_yaml.parse(proposal.text, arguments.output or arguments.file)
    target = Path(arguments.output or f"{metric_set.name}.yaml")
    if target.exists() and not arguments.force:
        raise UserError(f"{target}: already exists; name another file with --output, or overwrite it with --force")
    command = f"anomalake {arguments.command} {Path(arguments.file).name}"
    header = f"# Proposed by `{command}`. The fields are described in docs/metric-sets.md\n"
    files.write_text(target, header + proposal.text)
    print_line(f"{target}\n\n{proposal.text}")
    if proposal.notes:
        print_line("Check these points:\n" + "\n".join(f"- {note}" for note in proposal.notes) + "\n")
    return target
