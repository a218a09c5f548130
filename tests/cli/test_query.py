"""`anomalake query`: one statement that only reads the lake, and output that is safe in spreadsheets and terminals."""

import contextlib
import gzip
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from anomalake.catalog import duckdb_catalog
from anomalake.cli.main import main
from anomalake.domain import metric_set_yaml
from examples import shop_text
from query_lake import ONE, asked

OUTSIDE = "SELECT * FROM read_csv('{outside}')"
READS = [
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_csv_auto(['/etc/passwd'])",
    "SELECT * FROM READ_TEXT('/etc/passwd')",
    "SELECT * FROM read_blob('/etc/passwd')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM '/etc/passwd'",
    'SELECT * FROM "outside/secret.csv"',
    "SELECT * FROM 'lake/shop/live/20210217/1100/data.csv'",
    "SELECT * FROM read_csv('lake/shop/live/20210217/1100/data.csv')",
    "SELECT * FROM read_parquet('lake/**')",
    "SELECT * FROM read_json_objects('lake/**')",
    "SELECT * FROM parquet_metadata('lake/x.parquet')",
    "SELECT * FROM sniff_csv('lake/shop/live/20210217/1100/data.csv')",
    "SELECT * FROM read_duckdb('x.db')",
    "SELECT * FROM 'https://example.com/a.parquet'",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('live')",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM json_execute_serialized_sql('{}')",
    "SELECT 1 WHERE EXISTS (SELECT 1 FROM read_text('/etc/passwd'))",
    "SELECT (SELECT max(content) FROM read_text('/etc/passwd'))",
    "WITH c AS (SELECT * FROM read_text('/etc/passwd')) SELECT * FROM c",
    "SELECT * FROM live, LATERAL (SELECT * FROM glob('/etc/*')) x",
    "DESCRIBE SELECT * FROM read_csv('/etc/passwd')",
    "SUMMARIZE '/etc/passwd'",
    "SELECT * FROM enable_logging(storage_path => 'lake/log')",
]
WRITES = [
    "COPY (SELECT 1) TO 'lake/evil.csv'",
    "COPY live TO '/tmp/evil.csv'",
    "WITH c AS (COPY (SELECT 1) TO 'lake/evil.csv') SELECT 1",
    "EXPORT DATABASE 'lake/evil'",
    "IMPORT DATABASE 'lake/evil'",
    "ATTACH 'lake/evil.csv' AS evil",
    "ATTACH ':memory:' AS evil",
    "DETACH memory",
    "USE memory",
    "INSTALL httpfs",
    "LOAD httpfs",
    "FORCE INSTALL httpfs",
    "SET threads = 1",
    "RESET threads",
    "SET enable_external_access = true",
    "SET VARIABLE x = 1",
    "PRAGMA database_list",
    "PRAGMA version",
    "CALL pragma_version()",
    "CREATE TABLE t AS SELECT 1",
    "CREATE OR REPLACE VIEW anomaly_log AS SELECT 1",
    "CREATE MACRO m(a) AS a",
    "CREATE SECRET (TYPE s3)",
    "DROP VIEW anomaly_log",
    "ALTER VIEW anomaly_log RENAME TO x",
    "INSERT INTO live VALUES (1)",
    "DELETE FROM live",
    "UPDATE live SET views = 1",
    "BEGIN",
    "CHECKPOINT",
    "VACUUM",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "EXPLAIN ANALYZE SELECT 1",
]


@pytest.mark.parametrize("statement", READS)
def test_a_query_that_reads_anything_but_the_views_of_the_lake_is_rejected(lake, capsys, statement):
    status, out, err = asked(capsys, statement)
    assert (status, out) == (1, "")
    assert "a query reads the lake's views and tables only (docs/catalog.md)" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("statement", WRITES)
def test_a_statement_that_does_not_only_read_is_rejected_and_writes_nothing(lake, capsys, statement):
    before = sorted(lake.rglob("*"))
    status, out, err = asked(capsys, statement)
    assert (status, out) == (1, "")
    assert "a query is one SELECT, WITH, VALUES, DESCRIBE or SHOW statement" in err
    assert err.count("\n") == 1
    assert sorted(lake.rglob("*")) == before


@pytest.mark.parametrize(
    "statement",
    ["SELECT 1; SELECT 2", "SELECT 1; COPY (SELECT 1) TO 'lake/evil.csv'", "", " ; -- nothing", "/* nothing */"],
)
def test_a_query_is_exactly_one_statement(lake, capsys, statement):
    status, out, err = asked(capsys, statement)
    assert (status, out) == (1, "")
    assert "statements; a query is one SELECT" in err
    assert not (lake / "evil.csv").exists()


@pytest.mark.parametrize(
    ("statement", "first"),
    [
        ("SELECT views FROM live;", ("1",)),
        ("-- a comment\nSELECT views FROM anomalake_shop.live", ("1",)),
        ("WITH c AS (SELECT views FROM live) SELECT * FROM c", ("1",)),
        ("SELECT n FROM UNNEST(ARRAY[7]) AS t(n)", (7,)),
        ("SELECT n FROM UNNEST(SEQUENCE(7, 8)) AS t(n)", (7,)),
        ("VALUES (1)", (1,)),
        ("SELECT count(*) FROM anomalies_with_live", (1,)),
        ("SELECT count(*) FROM information_schema.tables WHERE table_name = 'anomaly_log'", (1,)),
    ],
)
def test_queries_over_the_views_return_their_rows(lake, statement, first):
    sets = metric_set_yaml.load_all(lake / "metric_sets")
    assert duckdb_catalog.query(duckdb_catalog.connect(lake, sets), statement)[1][0] == first


