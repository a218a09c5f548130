"""The command `anomalake`. Each sub-command teaches itself with --help; exit status 0 done, 1 the job failed, 2 wrong usage."""

import argparse
import csv
import itertools
import json
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from anomalake import __version__
from anomalake.cli.terminal import json_line, lines, printable, table_lines
from anomalake.domain import intervals, metric_set_yaml
from anomalake.domain.errors import UsageError, UserError
from anomalake.domain.metric_set import MetricSet
from anomalake.domain.names import to_metric_set_name
from anomalake.lake import files
from anomalake.lake.layout import FORMATS, GLUE_TABLE_NAMES, Format, detect_format
from anomalake.lake.store import StorageError, Store

if TYPE_CHECKING:
    from anomalake.cli.propose_metric_set import Proposal
    from anomalake.detect.backtest import Report

Arguments = argparse.Namespace
Piece = TypeVar("Piece")
_REPLAY = """\
A raised `version` fills its new folder, another --format takes the place of the one before, a damaged object is
made anew. An alert stays in the metric set that it was filed under. Rows of events that the archive does not have
are kept. Nobody is notified, and alerts may go on arriving."""


_REBUILD = """\
All live data is gone through again: observations and health are written by the day, alerts are filed (with the same
ids, so that nothing is doubled), nobody is notified. Without it, an interval whose data came late is counted only."""

_FEEDBACK = """\
An anomaly that was not wanted counts half as far from what is expected, for each time it was said; one that was wanted
a quarter farther. It holds for the same measure, series and side, after the event. Said again of the same, the newer
word counts. What was said stands in the column `feedback` of anomaly_log, and in the lake's folder feedback/."""

_SCORE = """\
A score is 0 to 100; from 50 on a row is an anomaly (docs/detector.md). Empty: too little history yet. A timestamp is
ISO 8601, on the clock it is written on, or in UTC where it names a zone; OUT has the interval's start. Rows of one
series and interval are added up. What the data was like (completeness, duplicates, cardinality) is said at the end."""


