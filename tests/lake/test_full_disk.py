"""A full disk: the error names the object or file, and earlier files stay unchanged."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from anomalake.domain.errors import UserError
from anomalake.lake import files
from anomalake.lake.store import StorageError, open_store

pytestmark = pytest.mark.slow


@pytest.fixture
def full_disk(monkeypatch):
    """Bytes can no longer be written to a file, but files can be created."""
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


def test_a_full_disk_leaves_an_existing_file_unchanged_and_no_temporary_file(tmp_path, request):
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


def test_a_target_that_is_not_a_file_is_written_directly(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read = list[str]()
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    files.write_text(pipe, "text")
    reader.join(30)
    assert read == ["text"]
    assert pipe.is_fifo()


def test_an_interrupted_write_leaves_the_file_unchanged(tmp_path):
    old = tmp_path / "old.txt"
    old.write_text("before")

    def interrupted() -> None:
        with files.replace_file(old) as file:
            file.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("old.txt", "before")]


FULL = """
import resource, signal, sys
from pathlib import Path
from anomalake.cli.main import main
import anomalake.cli.demo.run
from anomalake.cli import lookout_metric_set, propose_for_file, rendered_files, score_file
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(main(sys.argv[2:]))
"""


def run_on_full_disk(here: Path, bytes_left: int, *arguments: str) -> tuple[int, str]:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", FULL, str(bytes_left), *arguments]
    done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def list_files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    import pandas as pd

    times = pd.date_range("2024-01-01", periods=100, freq="h").strftime("%Y-%m-%d %H:%M:%S")
    sales = [50 + hour % 24 + hour % 7 for hour in range(100)]
    pd.DataFrame({"when": times, "region": "north", "sales": sales}).to_csv(tmp_path / "sales.csv", index=False)
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
def test_on_a_full_disk_the_command_names_the_file_and_leaves_no_temporary_file(arguments, named, data):
    from examples import alert_body, shop_text

    (data / "shop.yaml").write_text(shop_text())
    (data / "alert.json").write_text(alert_body())
    (data / "lake").mkdir()
    before = list_files(data)
    status, err = run_on_full_disk(data, 20, *arguments)
    assert status == 1
    assert err.startswith("anomalake: ")
    assert named in err.splitlines()[-1]
    assert "File too large" in err
    assert "Traceback" not in err
    assert {name for name in list_files(data) - before if "/.locks/" not in name} <= {
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
def test_a_full_disk_behind_standard_output_is_reported(sql, unbuffered, data):
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
