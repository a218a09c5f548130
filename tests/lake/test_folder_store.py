"""A folder lake with a stopped writer, a full disk and a power failure."""

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from anomalake.domain.errors import UserError
from anomalake.lake import files, folder_store
from anomalake.lake.folder_store import FolderStore, LockTimeouts, sync_at_end
from anomalake.lake.object_store import ObjectStore
from anomalake.lake.store import StorageError, open_store

HOLD = """
import sys
from pathlib import Path
from anomalake.lake.folder_store import FolderStore
with FolderStore(Path(sys.argv[1]))._locked("a"):
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def stopped_holder(tmp_path: Path):
    """A process that holds the lock of the key `a`, and is stopped."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"locked\n"
    process.send_signal(signal.SIGSTOP)
    yield process
    process.kill()
    process.communicate()


def test_a_stopped_writer_is_named_after_a_while_and_given_up_on_after_the_limit(tmp_path, stopped_holder):
    FolderStore(tmp_path).put("a", b"one")
    store = FolderStore(tmp_path, LockTimeouts(notice_seconds=0.2, limit_seconds=0.5))
    lock = tmp_path / ".locks" / next((tmp_path / ".locks").iterdir()).name
    who = (
        f"process {stopped_holder.pid} \\({sys.executable} -c .*\\)"
        if Path("/proc/locks").exists()
        else "another process"
    )
    version = store.get("a").version
    with (
        pytest.warns(UserWarning, match=f"^a: waiting for {who} to release {lock}; the write fails after 0.5 seconds"),
        pytest.raises(
            StorageError,
            match=f"^a: not written, because {who} held the lock {lock} for 0.5 seconds; resume that process",
        ),
    ):
        store.replace("a", b"two", version)
    assert store.get("a").data == b"one"


def test_a_writer_that_waits_goes_on_as_soon_as_the_stopped_one_is_gone(tmp_path, stopped_holder):
    store = FolderStore(tmp_path, LockTimeouts(notice_seconds=0.1, limit_seconds=60))
    store.put("a", b"one")
    version = store.get("a").version
    threading.Timer(0.5, stopped_holder.kill).start()
    with pytest.warns(UserWarning, match="^a: waiting for"):
        assert store.replace("a", b"two", version)
    assert store.get("a").data == b"two"


