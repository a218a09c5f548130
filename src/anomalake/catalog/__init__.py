"""The catalog, derived from metric sets: tables and views that SQL reads.

`views` and `saved_queries` hold Athena's SQL. `glue_templates` declares the catalog in AWS (with `glue_tables` and the
`*_resources` modules). `duckdb_catalog` builds the same catalog in DuckDB over a lake in a folder.
"""