_QUERY = """\
The query reads the lake's views and tables only. In CSV a text is encoded as in the lake's own CSV (`%2C` for a comma), so that no cell runs as a
formula in a spreadsheet; null is empty, and an empty text is `""`. Control characters are escaped in every form; JSON keeps each value exactly."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""
    os.environ.setdefault("POWERTOOLS_LOG_LEVEL", "CRITICAL")  # the function's own log is for the cloud
    warnings.showwarning = lambda message, *_, **__: _warn(str(message))
    parser = _parser()
    arguments = parser.parse_args(argv)
    try:
        status = int(arguments.run(arguments) or 0)
        sys.stdout.flush()  # an error of it is reported below, not by the interpreter when it ends
    except (UserError, StorageError) as error:
        _warn(str(error))
        return 2 if isinstance(error, UsageError) else 1
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.filename is None:
            os.dup2(
                os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
            )  # what it still holds is not tried again when the interpreter ends
        _warn(f"{error.filename or 'standard output or a file'}: {error.strerror or error}")
        return 1
    except KeyboardInterrupt:
        _warn("stopped")
        return 1
    return status


def say(text: str) -> None:
    """A line to standard output, at once; control characters in it are escaped."""
    print(lines(text), flush=True)  # noqa: T201


def _warn(text: str) -> None:
    """The same to standard error."""
    print(f"anomalake: {lines(text)}", file=sys.stderr)  # noqa: T201


# --- the commands


def _init(arguments: Arguments) -> int:
    from anomalake.cli import propose_metric_set, read_table

    file = Path(arguments.file)
    table = read_table.read(file)
    zone = arguments.timezone
    if zone is None and sys.stdin.isatty():
        zone = (
            input("Which time zone are the timestamps in? An IANA name such as Europe/Berlin [UTC]: ").strip() or "UTC"
        )
    if zone is not None:
        metric_set_yaml.parse(_PROBE.format(zone=json.dumps(zone)), "--timezone")
    if zone not in (None, "UTC") and read_table.has_time_zone(file):
        raise UserError(f"{file}: its timestamps carry a zone of their own and are read as UTC; leave --timezone out")
    target = _keep(
        propose_metric_set.propose(
            table,
            arguments.name or to_metric_set_name(file.stem),
            zone,
            read_table.describe_renamed_columns(file, table),
        ),
        arguments,
    )
    say(f"Look at it, mend it, then: anomalake backtest --metric-set {target} --data {file}")
    return 0


def _import_metric_set(arguments: Arguments) -> int:
    from anomalake.cli import lookout_metric_set

    target = _keep(lookout_metric_set.convert(_read(arguments.file), arguments.file), arguments)
    say(f"Look at it, mend it, then: move {target} to src/metric_sets/ and run `anomalake render`")
    return 0


def _keep(proposed: "Proposal", arguments: Arguments) -> Path:
    """Write a proposed metric set to the file that is named, or to `<name>.yaml`, say it and its doubts; the file."""
    item = metric_set_yaml.parse(proposed.text, arguments.output or arguments.file)
    target = Path(arguments.output or f"{item.name}.yaml")
    if target.exists() and not arguments.force:
        raise UserError(f"{target}: exists already; name another file with --output, or overwrite it with --force")
    header = f"# Proposed by `anomalake {arguments.command} {Path(arguments.file).name}`. What the fields mean: docs/metric-sets.md\n"
    files.write_text(target, header + proposed.text)
    say(f"{target}\n\n{proposed.text}")
    if proposed.doubts:
        say("Unsure of:\n" + "\n".join(f"- {doubt}" for doubt in proposed.doubts) + "\n")
    return target


_PROBE = """
name: probe
frequency: P1D
timezone: {zone}
timestamp: {{column: t, format: yyyy-MM-dd}}
dimensions: []
measures: [{{name: m, aggregation: SUM}}]
"""


def _demo(arguments: Arguments) -> int:
    from anomalake.cli.demo import run

    form = arguments.format or _chosen_format()
    if arguments.lake.startswith("s3://"):
        if arguments.dataset == "flights":
            raise UserError(
                "--dataset flights: these are of 2013, which a deployed dashboard does not show by itself; a lake in S3 gets the shop"
            )
        run.fill_bucket(
            arguments.lake, form=form, days=arguments.days, now=datetime.now(UTC).replace(tzinfo=None), say=say
        )
    else:
        run.run_demo(
            arguments.dataset or "flights",
            _lake_folder(arguments),
            Path(arguments.output),
            form=form,
            days=arguments.days,
            say=say,
        )
    return 0


def _backtest(arguments: Arguments) -> int:
    from anomalake.catalog import duckdb_catalog
    from anomalake.cli import local_pipeline, read_table
    from anomalake.dashboards import lake_page
    from anomalake.lake import layout
    from anomalake.lake.folder_store import FolderStore

    root = _lake_folder(arguments)
    if arguments.metric_set and Path(arguments.metric_set).is_file():
        item = metric_set_yaml.load(Path(arguments.metric_set))
        sets = local_pipeline.copy_metric_set(Path(arguments.metric_set), item, FolderStore(root))
    else:
        sets = _metric_set_path(arguments)
        item = _one(metric_set_yaml.load_all(sets))
    form = _format(arguments, FolderStore(root), [item])
    if any((root / layout.table_folder("anomalyGroups", item)).rglob("*.*")):
        note = "holds results of this metric set already, which stay (a greater score wins); name another --lake to begin afresh"
        _warn(f"{root} {note}")
    if item.source is None:
        raise UserError(f"metric set {item.name!r}: has no `source`, so there is no live data to go through")
    if arguments.data:
        table = read_table.read(Path(arguments.data))
        folders, placeless = local_pipeline.write_live_data(table, item, FolderStore(root))
        say(f"live data   {len(table) - len(placeless):,} rows in {folders:,} folders")
        _tell([f"{arguments.data}: {finding}" for finding in placeless], len(placeless), "rows have no place")
    report = local_pipeline.run_backtest(item, FolderStore(root), metric_set_yaml.load_all(sets), form, arguments.now)
    tell_of(report, item, root)
    warn_of_partitions(item, FolderStore(root))
    size = lake_page.write_page(item, duckdb_catalog.connect(root, [item], form), Path(arguments.output))
    say(f"dashboard   {Path(arguments.output).resolve()} ({size / 1e6:.1f} MB)")
    return 1 if report.failed_alerts or report.quarantined_alerts else 0


def tell_of(report: "Report", item: MetricSet, lake: Path | str) -> None:
    """What a back-test found: the data's quality, whether each measure is scored, the alerts."""
    say(
        f"detector    {report.intervals:,} intervals, {report.empty_intervals:,} more without data, {report.rows:,} rows, {report.series:,} series"
    )
    for measure, complete in zip(item.measure_names, report.completeness, strict=True):
        say(f"  completeness of {measure}: {complete:.2f} %")
    say(f"  duplicates: {report.duplicate_rows:,} rows repeat a series and interval (they are summed up, or averaged)")
    if report.cardinality:
        say(
            f"  cardinality: {', '.join(f'{name} {values:,}' for name, values in zip(item.dimension_names, report.cardinality, strict=True))}"
        )
    for status in report.status:
        say(f"  {status}")
    for note in report.notes:
        say(f"  {note}")
    say(f"alerts      {report.alerts:,}")
    _tell(report.findings, report.finding_count, "problems in the live data")
    _tell([], report.quarantined_alerts, f"alerts were not understood and are kept in {lake}/quarantine")


