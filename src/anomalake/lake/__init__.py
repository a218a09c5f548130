"""The lake: the keys of its objects (`layout`), storage (`store`), tables (`tables`, `encoding`) and the ingestion of
alerts (`ingest`).
"""
