"""`anomalake render`: writes the templates that are generated from the metric sets."""

import argparse
from collections.abc import Iterable
from pathlib import Path

from anomalake.cli.options import add_project_metric_set, default_lake, load_metric_sets
from anomalake.cli.reports import warn_of_unprojected_data
from anomalake.cli.terminal import print_line
from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import MetricSet
from anomalake.lake import files

SUMMARY = "write the templates that are generated from the metric sets"
HELP = """\
Example:
  anomalake render
  anomalake render --check

Result:
  The CloudFormation templates of the tables, views and dashboards below glue/ and quicksight/. The command prints the
  files that it writes or removes. With --check it writes nothing, and the exit status is 1 where a file differs."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    add_project_metric_set(parser)
    parser.add_argument(
        "--output", default=".", metavar="FOLDER", help="the project's folder (default: the current folder)"
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where a file differs")


def run(arguments: argparse.Namespace) -> int:
    """Write the files that differ and remove those that no metric set gives; or check them."""
    from anomalake.cli.rendered_files import SCHEMAS, render

    project, path = Path(arguments.output), Path(arguments.metric_set)
    metric_sets = load_metric_sets(path)
    schemas = project / SCHEMAS
    rendered = render(metric_sets, schemas.read_text("utf-8") if schemas.exists() else "{}")
    changed = {name: text for name, text in rendered.items() if not _has_text(project / name, text)}
    # The metric set of one file says nothing about the templates of the others.
    removed = _list_unknown_files(project, rendered) if path.is_dir() else []
    if arguments.check:
        if stale := [*changed, *removed]:
            raise UserError(
                f"these files differ from what the metric sets give: {', '.join(stale)}; "
                "run `anomalake render` and commit the files"
            )
    else:
        _write(project, changed)
        _remove(project, removed)
    _warn_about_local_lake(metric_sets, project)
    return 0


def _has_text(file: Path, text: str) -> bool:
    return file.exists() and file.read_text("utf-8") == text


def _list_unknown_files(project: Path, rendered: Iterable[str]) -> list[str]:
    """Return the files in the folders of rendered files that no metric set gives."""
    from anomalake.cli.rendered_files import FOLDERS

    paths = (path for folder in FOLDERS for path in (project / folder).rglob("*.json"))
    return sorted({path.relative_to(project).as_posix() for path in paths} - set(rendered))


def _write(project: Path, changed: dict[str, str]) -> None:
    for name, text in changed.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        files.write_text(project / name, text)
        print_line(name)


def _remove(project: Path, names: Iterable[str]) -> None:
    """Delete the files, and the folders that are empty then."""
    for name in names:
        file = project / name
        file.unlink()
        if not any(file.parent.iterdir()):
            file.parent.rmdir()
        print_line(f"{name} (removed)")


def _warn_about_local_lake(metric_sets: Iterable[MetricSet], project: Path) -> None:
    """Warn of live data in the local lake that Athena would not show. `anomalake doctor` checks a lake in S3."""
    from anomalake.detect.timeline import utc_now
    from anomalake.lake import live_data
    from anomalake.lake.folder_store import FolderStore

    lake = default_lake()
    if "://" in lake or not Path(lake).is_dir():
        return
    store = FolderStore(Path(lake))
    for metric_set in metric_sets:
        if metric_set.source is not None:
            walls = live_data.list_files_by_interval(store, metric_set)
            warn_of_unprojected_data(walls, metric_set, utc_now(), project)
