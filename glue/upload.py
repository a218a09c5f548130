"""Uploads the files of the back-test jobs to a lake: the script, the wheel and the metric sets.

Run it with `make backfill-upload LAKE=s3://BUCKET`. `sam deploy` cannot upload them: it puts code where only Lambda
functions and layers can read it.
"""

import sys
from pathlib import Path

from anomalake.catalog.backfill_resources import BACKFILL_FOLDER, WHEEL_FILE
from anomalake.lake.credentials import open_lake

TOP = Path(__file__).parent.parent


def main(lake: str) -> None:
    """Upload the files and print where each of them is."""
    store = open_lake(lake)
    sets = {f"metric_sets/{file.name}": file for file in sorted((TOP / "src/metric_sets").glob("*.yaml"))}
    uploads = {"backfill.py": TOP / "glue/backfill.py", WHEEL_FILE: TOP / "dist" / WHEEL_FILE, **sets}
    for name, file in uploads.items():
        store.put(f"{BACKFILL_FOLDER}/{name}", file.read_bytes())
        print(f"{lake}/{BACKFILL_FOLDER}/{name}")
    for key in list(store.list(f"{BACKFILL_FOLDER}/metric_sets")):  # of a metric set that no longer exists
        if key.removeprefix(f"{BACKFILL_FOLDER}/") not in uploads:
            store.delete(key)


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"))
