"""Runs the tables, views and queries of the stack on Trino, the engine of Athena: `make conformance`
(docs/conformance.md).
"""
