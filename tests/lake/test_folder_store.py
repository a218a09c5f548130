"""A folder lake and power failures: what is on the disk when a call returns."""

import errno
import os
from pathlib import Path

import pytest

from anomalake.lake import folder_store
from anomalake.lake.folder_store import FolderStore, sync_at_end
from anomalake.lake.object_store import ObjectStore
from anomalake.lake.store import StorageError


class Record:
    """Record the calls of a store to the disk in order: (call, path below the root)."""

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
    """The file is synced before its name, then its folder, and the entry of each new folder in its parent folder."""
    named = done.index((settle, key))
    assert ("fsync", ".writing/*") in done[:named]
    assert ("fsync", os.path.dirname(key) or ".") in done[named:]  # noqa: PTH120
    for number, (what, folder) in enumerate(done):
        if what == "mkdir" and folder not in {".writing", ".locks"}:
            assert ("fsync", os.path.normpath(f"{folder}/..")) in done[number:], folder


@pytest.mark.parametrize("key", ["a", "a/b/c/d.txt"])
def test_written_data_is_on_the_disk_before_the_call_returns(record, key):
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


def test_a_folder_that_another_process_created_without_sync_is_synced(record):
    (record.root / "a/b").mkdir(parents=True)
    record.done.clear()
    FolderStore(record.root).create("a/b/c", b"")
    assert {("fsync", name) for name in ("..", ".", "a", "a/b")} <= set(record.done)


def test_an_existing_object_is_on_the_disk_before_it_is_reported_as_existing(record):
    FolderStore(record.root).create("a/b", b"")
    record.done.clear()
    assert not FolderStore(record.root).create("a/b", b"")
    assert record.done[-1] == ("fsync", "a")


def test_a_folder_is_synced_only_once_for_several_objects(record):
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
        assert [call for call in record.done if call[0] == "fsync"] == [
            ("fsync", ".writing/*")
        ]  # the temporary file that replaces the object
    ended = [name for what, name in record.done if what == "fsync"]
    assert sorted(ended[1:4]) == ["new/0", "new/1", "new/2"]
    assert set(ended[4:]) == {"new", "."}
    record.done.clear()
    store.put("new/3", b"")
    assert [what for what, _ in record.done] == ["fsync", "replace", "fsync"]


def test_after_a_failed_block_the_store_syncs_every_folder_again(record):
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


def test_s3_has_stored_an_object_when_it_responds():
    with sync_at_end(ObjectStore.memory()):
        pass


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EACCES])
def test_a_folder_that_cannot_be_synced_does_not_prevent_writing(tmp_path, monkeypatch, number):
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