@pytest.mark.parametrize("statement", ["DESCRIBE anomaly_log", "SHOW TABLES"])
def test_metadata_of_the_views_can_be_queried(lake, statement):
    sets = metric_set_yaml.load_all(lake / "metric_sets")
    assert duckdb_catalog.query(duckdb_catalog.connect(lake, sets), statement)[1]


def test_duckdb_itself_restricts_the_connection_to_the_lake(lake):
    connection = duckdb_catalog.connect(lake, metric_set_yaml.load_all(lake / "metric_sets"))
    for statement in (
        f"SELECT * FROM read_csv('{lake.parent}/outside/secret.csv')",
        "SELECT * FROM read_text('/etc/passwd')",
        f"COPY (SELECT 1) TO '{lake.parent}/evil.csv'",
        "SET enable_external_access = true",
        "SET allowed_directories = ['/']",
        "LOAD httpfs",
        "INSTALL httpfs",
        "SELECT * FROM lake",  # a variable of this test
    ):
        with pytest.raises(duckdb_catalog.duckdb.Error):
            connection.execute(statement).fetchall()


def test_live_files_and_folders_that_are_links_are_still_read(lake):
    elsewhere = lake.parent / "elsewhere"
    (elsewhere / "1200").mkdir(parents=True)
    (elsewhere / "1200/data.csv").write_text(ONE.replace(" 11:", " 12:"))
    (lake.parent / "outside/more.csv").write_text(ONE)
    (lake / "shop/live/20210217/1100/link.csv").symlink_to(lake.parent / "outside/more.csv")
    (lake / "shop/live/20210217/1200").symlink_to(elsewhere / "1200")
    sets = metric_set_yaml.load_all(lake / "metric_sets")
    connection = duckdb_catalog.connect(lake, sets)
    assert duckdb_catalog.query(connection, "SELECT count(*) FROM live")[1] == [(3,)]
    with pytest.raises(duckdb_catalog.duckdb.Error):
        connection.execute(f"SELECT * FROM read_csv('{lake.parent}/outside/secret.csv')")


def test_a_live_file_that_cannot_be_opened_is_named_in_one_line(lake, capsys):
    (lake / "metric_sets/shop.yaml").write_text(shop_text().replace("format: csv", "format: csv\n  compression: gzip"))
    (lake / "shop/live/20210217/1100/data.csv").unlink()
    (lake / "shop/live/20210217/1100/good.gz").write_bytes(gzip.compress(ONE.encode()))
    broken = lake / "shop/live/20210217/1100/broken.gz"
    for data in (b"not gzip at all", gzip.compress(ONE.encode() * 9_000)[:200]):
        broken.write_bytes(data)
        for arguments in (["query", "SELECT * FROM live"], ["preview"]):
            status = main(arguments)
            err = capsys.readouterr().err
            assert status == 1
            assert str(broken) in err
            assert err.count("\n") == 1


def test_errors_of_the_engine_are_one_line(lake, capsys):
    for statement in (
        "SELECT nothing FROM live",
        "SELEC 1",
        "SELECT * FROM nowhere",
        "SELECT sum(x",
        "SELECT CAST('x' AS integer)",
    ):
        status, _, err = asked(capsys, statement)
        assert (status, err.count("\n")) == (1, 1)
        assert err.startswith(("anomalake: cannot parse the SQL", "anomalake: cannot run the SQL"))


# --- large results and interrupts


@pytest.mark.slow
def test_a_result_larger_than_memory_is_streamed(lake):
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (3 * 2**30,) * 2); "
        "from anomalake.cli.main import main; "
        "sys.exit(main(['query', \"SELECT n, repeat('x', 1000) FROM range(100000000) AS t(n)\", '--as', sys.argv[1]]))"
    )
    for shape in ("csv", "json", "table"):
        with subprocess.Popen(
            [sys.executable, "-c", code, shape], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            read = sum(len(process.stdout.read(2**20)) for _ in range(20))
            process.stdout.close()
            assert read == 20 * 2**20
            assert process.stderr.read() == b""
            assert process.wait(60) == 0


@pytest.mark.slow
def test_a_long_query_is_interrupted(lake):
    script = "import sys; from anomalake.cli.main import main; print('ready', flush=True); sys.exit(main(sys.argv[1:]))"
    statement = "SELECT count(*) FROM range(100000000) a, range(100000000) b"
    with subprocess.Popen(
        [sys.executable, "-c", script, "query", statement], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        while processor_seconds(process.pid) < 10:  # far longer than the query needs to start
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        finally:
            process.kill()
        assert process.stderr.read() == "anomalake: stopped\n"
        assert process.returncode == 1


def processor_seconds(pid):
    """Return the processor seconds that a process used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
