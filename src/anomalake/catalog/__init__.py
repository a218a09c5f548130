"""The catalog, made from metric sets: tables and views in Athena's SQL (`views`), their Glue entries (`glue`), and their DuckDB twin (`duck`)."""
