"""Proposes a metric set for the data of a user. Pure functions; `cli.commands.init` reads, asks and writes.

`propose` is the entry. `columns` says what each column holds, `frequency` finds the step, `dimensions` and `measures`
choose from the columns, `long_form` recognises tables of names and values, and `preview` describes the result.
"""
