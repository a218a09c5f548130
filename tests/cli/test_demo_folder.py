"""The folder of the demo: no file of the user is deleted, and the next demo works after a stop at any time."""

import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from anomalake.cli.demo import folder
from anomalake.cli.demo.folder import LOCK, MARKER, DemoFolder, empty_demo_lake, remove
from anomalake.cli.main import main
from anomalake.domain.errors import UserError
from anomalake.lake.folder_store import FolderStore
from anomalake.lake.store import StorageError

KEYS = (
    "ecommerce/live/20260101/0000/data.csv",
    "anomalyResults/observations/ecommerce/v1/date=2026-01-01/2026-01-01.parquet",
    "labels.csv",
)


def fill(store: DemoFolder) -> None:
    """Record the file operations of a demo: files that it creates, overwrites and deletes."""
    for key in KEYS:
        store.create(key, b"one")
        store.put(key, b"two")
        assert store.replace(key, b"three", store.get(key).version)
    store.put("detector/ecommerce/v1/state.json", b"{}")
    store.delete("detector/ecommerce/v1/state.json")


def demo(root: Path) -> None:
    with empty_demo_lake(root) as store:
        fill(store)


def content(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and ".locks" not in path.parts
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "demo-lake"


USERS: dict[str, Callable[[Path], object]] = {
    "metric_sets/sales.yaml": lambda path: path.write_text("name: sales\n"),
    "feedback/ecommerce/v1/x.json": lambda path: path.write_text("{}"),
    "ecommerce/live/20260101/0100/data.csv": lambda path: path.write_text("a,b\n"),
    "ecommerce/live/20260101/0000/more.csv": lambda path: path.write_text("a,b\n"),
    "alerts/ecommerce/v1/date=2026-01-01/0a.jsonl": lambda path: path.write_text("{}\n"),
    "quarantine/0a.json": lambda path: path.write_text("{}\n"),
    ".hidden": lambda path: path.write_text("mine"),
    "sub/.writing/x": lambda path: path.write_text("mine"),
    "a-link": lambda path: path.symlink_to("/etc/passwd"),
    "a-linked-folder": lambda path: path.symlink_to("/etc"),
    "a-pipe": os.mkfifo,
    "a line\nbreak": lambda path: path.write_text("mine"),
}


@pytest.mark.parametrize("name", USERS)
def test_a_folder_with_other_files_is_rejected_and_left_unchanged(name, root):
    demo(root)
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    USERS[name](file)
    before = {key: data for key, data in content(root).items() if key != "a-link"} if name != "a-pipe" else None
    for refused in (demo, remove):
        with pytest.raises(UserError) as caught:
            refused(root)
        assert str(caught.value).startswith(
            f"{file}: was not written by the demo, so no file here is deleted; name another folder with --lake"
        )
    assert before is None or {key: data for key, data in content(root).items() if key != "a-link"} == before
    file.unlink()
    demo(root)


@pytest.mark.parametrize("key", [KEYS[0], "labels.csv"])
def test_a_file_of_the_demo_that_the_user_changed_is_kept(key, root):
    demo(root)
    (root / key).write_text("changed by hand")
    with pytest.raises(UserError, match=f"^{root / key}: was changed after the demo, so no file here is deleted"):
        demo(root)
    assert (root / key).read_text() == "changed by hand"


def test_the_first_foreign_file_is_named(root):
    demo(root)
    for name in ("z.txt", "b/c.txt", "a.txt"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("mine")
    with pytest.raises(UserError, match=f"^{root}/a.txt: "):
        demo(root)


@pytest.mark.parametrize("marker", [None, "Made by `anomalake demo`, which deletes this folder when it runs again.\n"])
def test_a_lake_without_the_list_of_files_is_rejected_and_left_unchanged(marker, root):
    FolderStore(root).put(KEYS[0], b"mine")
    if marker:
        (root / MARKER).write_text(marker)
    before = content(root)
    with pytest.raises(UserError, match=f"^{root / KEYS[0]}: was not written by the demo"):
        demo(root)
    assert {key: data for key, data in content(root).items() if key != LOCK} == before
    assert marker is not None or not (root / LOCK).exists()


def test_a_file_in_place_of_the_folder_is_rejected(root):
    root.write_text("mine")
    with pytest.raises(UserError, match=f"^{root}: was not written by the demo"):
        demo(root)
    assert root.read_text() == "mine"


def test_a_file_that_appears_while_the_old_lake_is_deleted_is_kept(root, monkeypatch):
    demo(root)
    unlink, first = Path.unlink, [True]

    def another_comes(path: Path, missing_ok: bool = False) -> None:
        if first:
            first.clear()
            (root / "ecommerce/live/20260101/0000/mine.csv").write_text("mine")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", another_comes)
    demo(root)
    monkeypatch.undo()
    with pytest.raises(UserError, match=r"mine\.csv: was not written by the demo"):
        demo(root)


def test_a_second_demo_replaces_the_lake_of_the_first_and_the_lake_can_be_removed(root):
    demo(root)
    first = content(root)
    demo(root)
    assert content(root) == first
    remove(root)
    assert not root.exists()
    remove(root)


def test_two_demos_never_fill_one_folder_at_the_same_time(root):
    with empty_demo_lake(root) as store:
        store.put("labels.csv", b"")
        with pytest.raises(
            UserError, match=f"^{root}: another demo is writing to it, .*; name another folder with --lake"
        ):
            demo(root)
        assert store.get("labels.csv") is not None


def test_make_clean_calls_the_module_that_removes_the_lake_of_the_demo_and_deletes_no_lake_itself():
    makefile = (Path(__file__).parents[2] / "Makefile").read_text()
    recipe = makefile.partition("\nclean:")[2].partition("\n\n")[0]
    assert "-m anomalake.cli.demo.folder demo-lake" in recipe
    assert not {"lake", "demo-lake"} & set(recipe.partition("rm -rf")[2].split())


@pytest.mark.parametrize("form", ["missing", "file"])
def test_the_module_that_make_clean_calls_names_the_file_that_prevents_removal(form, root):
    demo(root)
    if form == "file":
        (root / "mine.txt").write_text("mine")
    done = subprocess.run(
        [sys.executable, "-m", "anomalake.cli.demo.folder", root], capture_output=True, text=True, check=False
    )
    assert (done.returncode, root.exists()) == ((1, True) if form == "file" else (0, False))
    assert done.stderr.startswith(f"{root}/mine.txt: was not written by the demo") == (form == "file")


# --- a stop at any time


def stop_at(step: int, root: Path, *, kill: bool) -> bool:
    """Run a demo in a forked process that is stopped before its `step`-th file operation. Returns whether it was
    stopped.
    """
    if process := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) != 0
    operations = itertools.count(1)

    def watched(event: str, args: tuple[object, ...]) -> None:
        is_write = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
        changes = is_write or event in {"os.link", "os.rename", "os.remove", "os.mkdir", "os.rmdir"}
        if changes and args and str(args[0]).startswith(str(root)) and next(operations) == step:
            if kill:
                signal.raise_signal(signal.SIGKILL)
            raise KeyboardInterrupt

    status = 0
    try:
        sys.addaudithook(watched)
        demo(root)
    except BaseException:  # noqa: BLE001
        status = 1
    os._exit(status)


@pytest.mark.slow
@pytest.mark.parametrize("kill", [True, False], ids=["SIGKILL", "Ctrl-C"])
@pytest.mark.parametrize("before", [False, True], ids=["a first demo", "a second demo"])
def test_the_next_demo_works_after_a_stop_at_any_file_operation(before, kill, tmp_path):
    for step in itertools.count(1):
        root = tmp_path / "demo-lake"
        shutil.rmtree(root, ignore_errors=True)
        if before:
            demo(root)
        stopped = stop_at(step, root, kill=kill)
        demo(root)
        assert {key: data for key, data in content(root).items() if key in KEYS} == dict.fromkeys(KEYS, b"three"), step
        assert set(content(root)) == {*KEYS, MARKER, LOCK}, step
        if not stopped:
            break
    assert step > (60 if before else 50)


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_the_next_demo_works_after_a_signal_at_any_of_several_times(stop, tmp_path):
    """Run the command, and stop it after it wrote a number of files."""
    rng, root = random.Random(1), tmp_path / "demo-lake"
    command = [
        sys.executable,
        "-m",
        "anomalake",
        "demo",
        "--dataset",
        "ecommerce",
        "--days",
        "6",
        "--output",
        tmp_path / "page.html",
    ]
    for files in (0, 1, rng.randrange(5, 140), 150):
        written = _changed(root)
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while process.poll() is None and (_changed(root) == written or _listed(root) < files + 1):
            pass
        process.send_signal(stop)
        _, err = process.communicate()
        assert process.returncode != 0, "it was done before"
        if stop == signal.SIGINT:
            assert err.splitlines()[-1] == "anomalake: stopped"
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "page.html").stat().st_size > 100_000


