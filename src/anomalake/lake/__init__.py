"""The lake: where things lie (`layout`), how bytes are kept (`store`), what tables hold (`tables`, `encoding`), how alerts get in (`ingest`)."""