def _detect(arguments: Arguments) -> int:
    from anomalake.cli import local_pipeline
    from anomalake.functions import detect, lease
    from anomalake.functions.settings import Settings
    from anomalake.lake.credentials import open_lake

    sets = metric_set_yaml.load_all(_metric_set_path(arguments))
    if not (watched := [item for item in sets if item.source is not None]):
        raise UserError("no metric set here has a `source`, so there is no live data to go through")
    store, failed = open_lake(arguments.lake), False
    now = arguments.now or datetime.now(UTC).replace(tzinfo=None)
    form = _format(arguments, store, sets)
    for item in watched:
        say(item.path)
        with lease.hold_lease(store, item, now) as mine:
            if not mine:
                raise UserError(
                    f"{item.name}: another run of its detector is under way: {lease.describe_holder(store, item)}; try again when it has ended"
                )
            if arguments.rebuild:
                report = local_pipeline.run_backtest(item, store, sets, form, now)
                tell_of(report, item, arguments.lake)
                warn_of_partitions(item, store)
                failed = failed or bool(report.failed_alerts or report.quarantined_alerts)
            else:
                chosen = Settings(store, sets, form)
                done, memory = detect.run_detector(item, chosen, now, lambda: True)
                detect.compact_finished_days(item, chosen, memory, now, lambda: True)
                late = f", {done.late:,} late (`--rebuild` scores them)" if done.late else ""
                through = f"{item.clock.wall_time(memory.last_processed)} ({item.timezone})"
                say(f"detector    {done.scored:,} intervals, {done.empty:,} without data{late}, through {through}")
                for line in (*memory.detector.status(), *done.notes):
                    say(f"  {line}")
                say(f"alerts      {done.alerts:,}")
                _tell(done.findings, len(done.findings), "folders of live data lie in the future")
    return int(failed)


def warn_of_partitions(item: MetricSet, store: Store, top: Path = Path()) -> None:
    """Say which live data Athena does not show, by the `samconfig.toml` in the project's top."""
    from anomalake.catalog import projection
    from anomalake.lake import live_data

    samconfig = top / "samconfig.toml"
    told = samconfig.read_text("utf-8", "replace") if samconfig.is_file() else ""
    now = datetime.now(UTC).replace(tzinfo=None)
    for found, remedy in projection.warnings_for_profiles(
        live_data.list_files_by_interval(store, item), item, told, now
    ):
        _warn(f"{found}; {remedy}")


def _feedback(arguments: Arguments) -> int:
    from anomalake.cli import give_feedback
    from anomalake.lake.credentials import open_lake

    item, now = (
        _one(metric_set_yaml.load_all(_metric_set_path(arguments))),
        datetime.now(UTC).replace(tzinfo=None, microsecond=0),
    )
    store = open_lake(arguments.lake)
    if (arguments.event is None) == (arguments.measure is None):
        raise UsageError("name an event, or a --measure (with --series, if not all of its series are meant)")
    if arguments.event is not None:
        found = give_feedback.feedback_on_event(arguments.event, item, store, _format(arguments, store, [item]))
    else:
        found = [
            give_feedback.feedback_on_series(
                arguments.measure, arguments.since or now, arguments.direction, arguments.series or [], item
            )
        ]
    for one in found:
        said = msgspec.structs.replace(one, wanted=arguments.wanted, note=arguments.note, said_at=now)
        say(give_feedback.save_feedback(said, item, store))
        weight = "more" if arguments.wanted else "less"
        series = f"{len(said.series)} series" if said.series else "all series"
        say(
            f"  {said.metric_name}, {series}: anomalies {said.direction or 'on either side'} after {said.timestamp} UTC will weigh {weight}"
        )
    return 0


