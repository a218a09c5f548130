"""The command `anomalake`: one module a command in `commands`, and what only commands need."""