def _changed(root: Path) -> int:
    return (root / MARKER).stat().st_mtime_ns if (root / MARKER).exists() else 0


def _listed(root: Path) -> int:
    return (root / MARKER).read_bytes().count(b"\n") if (root / MARKER).exists() else 0


def test_a_line_that_a_full_disk_truncated_affects_only_its_own_file(root):
    with empty_demo_lake(root) as store:
        store.put("a", b"one")
        with (root / MARKER).open("ab") as marker:
            marker.write(b"\n0123456789")  # no space for the rest
        store.put("b", b"two")
    demo(root)


def test_a_list_that_cannot_be_written_is_a_storage_error_and_no_file_is_written(root):
    with empty_demo_lake(root) as store:
        (root / MARKER).unlink()
        (root / MARKER).mkdir()
        with pytest.raises(StorageError, match=f"^{root / MARKER}: "):
            store.put("a", b"one")
        assert store.get("a") is None


# --- the command


def test_the_demo_uses_its_own_folder_whatever_lake_the_environment_names(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANOMALAKE_LAKE", str(tmp_path / "mine"))
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake/mine.txt").write_text("keep")
    assert main(["demo", "--days", "3"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"lake", "demo-lake", "dashboard.html"}
    assert 'query --lake demo-lake "SELECT ..."' in capsys.readouterr().out
    assert main(["query", "--lake", "demo-lake", "SELECT count(*) AS n FROM anomalies_with_live", "--as", "json"]) == 0


def test_feedback_on_the_demo_is_never_deleted(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--days", "2"]) == 0
    assert main(["feedback", "--lake", "demo-lake", "--measure", "cancelled", "--not-wanted"]) == 0
    capsys.readouterr()
    assert main(["demo", "--days", "2"]) == 1
    assert capsys.readouterr().err.startswith("anomalake: demo-lake/feedback/flights/v1/")
    assert len(list((tmp_path / "demo-lake/feedback").rglob("*.json"))) == 1


def test_a_page_in_the_lake_of_the_demo_is_rejected(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--output", "demo-lake/page.html"]) == 1
    assert "name a file outside of demo-lake" in capsys.readouterr().err
    assert not (tmp_path / "demo-lake").exists()


def test_the_default_folder_is_ignored_by_git_and_named_in_the_readme():
    top = Path(folder.__file__).parents[4]
    assert "/demo-lake/" in (top / ".gitignore").read_text().splitlines()
    assert 'query --lake demo-lake "SELECT' in (top / "README.md").read_text()
