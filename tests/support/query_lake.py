"""Live data of a small lake, and a call of `anomalake query` in this process. For tests."""

from anomalake.cli.main import main

HEADER = "platform,marketplace,timestamp,views,revenue\n"
ONE = f"{HEADER}a,us,2021-02-17 11:00:00,1,2\n"


def run_query(capsys, *arguments):
    """The exit status, standard output and standard error of a query."""
    status = main(["query", *arguments])
    return status, *capsys.readouterr()