def _score(arguments: Arguments) -> int:
    from anomalake.cli import score_file

    quality = score_file.score_file(Path(arguments.data), Path(arguments.scores), arguments.frequency, arguments.now)
    say("\n".join([*quality.findings(), f"scores        {quality.values:,} in {arguments.scores}"]))
    return 0


def _tell(findings: Sequence[object], number: int, what: str) -> None:
    if number:
        _warn(f"{number:,} {what}{'; the first of them:' if findings else ''}")
        for finding in findings[:10]:
            print(f"  {printable(str(finding))}", file=sys.stderr)  # noqa: T201


def _ingest(arguments: Arguments) -> int:
    from anomalake import sources
    from anomalake.lake.credentials import open_lake
    from anomalake.lake.ingest import Message, ingest_messages, split_by_size

    sets = metric_set_yaml.load_all(_metric_set_path(arguments))
    messages = []
    for name in arguments.files:
        bodies = sources.split_message(_read(name))
        messages += [
            Message(f"{name}:{number}" if len(bodies) > 1 else name, body) for number, body in enumerate(bodies, 1)
        ]
    store = open_lake(arguments.lake)
    form, filed, failed, refused, warned, error = _format(arguments, store, sets), 0, 0, list[str](), set[str](), None
    for some in split_by_size(messages):
        outcome = ingest_messages(some, store, sets, form)
        filed, failed, error = filed + len(outcome.stored), failed + len(outcome.failed_ids), error or outcome.error
        refused += [f"{one.message.id}: {one.reason}" for one in outcome.quarantined]
        warned.update(outcome.warnings)
    say(f"{filed} alerts filed, {len(refused)} quarantined, {failed} failed")
    _tell(refused, len(refused), "were not understood, and are kept in quarantine")
    _tell(sorted(warned), len(warned), "intervals hold more than a table keeps")
    if error:
        raise error
    return 1 if refused else 0


def _read(name: str) -> str:
    """A file's text, in UTF-8, or in what its byte order mark says (PowerShell writes UTF-16)."""
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return data.decode(json.detect_encoding(data), "strict")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{name}: cannot be read: {error}") from error


def _replay(arguments: Arguments) -> int:
    from tqdm import tqdm

    from anomalake.lake import replay
    from anomalake.lake.credentials import open_lake

    if arguments.quarantine and (
        arguments.table or arguments.start or arguments.end or arguments.re_route or arguments.exact
    ):
        raise UsageError(
            "--quarantine files what is there by today's metric sets; it goes with --lake, --metric-set, --format and --jobs only"
        )
    if arguments.re_route and arguments.table:
        raise UsageError("--re-route moves alerts in all their tables; leave out --table")
    if "://" not in arguments.lake and not Path(arguments.lake).is_dir():
        raise UserError(f"{arguments.lake}: there is no lake in this folder")
    path = _metric_set_path(arguments)
    sets = metric_set_yaml.load_all(path)
    form: Format = arguments.format or detect_format(open_lake(arguments.lake), sets) or _chosen_format()
    base = replay.ReplayJob(arguments.lake, sets, sets[0], form, reroute=arguments.re_route, exact=arguments.exact)
    start, end = max(arguments.start or base.start, base.start), min(arguments.end or base.end, base.end)
    base = base._replace(start=start, end=end, tables=tuple(arguments.table or base.tables))
    if not base.start < base.end:
        raise UsageError(f"--from {base.start:%Y-%m-%dT%H:%M} must be before --to {base.end:%Y-%m-%dT%H:%M}")

    def done(
        name: str,
        work: "Callable[[replay.ReplayJob, Piece], replay.ReplayResult]",
        job: replay.ReplayJob,
        pieces: "Sequence[Piece]",
        unit: str,
    ) -> replay.ReplayResult:
        whole = replay.ReplayResult()
        for part in tqdm(
            replay.run_in_processes(work, job, pieces, arguments.jobs),
            desc=name,
            unit=unit,
            total=len(pieces),
            disable=None,
            leave=False,
        ):
            whole = whole.plus(part)
        return whole

    found = 0
    if arguments.quarantine:
        whole = done("quarantine", replay.retry_quarantine, base, replay.list_quarantine(base), " pieces")
        say(
            f"quarantine: {whole.deleted:,} messages understood now, {whole.alerts:,} alerts filed, {whole.finding_count:,} left"
        )
        _tell(whole.findings, whole.finding_count, "messages are still not understood, and stay in quarantine")
        return 1 if whole.finding_count else 0
    for item in sets:
        job = base._replace(metric_set=item)
        days = replay.list_days(job)
        whole = done(item.name, replay.rebuild_day, job, days, " days")
        moved = f", {whole.moved:,} of them moved to other metric sets" if job.reroute else ""
        say(f"{item.path}: {whole.alerts:,} alerts in the archive of {len(days):,} days{moved}")
        other = f", {whole.deleted:,} of the other format taken away" if whole.deleted else ""
        say(f"  {form}: {whole.written:,} objects written, {whole.unchanged:,} as they were{other}")
        _tell(whole.findings, whole.finding_count, f"things of {item.name!r} could not be made anew as they were")
        _tell(
            [],
            whole.kept_events,
            f"times an event stands in a table of {item.name!r} and not in the archive; it was kept (--exact drops it)",
        )
        found += whole.finding_count
    if path.is_dir() and (strange := replay.list_other_names(base)):
        _warn(f"the archive has alerts of {', '.join(strange)}, too, for which there is no metric set here; they stay")
    return 1 if found else 0


