"""The stores: conditional writes in memory, in a folder with several processes, and on an S3 server."""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import s3_server
from anomalake.domain.errors import UserError
from anomalake.lake import object_store
from anomalake.lake.folder_store import FolderStore
from anomalake.lake.object_store import ObjectStore
from anomalake.lake.store import StorageError, Store, open_store, put_if_absent, update_object, with_deadline

WRITERS, WRITES = 6, 15


@pytest.fixture(params=["memory", "folder", "s3"])
def store(request, tmp_path: Path) -> Store:
    if request.param == "memory":
        return ObjectStore.memory()
    if request.param == "folder":
        return FolderStore(tmp_path / "lake")
    return open_store(request.getfixturevalue("s3_lake"))


def test_an_object_is_created_once(store):
    assert store.get("a/b.txt") is None
    assert store.create("a/b.txt", b"one")
    assert not store.create("a/b.txt", b"two")
    assert store.get("a/b.txt").data == b"one"


def test_only_the_version_that_was_read_is_replaced(store):
    store.create("a/b.txt", b"one")
    read = store.get("a/b.txt").version
    assert store.replace("a/b.txt", b"two", read)
    assert not store.replace("a/b.txt", b"three", read)
    assert store.get("a/b.txt").data == b"two"


def test_put_if_absent_keeps_the_first_object(store):
    for data in (b"one", b"two"):
        put_if_absent(store, "a/b.txt", data)
    assert store.get("a/b.txt").data == b"one"


def test_delete_removes_an_object_and_accepts_a_missing_one(store):
    store.create("a/b.txt", b"one")
    for _ in range(2):
        store.delete("a/b.txt")
    assert store.get("a/b.txt") is None
    assert list(store.list("a")) == []
    assert store.create("a/b.txt", b"two")


def test_a_store_starts_no_call_after_its_deadline(store):
    store.create("a/b.txt", b"one")
    assert with_deadline(store, None) is store
    assert with_deadline(store, time.monotonic() + 600).get("a/b.txt").data == b"one"
    late = with_deadline(store, time.monotonic() - 1)
    calls = (
        lambda: late.get("a/b.txt"),
        lambda: late.create("c", b""),
        lambda: late.replace("a/b.txt", b"", store.get("a/b.txt").version),
        lambda: late.put("c", b""),
        lambda: late.delete("a/b.txt"),
        lambda: list(late.list("a")),
    )
    for call in calls:
        with pytest.raises(StorageError, match="time is over"):
            call()
    assert list(store.list("a")) == ["a/b.txt"]
    assert store.get("c") is None


def test_an_update_starts_again_if_the_object_is_deleted_in_the_meantime(store):
    store.create("a/b.txt", b"one")
    seen = []

    def change(current: bytes | None) -> bytes:
        seen.append(current)
        if current == b"one":
            store.delete("a/b.txt")
        return (current or b"") + b"+"

    update_object(store, "a/b.txt", change)
    assert seen[-2:] == [b"one", None]
    assert store.get("a/b.txt").data == b"+"


def test_the_last_written_object_is_cached_and_never_trusted(store, request):
    other = store if isinstance(store, FolderStore) else ObjectStore(store._store)
    assert store.get_last_written("a/b.txt") is None
    store.create("a/b.txt", b"one")
    assert store.get_last_written("a/b.txt") in (None, store.get("a/b.txt"))
    other.replace("a/b.txt", b"two", other.get("a/b.txt").version)
    assert update_object(store, "a/b.txt", lambda current: (current or b"") + b"+")
    assert other.get("a/b.txt").data == b"two+"
    other.delete("a/b.txt")
    assert update_object(store, "a/b.txt", lambda current: current or b"anew") is False
    assert other.get("a/b.txt").data == b"anew"
    other.delete("a/b.txt")
    assert put_if_absent(store, "a/b.txt", b"anew") is False
    assert other.get("a/b.txt").data == b"anew"


def test_the_cache_is_small(monkeypatch):
    monkeypatch.setattr(object_store, "MAX_CACHED_OBJECTS", 2)
    monkeypatch.setattr(object_store, "MAX_CACHED_OBJECT_BYTES", 3)
    store = ObjectStore.memory()
    for key in ("a", "b", "c"):
        store.create(key, b"one")
    store.create("long", b"four")
    assert [store.get_last_written(key) is not None for key in ("a", "b", "c", "long")] == [False, True, True, False]
    assert store.replace("b", b"1234", store.get("b").version)
    assert store.get_last_written("b") is None
    store.delete("c")
    assert store.get_last_written("c") is None


