"""Files of a user as tables of text, and what their columns hold.

`read.read` reads a table in any common form, and `timestamps` and `numbers` recognise its times and numbers.
`live_rows` makes the rows that are written as live data.
"""