def _query(arguments: Arguments) -> int:
    from anomalake.catalog import duckdb_catalog
    from anomalake.lake.encoding import encode_safe_cell

    connection = duckdb_catalog.connect(_lake_folder(arguments), metric_set_yaml.load_all(_metric_set_path(arguments)))
    columns, rows = duckdb_catalog.stream(connection, arguments.sql)
    shape = arguments.shape or ("csv" if arguments.raw or not sys.stdout.isatty() else "table")
    if arguments.raw and shape != "csv":
        raise UsageError("--raw goes with --as csv only")
    if shape == "csv" and arguments.raw:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerows(
            [printable(cell) if isinstance(cell, str) else cell for cell in row]
            for row in itertools.chain([columns], rows)
        )
    elif shape == "csv":
        sys.stdout.writelines(",".join(map(encode_safe_cell, row)) + "\n" for row in itertools.chain([columns], rows))
    elif shape == "json":
        sys.stdout.writelines(json_line(dict(zip(columns, row, strict=True))) + "\n" for row in rows)
    else:
        sys.stdout.writelines(line + "\n" for line in table_lines(columns, rows))
    return 0


def _preview(arguments: Arguments) -> int:
    from anomalake.catalog import duckdb_catalog
    from anomalake.dashboards import lake_page

    item = _one(metric_set_yaml.load_all(_metric_set_path(arguments)))
    size = lake_page.write_page(item, duckdb_catalog.connect(_lake_folder(arguments), [item]), Path(arguments.output))
    say(f"{Path(arguments.output).resolve()} ({size / 1e6:.1f} MB)")
    return 0


def _render(arguments: Arguments) -> int:
    from anomalake.cli.rendered_files import FOLDERS, SCHEMAS, render
    from anomalake.lake.folder_store import FolderStore

    top = Path(arguments.output)
    known = top / SCHEMAS
    sets = metric_set_yaml.load_all(Path(arguments.metric_set or "src/metric_sets"))
    made = render(sets, known.read_text("utf-8") if known.exists() else "{}")
    stale = []
    for name, text in made.items():
        file = top / name
        if file.exists() and file.read_text("utf-8") == text:
            continue
        stale.append(name)
        if not arguments.check:
            file.parent.mkdir(parents=True, exist_ok=True)
            files.write_text(file, text)
            say(name)
    whole = Path(arguments.metric_set or "src/metric_sets").is_dir()  # one file says nothing of the others
    for file in sorted(
        path
        for folder in FOLDERS
        if whole
        for path in (top / folder).rglob("*.json")
        if path.relative_to(top).as_posix() not in made
    ):
        stale.append(file.relative_to(top).as_posix())
        if not arguments.check:
            file.unlink()
            if not any(file.parent.iterdir()):
                file.parent.rmdir()
            say(f"{stale[-1]} (removed)")
    if arguments.check and stale:
        raise UserError(
            f"not as the metric sets give them: {', '.join(stale)}; run `anomalake render` and commit what it writes"
        )
    lake = os.environ.get("ANOMALAKE_LAKE", "lake")
    if "://" not in lake and Path(lake).is_dir():  # what lies in S3, the doctor compares
        for item in (item for item in sets if item.source is not None):
            warn_of_partitions(item, FolderStore(Path(lake)), top)
    return 0