def test_an_update_makes_no_unnecessary_requests(s3_endpoint, monkeypatch):
    for name, value in s3_server.leading_to(s3_endpoint).items():
        monkeypatch.setenv(name, value)
    s3_server.create_bucket(s3_endpoint, "counted")

    def asked(*updates) -> list[str]:
        s3_server.requests(s3_endpoint)
        for one, probably_exists in updates:
            update_object(one, "key", lambda current: (current or b"") + b"+", probably_exists=probably_exists)
        return [request["method"] for request in s3_server.requests(s3_endpoint)]

    first, second = (open_store("s3://counted") for _ in range(2))
    assert asked((first, False)) == ["PUT"]
    assert asked((first, False), (first, False)) == ["PUT", "PUT"]
    assert asked((second, False)) == ["PUT", "GET", "PUT"]
    assert asked((open_store("s3://counted"), True)) == ["GET", "PUT"]
    assert asked((first, False)) == ["PUT", "GET", "PUT"]
    assert first.get("key").data == b"++++++"


def test_put_replaces_an_object_and_list_sorts_the_keys_of_a_folder(store):
    for key in ("a/2.txt", "a/1.txt", "b/3.txt", "a/1.txt"):
        store.put(key, key.encode())
    assert list(store.list("a")) == ["a/1.txt", "a/2.txt"]
    assert list(store.list("nowhere")) == []


def test_an_update_that_changes_nothing_writes_nothing(store):
    store.put("a", b"same")
    version = store.get("a").version
    update_object(store, "a", lambda current: b"same")
    assert store.get("a").version == version


def test_a_folder_store_stays_in_its_folder(tmp_path: Path):
    store = FolderStore(tmp_path / "lake")
    for key in ("../x", "/etc/passwd", "a//b", "a/../../b", ""):
        with pytest.raises(ValueError, match="is not a key of a lake"):
            store.put(key, b"")


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path: Path):
    (tmp_path / "lake").write_text("a file where a folder should be")
    with pytest.raises(StorageError, match="lake"):
        FolderStore(tmp_path / "lake").put("a/b", b"")


def test_files_of_a_process_that_was_killed_between_link_and_unlink_are_never_written(tmp_path: Path, monkeypatch):
    store = FolderStore(tmp_path / "lake")

    def killed(*_: object, **__: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", killed)
        with pytest.raises(SystemExit):
            store.create("a", b"one")
    store.create("b", b"two")
    assert store.get("a").data == b"one"


def test_comparing_and_replacing_a_version_in_a_folder_is_atomic(tmp_path: Path, monkeypatch):
    store, rename, others, replaced = FolderStore(tmp_path / "lake"), os.replace, list[threading.Thread](), list[bool]()
    store.create("a", b"one")
    version = store.get("a").version

    def rename_while_another_tries(source: Path, target: Path) -> None:
        if not others:
            others.append(threading.Thread(target=lambda: replaced.append(store.replace("a", b"three", version))))
            others[0].start()
            others[0].join(0.3)  # the writer waits for the lock
        rename(source, target)

    monkeypatch.setattr(os, "replace", rename_while_another_tries)
    assert store.replace("a", b"two", version)
    others[0].join(30)
    assert replaced == [False]
    assert store.get("a").data == b"two"


def _append(open_it: Callable[[], Store], writer: int) -> None:
    store = open_it()
    for number in range(WRITES):
        line = f"{writer}:{number}\n".encode()
        update_object(store, "shared/object", lambda current, line=line: (current or b"") + line)


def _folder(root: Path) -> Store:
    return FolderStore(root)


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_processes_that_update_one_object_at_the_same_time_lose_nothing(kind, request, tmp_path: Path):
    from functools import partial

    open_it = (
        partial(_folder, tmp_path) if kind == "folder" else partial(open_store, request.getfixturevalue("s3_lake"))
    )
    context = multiprocessing.get_context("spawn")
    writers = [
        context.Process(target=_append, args=(open_it, number)) for number in range(WRITERS if kind == "folder" else 3)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
    lines = open_it().get("shared/object").data.decode().split()
    assert len(lines) == len(set(lines)) == len(writers) * WRITES
    for number in range(len(writers)):  # the lines of each writer are in order
        assert [line for line in lines if line.startswith(f"{number}:")] == [f"{number}:{n}" for n in range(WRITES)]


@pytest.mark.usefixtures("s3_lake")
def test_a_missing_bucket_and_a_file_in_place_of_a_folder_are_storage_errors(tmp_path):
    missing, folder = open_store("s3://there-is-no-such-bucket"), FolderStore(tmp_path)
    (tmp_path / "quarantine").write_text("a file")
    for write in (missing.create, missing.put):
        with pytest.raises(StorageError):
            write("a", b"x")
    with pytest.raises(StorageError):
        folder.create("quarantine/x.json", b"x")


@pytest.mark.parametrize("name", ["", "http://example.com", "file:///tmp"])
def test_an_invalid_location_of_a_lake_is_rejected(name):
    with pytest.raises(UserError, match="is not a lake"):
        open_store(name)
