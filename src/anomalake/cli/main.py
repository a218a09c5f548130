"""The command `anomalake`: the table of its sub-commands, the parser, the handling of errors, and the exit statuses."""

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Protocol

from anomalake import __version__
from anomalake.cli.commands import (
    backtest,
    demo,
    detect,
    doctor,
    feedback,
    import_metric_set,
    ingest,
    init,
    preview,
    query,
    render,
    replay,
    score,
    watch,
)
from anomalake.cli.terminal import print_warning
from anomalake.domain.errors import UsageError, UserError
from anomalake.lake.store import StorageError

EXIT_FAILED, EXIT_WRONG_USAGE = 1, 2


class Command(Protocol):
    """What a module of `commands` has."""

    SUMMARY: str
    HELP: str

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options of the command."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Run the command; returns the exit status."""


COMMANDS: dict[str, Command] = {
    "watch": watch,
    "init": init,
    "import-metric-set": import_metric_set,
    "demo": demo,
    "backtest": backtest,
    "detect": detect,
    "feedback": feedback,
    "score": score,
    "ingest": ingest,
    "replay": replay,
    "query": query,
    "preview": preview,
    "render": render,
    "doctor": doctor,
}
DESCRIPTION = """\
Stores anomaly alerts in tables, detects anomalies in metrics, and shows both in dashboards.

The lake is a folder on this machine. `demo`, `detect`, `feedback`, `ingest` and `replay` also run on a lake in S3.
`doctor` checks a deployment in AWS."""
EPILOG = """\
First steps:
  anomalake demo                                                show the dashboard of demo data
  anomalake watch sales.csv                                     detect anomalies in your own data
  anomalake init sales.csv                                      propose a metric set for it
  anomalake backtest --metric-set sales.yaml --data sales.csv   detect anomalies with it, after your changes

Exit status: 0 done, 1 failed, 2 wrong usage. `anomalake COMMAND --help` describes a command."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status: 0 done, 1 failed, 2 wrong usage."""
    os.environ.setdefault("POWERTOOLS_LOG_LEVEL", "CRITICAL")  # the log of the functions is for AWS
    warnings.showwarning = lambda message, *_, **__: print_warning(str(message))
    arguments = make_parser().parse_args(argv)
    try:
        status = int(arguments.run(arguments))
        sys.stdout.flush()  # an error here is handled below, and not by the interpreter when it exits
    except (UserError, StorageError) as error:
        print_warning(str(error))
        return EXIT_WRONG_USAGE if isinstance(error, UsageError) else EXIT_FAILED
    except BrokenPipeError:  # the reader of a pipe has closed it
        _discard_standard_output()
        return 0
    except OSError as error:
        if error.filename is None:
            _discard_standard_output()
        print_warning(f"{error.filename or 'standard output or a file'}: {error.strerror or error}")
        return EXIT_FAILED
    except KeyboardInterrupt:
        print_warning("stopped")
        return EXIT_FAILED
    return status


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command and its sub-commands."""
    parser = argparse.ArgumentParser(
        prog="anomalake",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"anomalake {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        subparser = subparsers.add_parser(
            name,
            help=command.SUMMARY,
            description=f"{command.SUMMARY[0].upper()}{command.SUMMARY[1:]}.",
            epilog=command.HELP,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        subparser.set_defaults(run=command.run)
        command.add_options(subparser)
    return parser


def _discard_standard_output() -> None:
    """Redirect standard output to the null device, so that the interpreter does not write the buffer when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
