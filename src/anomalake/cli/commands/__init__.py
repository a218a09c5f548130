"""The sub-commands of `anomalake`, one module each: its help, its options and its action.

A command module has `SUMMARY` (one line for the list of commands), `HELP` (an example and what the result looks like),
`add_options` and `run`. It imports what it runs on inside `run`, so that `--help` loads neither pandas nor DuckDB.
"""