def _doctor(arguments: Arguments) -> int:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    from anomalake import doctor

    sets = metric_set_yaml.load_all(Path(arguments.metric_set or "src/metric_sets"))
    patient = Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 3, "mode": "standard"})
    try:
        session: Any = boto3.Session(region_name=arguments.region or os.environ.get("AWS_REGION"))
        region = session.region_name
    except BotoCoreError as error:
        raise UserError(f"AWS_PROFILE: {error}; name a profile that `aws configure list-profiles` prints") from error
    if not region:
        raise UserError("no AWS region is chosen; name one with --region, or in AWS_REGION")
    setting = doctor.Settings(arguments.stack, region, arguments.quicksight_owner, sets)
    checks = []
    for check in doctor.run_checks(
        lambda service, where: session.client(service, region_name=where, config=patient), setting
    ):
        checks.append(check)
        if arguments.shape == "json":
            say(json_line(check._asdict()))
        else:
            say(
                f"{check.status:<9}{check.name:<17}{check.found}"
                + (f"\n{'':<26}-> {check.remedy}" if check.remedy else "")
            )
    return 0 if doctor.is_healthy(checks) else 1


# --- where things are


def _lake_folder(arguments: Arguments) -> Path:
    if "://" in arguments.lake:
        raise UserError(f"{arguments.lake}: this command works on a lake in a folder; ask a lake in S3 through Athena")
    return Path(arguments.lake)


def _metric_set_path(arguments: Arguments) -> Path:
    """What is named, else the environment's, else the lake's own copies, else this project's."""
    named = arguments.metric_set or os.environ.get("ANOMALAKE_METRIC_SETS")
    if named:
        return Path(named)
    kept = Path(arguments.lake) / "metric_sets"
    return kept if kept.is_dir() else Path("src/metric_sets")


def _one(sets: tuple[MetricSet, ...]) -> MetricSet:
    if len(sets) > 1:
        raise UserError(
            f"there are several metric sets here ({', '.join(item.name for item in sets)}); name one file with --metric-set"
        )
    return sets[0]


