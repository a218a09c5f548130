"""Runs the command in this process, and generates hourly data for it. For tests."""

import pandas as pd

from anomalake.cli.main import main


def run(*arguments: str, capsys) -> tuple[int, str, str]:
    """The exit status, standard output and standard error of the command."""
    status = main(list(arguments))
    output = capsys.readouterr()
    return status, output.out, output.err


def hourly(rows: int = 24 * 20) -> pd.DataFrame:
    """Hourly rows of two regions from 2024-01-01 on, with one spike in the first, on day 16 at 6:00."""
    times = pd.date_range("2024-01-01", periods=rows, freq="h")
    usual = [100.0 + n % 24 for n in range(rows)]
    spike = [900.0 if n == 24 * 15 + 6 else value for n, value in enumerate(usual)]
    regions = [
        pd.DataFrame(
            {
                "when": times.strftime("%d.%m.%Y %H:%M"),
                "Region Name": region,
                "Umsatz": values,
                "zip": code,
                "rate": [0.25 + n % 24 / 100 for n in range(rows)],
            }
        )
        for region, code, values in (("north", "01067", spike), ("south", "01099", usual))
    ]
    return pd.concat(regions, ignore_index=True)
