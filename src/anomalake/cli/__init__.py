"""The command `anomalake`: one module for each sub-command in `commands`, and the modules that only commands use."""