# --- what can be said to it


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="anomalake",
        description="Anomaly alerts in; tables and dashboards out. "
        "A lake is a folder of this machine; `demo`, `detect`, `feedback`, `ingest` and `replay` take one in S3 too, `doctor` asks AWS.",
        epilog="A first look: `anomalake demo`. Your own data: `anomalake init FILE`, then `anomalake backtest`.",
    )
    parser.add_argument("--version", action="version", version=f"anomalake {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    lake, sets = (
        os.environ.get("ANOMALAKE_LAKE", "lake"),
        "the metric set's YAML file, or a folder of them (default: the lake's own copies)",
    )

    def command(
        name: str, run: Callable[[Arguments], int], told: str, example: str, *options: str
    ) -> argparse.ArgumentParser:
        made = commands.add_parser(
            name, help=told, description=f"{told[0].upper()}{told[1:]}.", epilog=f"Example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        made.set_defaults(run=run)
        known: dict[str, dict[str, Any]] = {
            "--lake": {"default": lake, "metavar": "FOLDER", "help": "the lake (default: %(default)s; ANOMALAKE_LAKE)"},
            "--metric-set": {"metavar": "PATH", "help": sets},
            "--format": {"choices": FORMATS, "help": "of the lake's tables (default: the lake's, else parquet)"},
            "--output": {
                "default": "dashboard.html",
                "metavar": "FILE",
                "help": "the page to write (default: %(default)s)",
            },
            "--now": {
                "type": moment,
                "metavar": "TIME",
                "help": "score what is due at this time, 2026-07-01T11:00 in UTC (default: the clock)",
            },
        }
        for option in options:
            made.add_argument(option, **known[option])
        return made

    made = command(
        "init",
        _init,
        "propose a metric set for a CSV or Parquet file",
        "anomalake init sales.csv --timezone Europe/Berlin",
    )
    made.add_argument("file", metavar="FILE", help="your data: a header, a column of timestamps, columns of numbers")
    made.add_argument(
        "--timezone",
        metavar="ZONE",
        help="IANA name of the zone that the timestamps are in (default: asked for on a terminal, else UTC)",
    )
    made.add_argument("--name", help="the metric set's name (default: from the file's)")
    _writes_a_metric_set(made)
    made = command(
        "import-metric-set", _import_metric_set, "make a metric set of what Amazon Lookout for Metrics said of one",
        "anomalake import-metric-set described.json --output src/metric_sets/shop.yaml",
    )  # fmt: skip
    made.add_argument(
        "file",
        metavar="FILE",
        help="the JSON that `aws lookoutmetrics describe-metric-set` printed, or - for standard input",
    )
    _writes_a_metric_set(made)
    made = command(
        "demo", _demo, "run the whole pipeline on real or generated data and write its dashboard", "anomalake demo --dataset ecommerce",
        "--format", "--output",
    )  # fmt: skip
    made.add_argument(
        "--lake",
        default="demo-lake",
        metavar="FOLDER",
        help="a lake of its own, or a fresh s3://BUCKET (default: %(default)s)",
    )
    made.add_argument(
        "--dataset",
        choices=("flights", "ecommerce"),
        help="New York's flights of 2013, or a generated shop (default: the flights; with --lake s3://BUCKET the shop)",
    )
    made.add_argument("--days", type=_positive, metavar="N", help="only the first N days (in S3: the last)")
    made = command(
        "backtest", _backtest, "run the detector over all live data of a metric set, and write its dashboard",
        "anomalake backtest --metric-set sales.yaml --data sales.csv", "--lake", "--metric-set", "--format", "--output", "--now",
    )  # fmt: skip
    made.add_argument("--data", metavar="FILE", help="a CSV or Parquet file to lay out as live data first")
    made = command(
        "detect", _detect, "score the intervals that are due and file the alerts, as the function in AWS does",
        "anomalake detect --metric-set src/metric_sets/sales.yaml", "--lake", "--metric-set", "--format", "--now",
    )  # fmt: skip
    made.epilog = f"{made.epilog}\n  anomalake detect --rebuild --lake s3://BUCKET --metric-set src/metric_sets/sales.yaml\n\n{_REBUILD}"
    made.add_argument(
        "--rebuild",
        action="store_true",
        help="make the detector's memory anew from all live data, intervals that came late too",
    )
    made = command(
        "feedback", _feedback, "say of an event, or of series, whether such anomalies are wanted",
        "anomalake feedback 0b6f6e4e-... --not-wanted --note 'a planned sale'", "--lake", "--metric-set", "--format",
    )  # fmt: skip
    made.epilog = (
        f"{made.epilog}\n  anomalake feedback --measure revenue --series marketplace=us --not-wanted\n\n{_FEEDBACK}"
    )
    made.add_argument("event", nargs="?", metavar="EVENT", help="the event's id (`eventid` in anomaly_log)")
    either = made.add_mutually_exclusive_group(required=True)
    either.add_argument("--wanted", action="store_true", help="such anomalies gain severity")
    either.add_argument("--not-wanted", dest="wanted", action="store_false", help="such anomalies lose severity")
    made.add_argument("--measure", metavar="NAME", help="instead of an event: this measure, or 'missing data'")
    made.add_argument(
        "--series",
        action="append",
        metavar="NAME=VALUE",
        help="only series that have this dimension value; may be given several times",
    )
    made.add_argument("--direction", choices=("above", "below"), help="only anomalies on this side (default: both)")
    made.add_argument(
        "--since", type=moment, metavar="TIME", help="anomalies after this, 2026-07-01T11:00 in UTC (default: now)"
    )
    made.add_argument("--note", metavar="TEXT", help="why, for people")
    made = command(
        "score", _score, "score the rows of a CSV or Parquet file, each by what came before it, without a lake",
        "anomalake score sales.csv scores.parquet --frequency PT1H", "--now",
    )  # fmt: skip
    made.epilog = f"{made.epilog}\n\n{_SCORE}"
    made.add_argument("data", metavar="IN", help="CSV or Parquet with the columns series, timestamp, value")
    made.add_argument(
        "scores", metavar="OUT", help="the file to write: series, timestamp, score, expected, lower, upper"
    )
    made.add_argument(
        "--frequency",
        required=True,
        choices=tuple(intervals.INTERVAL_LENGTHS),
        help="an interval's length: day, hour, ten or five minutes",
    )
    made = command(
        "ingest",
        _ingest,
        "file alerts in the lake",
        "anomalake ingest alert.json more.jsonl",
        "--lake",
        "--metric-set",
        "--format",
    )
    made.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="alerts as JSON: one, an array, one a line (.jsonl), or - for standard input",
    )
    made = command(
        "replay", _replay, "make the tables anew from the archive, or try again what is in quarantine",
        "anomalake replay --from 2026-07-01 --to 2026-08-01", "--lake", "--metric-set", "--format",
    )  # fmt: skip
    made.epilog = f"{made.epilog}\n  anomalake replay --quarantine\n\n{_REPLAY}"
    made.add_argument(
        "--table",
        action="append",
        choices=tuple(GLUE_TABLE_NAMES),
        help="only this one; may be given several times (default: all)",
    )
    made.add_argument(
        "--from",
        dest="start",
        type=moment,
        metavar="TIME",
        help="the first interval: 2026-07-01 or 2026-07-01T11:00, UTC",
    )
    made.add_argument("--to", dest="end", type=moment, metavar="TIME", help="the end: intervals that start before it")
    made.add_argument(
        "--jobs",
        type=_positive,
        default=os.cpu_count() or 1,
        metavar="N",
        help="processes at a time (default: %(default)s)",
    )
    made.add_argument(
        "--re-route",
        action="store_true",
        help="file alerts where `alerts.detectors` leads today, not where they were filed",
    )
    made.add_argument("--exact", action="store_true", help="drop the rows of events that the archive does not have")
    made.add_argument(
        "--quarantine", action="store_true", help="ingest what was not understood again, after a metric set was mended"
    )
    made = command(
        "query",
        _query,
        "ask the lake in SQL, as Athena would answer",
        'anomalake query "SELECT * FROM anomaly_log LIMIT 10"',
        "--lake",
        "--metric-set",
    )
    made.add_argument("sql", metavar="SQL", help="one statement; tables and views: docs/catalog.md")
    made.epilog = f"{made.epilog}\n\n{_QUERY}"
    made.add_argument(
        "--as", dest="shape", choices=("table", "csv", "json"), help="default: a table on a terminal, CSV in a pipe"
    )
    made.add_argument(
        "--raw",
        action="store_true",
        help="CSV with quotes instead of percent-encoding; do not open it in a spreadsheet",
    )
    command(
        "preview",
        _preview,
        "draw the QuickSight dashboard as an HTML page",
        "anomalake preview",
        "--lake",
        "--metric-set",
        "--output",
    )
    made = command(
        "render",
        _render,
        "write the files that are made from the metric sets",
        "anomalake render --check",
        "--metric-set",
    )
    made.add_argument("--output", default=".", metavar="FOLDER", help="the project's top (default: here)")
    made.add_argument("--check", action="store_true", help="write nothing; exit 1 where a file differs")
    made = command(
        "doctor", _doctor, "check an AWS account and a deployed stack for what most often goes wrong, and say what to do",
        "anomalake doctor --region eu-west-1 --quicksight-owner ana", "--metric-set",
    )  # fmt: skip
    made.add_argument(
        "--stack", default="anomalake", metavar="NAME", help="the CloudFormation stack (default: %(default)s)"
    )
    made.add_argument("--region", metavar="REGION", help="the stack's (default: AWS_REGION, else the profile's)")
    made.add_argument(
        "--quicksight-owner",
        default="",
        metavar="ARN_OR_NAME",
        help="who is to own the dashboards: a user's ARN or name, group/default/NAME",
    )
    made.add_argument(
        "--as",
        dest="shape",
        choices=("table", "json"),
        default="table",
        help="default: %(default)s; json: an object a line",
    )
    return parser


def _writes_a_metric_set(command: argparse.ArgumentParser) -> None:
    command.add_argument("--output", metavar="FILE", help="the YAML file to write (default: <name>.yaml)")
    command.add_argument("--force", action="store_true", help="write over a file that exists")


def _chosen_format() -> Format:
    return "csv" if os.environ.get("ANOMALAKE_FORMAT") == "csv" else "parquet"


def _format(arguments: Arguments, store: Store, sets: Sequence[MetricSet]) -> Format:
    """The format that the lake has already; another is refused, since a table is read in one format."""
    kept = detect_format(store, sets)
    if kept and arguments.format and kept != arguments.format:
        raise UserError(f"{arguments.lake}: holds {kept} tables; leave out --format, or name another lake")
    chosen: Format = arguments.format or kept or _chosen_format()
    return chosen


def moment(text: str) -> datetime:
    """An option's time, naive UTC."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is not None:
        raise argparse.ArgumentTypeError("must be written like 2026-07-01 or 2026-07-01T11:00 (UTC)")
    return found


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 9999):
        raise argparse.ArgumentTypeError("must be a whole number from 1 to 9999")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