def test_the_command_says_who_holds_it_up_and_ends(tmp_path, stopped_holder, monkeypatch, capsys):
    from anomalake.cli.commands import ingest
    from anomalake.cli.main import main

    def opened(_: str) -> FolderStore:
        return FolderStore(tmp_path, LockTimeouts(0.1, 0.3))

    def written(_: object) -> int:
        store = opened("")
        store.put("a", b"one")
        return int(store.replace("a", b"two", store.get("a").version))

    monkeypatch.setattr(ingest, "run", written)
    assert main(["ingest", "x.json", "--lake", str(tmp_path)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(";")[0].split(" ")[:2] for line in lines] == [["anomalake:", "a:"]] * 2
    assert "waiting for" in lines[0]
    assert "not written" in lines[1]


def test_the_limits_are_those_that_the_documentation_says():
    text = (Path(__file__).parents[2] / "docs/lake.md").read_text("utf-8")
    assert LockTimeouts() == (5, 60)
    assert "after 5 seconds" in text
    assert "after 60 seconds" in text


def test_a_filesystem_without_locks_is_a_storage_error(tmp_path, monkeypatch):
    import filelock

    def missing(*_: object, **__: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(filelock.FileLock, "acquire", missing)
    with pytest.raises(StorageError, match="does not support file locks; use a lake on a local disk"):
        FolderStore(tmp_path).replace("a", b"", "")


# --- power


class Record:
    """What a store asks of the disk, in order: (what, which path below the root)."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.done = root, list[tuple[str, str]]()
        self._known = {name: getattr(os, name) for name in ("fsync", "link", "replace", "unlink", "mkdir")}
        monkeypatch.setattr(os, "fsync", lambda fd: self._noted("fsync", Path(f"/proc/self/fd/{fd}").readlink(), fd))
        for name in ("link", "replace"):
            monkeypatch.setattr(os, name, lambda source, target, name=name: self._noted(name, target, source, target))
        monkeypatch.setattr(os, "mkdir", lambda path, *more: self._noted("mkdir", path, path, *more))

    def _noted(self, name: str, path: object, *arguments: object) -> None:
        self._known[name](*arguments)
        relative = os.path.relpath(str(path), self.root)
        self.done.append((name, ".writing/*" if relative.startswith(".writing/") else relative))


@pytest.fixture
def record(tmp_path, monkeypatch) -> Record:
    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc to tell which file is synced")
    return Record(tmp_path / "lake", monkeypatch)


def synced_in_order(done: list[tuple[str, str]], settle: str, key: str) -> None:
    """The file before its name, the folder after it, and each new folder's entry in the one above it."""
    named = done.index((settle, key))
    assert ("fsync", ".writing/*") in done[:named]
    assert ("fsync", os.path.dirname(key) or ".") in done[named:]  # noqa: PTH120
    for number, (what, folder) in enumerate(done):
        if what == "mkdir" and folder not in {".writing", ".locks"}:
            assert ("fsync", os.path.normpath(f"{folder}/..")) in done[number:], folder


@pytest.mark.parametrize("key", ["a", "a/b/c/d.txt"])
def test_what_is_written_is_on_the_disk_before_the_call_returns(record, key):
    store = FolderStore(record.root)
    assert store.create(key, b"one")
    synced_in_order(record.done, "link", key)
    record.done.clear()
    assert store.replace(key, b"two", store.get(key).version)
    synced_in_order(record.done, "replace", key)
    record.done.clear()
    store.put(key, b"three")
    synced_in_order(record.done, "replace", key)
    record.done.clear()
    store.delete(key)
    assert record.done == [("fsync", os.path.dirname(key) or ".")]  # noqa: PTH120


def test_a_folder_that_another_process_made_and_did_not_sync_is_synced(record):
    (record.root / "a/b").mkdir(parents=True)
    record.done.clear()
    FolderStore(record.root).create("a/b/c", b"")
    assert {("fsync", name) for name in ("..", ".", "a", "a/b")} <= set(record.done)


def test_an_object_that_is_there_already_is_on_the_disk_when_that_is_said(record):
    FolderStore(record.root).create("a/b", b"")
    record.done.clear()
    assert not FolderStore(record.root).create("a/b", b"")
    assert record.done[-1] == ("fsync", "a")


def test_a_folder_is_synced_once_and_not_for_every_object(record):
    store = FolderStore(record.root)
    for number in range(4):
        store.create(f"a/b/{number}", b"")
    record.done.clear()
    store.create("a/b/last", b"")
    assert record.done == [("fsync", ".writing/*"), ("link", "a/b/last"), ("fsync", "a/b")]


def test_objects_that_are_synced_together_are_on_the_disk_at_the_end_of_the_block(record):
    store = FolderStore(record.root)
    store.put("old", b"")
    record.done.clear()
    with sync_at_end(store):
        for number in range(3):
            store.put(f"new/{number}", b"one")
        store.put("old", b"written over")
        assert [one for one in record.done if one[0] == "fsync"] == [
            ("fsync", ".writing/*")
        ]  # of the one that is written over
    ended = [name for what, name in record.done if what == "fsync"]
    assert sorted(ended[1:4]) == ["new/0", "new/1", "new/2"]
    assert set(ended[4:]) == {"new", "."}
    record.done.clear()
    store.put("new/3", b"")
    assert [what for what, _ in record.done] == ["fsync", "replace", "fsync"]


def test_a_block_that_fails_leaves_a_store_that_syncs_every_folder_anew(record):
    store = FolderStore(record.root)

    def failing() -> None:
        with sync_at_end(store):
            store.put("new/0", b"")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        failing()
    record.done.clear()
    store.put("new/1", b"")
    synced_in_order(record.done, "replace", "new/1")
    assert ("fsync", ".") in record.done


def test_s3_has_an_object_when_it_answers():
    with sync_at_end(ObjectStore.memory()):
        pass


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EACCES])
def test_a_folder_that_cannot_be_synced_stops_nothing(tmp_path, monkeypatch, number):
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").is_dir():
            raise OSError(number, "no")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    assert FolderStore(tmp_path / "lake").create("a/b", b"")


@pytest.mark.parametrize("of", ["file", "folder"])
def test_a_disk_that_fails_while_it_syncs_is_a_storage_error(tmp_path, monkeypatch, of):
    def failed(_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(folder_store, "sync_file" if of == "file" else "sync_folder", failed)
    with pytest.raises(StorageError, match=r"^a: Input/output error"):
        FolderStore(tmp_path).create("a", b"")


# --- a full disk


@pytest.fixture
def full_disk(monkeypatch):
    """No byte can be written to a file any more, though files can be made."""
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_no_file_in_the_lake_and_the_object_is_named(tmp_path, full_disk):
    store = open_store(str(tmp_path / "lake"))
    for write in (store.create, store.put):
        with pytest.raises(StorageError, match=r"^a/b\.txt: File too large"):
            write("a/b.txt", b"some bytes")
    assert [path for path in (tmp_path / "lake").rglob("*") if path.is_file()] == []


def test_a_full_disk_leaves_a_file_as_it_was_and_nothing_beside_it(tmp_path, request):
    old = tmp_path / "old.txt"
    old.write_text("before")
    request.getfixturevalue("full_disk")
    for target in (old, tmp_path / "new.txt"):
        with pytest.raises(UserError, match=f"^{target}: cannot write the file: File too large"):
            files.write_text(target, "some text")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("old.txt", "before")]


