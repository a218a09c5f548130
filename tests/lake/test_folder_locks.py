"""Locks of a folder lake: a stopped writer, and a filesystem without locks."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from anomalake.lake.folder_store import FolderStore, LockTimeouts
from anomalake.lake.store import StorageError

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
    """A stopped process that holds the lock of the key `a`."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"locked\n"
    process.send_signal(signal.SIGSTOP)
    yield process
    process.kill()
    process.communicate()


def test_a_stopped_writer_is_named_after_a_delay_and_causes_an_error_after_the_limit(tmp_path, stopped_holder):
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


def test_a_waiting_writer_continues_as_soon_as_the_stopped_writer_ends(tmp_path, stopped_holder):
    store = FolderStore(tmp_path, LockTimeouts(notice_seconds=0.1, limit_seconds=60))
    store.put("a", b"one")
    version = store.get("a").version
    threading.Timer(0.5, stopped_holder.kill).start()
    with pytest.warns(UserWarning, match="^a: waiting for"):
        assert store.replace("a", b"two", version)
    assert store.get("a").data == b"two"


def test_the_command_names_the_process_that_blocks_it_and_ends(tmp_path, stopped_holder, monkeypatch, capsys):
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


def test_the_limits_match_the_documentation():
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
