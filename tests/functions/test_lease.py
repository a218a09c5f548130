"""The lease of a detector: one run at a time, an end for every lease, and a text that names the holder."""

import json
import os
import socket
import time
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalake.cli.main import main
from anomalake.functions import lease
from anomalake.functions.lease import LEASE_DURATION, MAX_LEASE_DURATION, describe_holder, hold_lease
from anomalake.lake import layout
from anomalake.lake.object_store import ObjectStore
from anomalake.lake.store import StorageError, open_store
from traffic import SHOP

NOW = datetime(2026, 11, 26, 12)
KEY = layout.lease_key(SHOP)


def acquire(store: ObjectStore, now: datetime = NOW) -> bool:
    with hold_lease(store, SHOP, now) as acquired:
        return acquired


def until(moment: datetime) -> bytes:
    return json.dumps({"until": moment.isoformat()}).encode()


BROKEN = {
    "empty": b"",
    "blank": b" \n",
    "not JSON": b"{",
    "not text": b"\xff\xfe\x00",
    "null": b"null",
    "a list": b"[]",
    "a text": b'"2026-11-26T12:05:00"',
    "nested deeply": b"[" * 100_000,
    "an object without a time": b"{}",
    "a number": b'{"until": 1795694400}',
    "null as the time": b'{"until": null}',
    "not a time": b'{"until": "soon"}',
    "an empty time": b'{"until": ""}',
    "an impossible time": b'{"until": "2026-02-30T12:00:00"}',
    "a long text": json.dumps({"until": "9" * 100_000}).encode(),
    "far ahead": until(NOW + timedelta(days=3650)),
    "the last of all times": until(datetime.max),
    "just too far ahead": until(NOW + MAX_LEASE_DURATION + timedelta(seconds=1)),
    "with a zone": until(NOW.replace(tzinfo=UTC) + timedelta(minutes=5)),
    "with Z": b'{"until": "2026-11-26T12:05:00Z"}',
    "a field of another type": json.dumps(
        {"until": (NOW + timedelta(minutes=5)).isoformat(), "process": "many"}
    ).encode(),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_invalid_lease_is_reported_and_replaced(name):
    store = ObjectStore.memory()
    store.put(KEY, BROKEN[name])
    with pytest.warns(UserWarning, match=f"^{KEY}: is not a valid lease \\(.{{1,150}}\\); this run replaces it$"):
        assert acquire(store)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert acquire(store)  # the run left a valid lease


@given(
    st.binary(max_size=60)
    | st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists).map(
        lambda v: json.dumps({"until": v}).encode()
    )
)
def test_no_content_of_the_lease_blocks_a_run_for_longer_than_the_longest_lease(data):
    store = ObjectStore.memory()
    store.put(KEY, data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert acquire(store) or acquire(store, NOW + MAX_LEASE_DURATION)


def test_a_lease_of_an_older_version_is_respected():
    store = ObjectStore.memory()
    store.put(KEY, until(NOW + timedelta(minutes=5)))
    assert not acquire(store)
    assert describe_holder(store, SHOP) == f"its lease {KEY} ends at 2026-11-26 12:05 UTC unless it is renewed"
    assert acquire(store, NOW + timedelta(minutes=5))


def test_the_lease_of_a_run_that_died_ends_after_its_duration_and_not_before(monkeypatch):
    store = ObjectStore.memory()
    with hold_lease(store, SHOP, NOW):
        remaining = store.get(KEY).data
    store.put(KEY, remaining)
    assert not acquire(store, NOW + LEASE_DURATION - timedelta(seconds=1))
    assert acquire(store, NOW + LEASE_DURATION + timedelta(seconds=5))


def test_a_run_renews_its_lease_while_it_works():
    store, length = ObjectStore.memory(), timedelta(seconds=0.4)
    ends = set[str]()
    with hold_lease(store, SHOP, NOW, length) as acquired:
        assert acquired
        began = time.monotonic()
        while len(ends) < 8 and time.monotonic() - began < 60:
            ends.add(json.loads(store.get(KEY).data)["until"])
            time.sleep(0.02)
        assert not acquire(store, NOW)
    assert len(ends) == 8
    assert max(ends) > (NOW + length).isoformat()
    assert acquire(store, NOW + timedelta(seconds=time.monotonic() - began))


def test_a_lease_that_another_run_took_is_not_overwritten():
    store, other = ObjectStore.memory(), until(NOW + timedelta(minutes=5))

    def lose_lease() -> None:
        with hold_lease(store, SHOP, NOW, timedelta(seconds=0.2)):
            store.put(KEY, other)
            time.sleep(0.3)
            assert store.get(KEY).data == other

    with pytest.warns(UserWarning, match="another run took the lease"):
        lose_lease()
    assert store.get(KEY).data == other  # this run does not give back the lease of another


def test_a_failed_renewal_does_not_stop_the_run_or_block_the_next(monkeypatch):
    store = ObjectStore.memory()

    def down(*_: object) -> bool:
        raise StorageError("down")

    with hold_lease(store, SHOP, NOW, timedelta(seconds=0.2)) as acquired:
        monkeypatch.setattr(store, "replace", down)
        time.sleep(0.3)
    assert acquired
    monkeypatch.undo()
    assert acquire(store, NOW + timedelta(minutes=5))


def test_the_holder_is_described_for_a_run_that_must_wait():
    store = ObjectStore.memory()
    with hold_lease(store, SHOP, NOW):
        who = f"process {os.getpid()} on {socket.gethostname()}, since 2026-11-26T12:00:00 UTC; "
        assert describe_holder(store, SHOP) == f"{who}its lease {KEY} ends at 2026-11-26 12:16 UTC unless it is renewed"


@pytest.mark.parametrize("option", [[], ["--rebuild"]])
def test_the_command_names_the_other_run_and_the_end_of_its_lease(option, tmp_path: Path, sets_folder, capsys):
    lake, now = str(tmp_path / "lake"), datetime.now(UTC).replace(tzinfo=None)
    arguments = ["detect", "--lake", lake, "--metric-set", str(sets_folder), *option]
    with hold_lease(open_store(lake), SHOP, now):
        assert main(arguments) == 1
    output = capsys.readouterr().err
    assert (
        f"shop: another run of its detector is in progress: process {os.getpid()} on {socket.gethostname()}" in output
    )
    end = f"{now + LEASE_DURATION:%Y-%m-%d %H:%M} UTC"
    assert f"its lease {KEY} ends at {end} unless it is renewed; try again when it has ended" in output


@pytest.mark.parametrize("option", [[], ["--rebuild"]])
def test_the_command_holds_a_lease_of_the_default_duration(option, tmp_path: Path, sets_folder, monkeypatch):
    seen = list[timedelta]()
    real = lease._acquire

    def record(store, key, data, now):
        seen.append(datetime.fromisoformat(json.loads(data)["until"]) - now)
        return real(store, key, data, now)

    monkeypatch.setattr(lease, "_acquire", record)
    main(["detect", "--lake", str(tmp_path), "--metric-set", str(sets_folder), *option])
    (length,) = seen
    assert LEASE_DURATION <= length < LEASE_DURATION + timedelta(seconds=5)


@pytest.mark.parametrize("data", [b"", b"garbage", until(datetime(2999, 1, 1))])
def test_the_command_warns_of_an_invalid_lease_and_runs(data, tmp_path: Path, sets_folder, capsys):
    open_store(str(tmp_path)).put(KEY, data)
    assert main(["detect", "--lake", str(tmp_path), "--metric-set", str(sets_folder)]) == 0
    output = capsys.readouterr().err
    assert output.startswith(f"anomalake: {KEY}: is not a valid lease")
    assert "Traceback" not in output