def test_a_file_is_written_through_a_link_with_the_permissions_it_had(tmp_path):
    real, link = tmp_path / "real.txt", tmp_path / "link.txt"
    real.write_text("before")
    real.chmod(0o640)
    link.symlink_to(real)
    files.write_text(link, "after")
    assert (real.read_text(), link.is_symlink(), real.stat().st_mode & 0o777) == ("after", True, 0o640)
    assert len(list(tmp_path.iterdir())) == 2


def test_what_is_no_file_is_written_directly(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read = list[str]()
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    files.write_text(pipe, "text")
    reader.join(30)
    assert read == ["text"]
    assert pipe.is_fifo()


def test_an_interrupted_write_leaves_the_file_as_it_was(tmp_path):
    old = tmp_path / "old.txt"
    old.write_text("before")

    def interrupted() -> None:
        with files.replace_file(old) as file:
            file.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("old.txt", "before")]


# --- the command on a full disk

FULL = """
import resource, signal, sys
from pathlib import Path
from anomalake.cli.main import main
import anomalake.cli.demo.run
from anomalake.cli import lookout_metric_set, propose_metric_set, rendered_files, score_file
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(main(sys.argv[2:]))
"""


def on_a_full_disk(here: Path, bytes_left: int, *arguments: str) -> tuple[int, str]:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", FULL, str(bytes_left), *arguments]
    done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    import pandas as pd

    times = pd.date_range("2024-01-01", periods=100, freq="h").strftime("%Y-%m-%d %H:%M:%S")
    pd.DataFrame({"when": times, "region": "north", "sales": range(100)}).to_csv(tmp_path / "sales.csv", index=False)
    pd.DataFrame({"series": "north", "timestamp": times, "value": range(100)}).to_csv(
        tmp_path / "series.csv", index=False
    )
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("init", "sales.csv", "--timezone", "UTC"), "sales.yaml"),
        (("score", "series.csv", "scores.csv", "--frequency", "PT1H"), "scores.csv"),
        (("score", "series.csv", "scores.parquet", "--frequency", "PT1H"), "scores.parquet"),
        (("preview", "--metric-set", "shop.yaml"), "dashboard.html"),
        (("render", "--metric-set", "shop.yaml"), "glue/schemas.json"),
        (("ingest", "alert.json", "--metric-set", "shop.yaml"), "alerts/shop/v1/"),
        (("backtest", "--metric-set", "shop.yaml"), "metric_sets/shop.yaml"),
        (("demo", "--days", "2"), "demo-lake/.anomalake-demo"),
    ],
)
def test_on_a_full_disk_the_command_names_the_file_and_leaves_nothing_in_the_way(arguments, named, data):
    from examples import alert_body, shop_text

    (data / "shop.yaml").write_text(shop_text())
    (data / "alert.json").write_text(alert_body())
    (data / "lake").mkdir()
    before = files_in(data)
    status, err = on_a_full_disk(data, 20, *arguments)
    assert status == 1
    assert err.startswith("anomalake: ")
    assert named in err.splitlines()[-1]
    assert "File too large" in err
    assert "Traceback" not in err
    assert {name for name in files_in(data) - before if "/.locks/" not in name} <= {
        "demo-lake/.anomalake-demo",
        "demo-lake/.anomalake-demo.lock",
    }
    again = subprocess.run(
        [sys.executable, "-m", "anomalake", *arguments], cwd=data, capture_output=True, text=True, check=False
    )
    assert "exists already" not in again.stderr
    assert again.returncode == (0 if arguments[0] != "backtest" else 1), again.stderr


@pytest.mark.parametrize("sql", ["SELECT 1 AS n", "SELECT n FROM UNNEST(sequence(1, 20000)) AS t(n)"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_standard_output_that_is_full_is_named(sql, unbuffered, data):
    from examples import shop_text

    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    (data / "shop.yaml").write_text(shop_text())
    (data / "lake").mkdir()
    command = [sys.executable, "-m", "anomalake", "query", sql, "--metric-set", "shop.yaml"]
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, cwd=data, env=environment, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (1, "anomalake: standard output or a file: No space left on device\n")
