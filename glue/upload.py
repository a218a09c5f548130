"""Puts into a lake what its back-test jobs run on: the script, the wheel and the metric sets: `make backfill-upload LAKE=s3://BUCKET`.

`sam deploy` uploads code for Lambda functions and layers only where nothing but they can read it.
"""

import sys
from pathlib import Path

from anomalake.catalog.backfill_resources import BACKFILL_FOLDER, WHEEL_FILE
from anomalake.lake.credentials import open_lake

TOP = Path(__file__).parent.parent


def main(lake: str) -> None:
    """Upload, and say what lies where."""
    store = open_lake(lake)
    sets = {f"metric_sets/{file.name}": file for file in sorted((TOP / "src/metric_sets").glob("*.yaml"))}
    wanted = {"backfill.py": TOP / "glue/backfill.py", WHEEL_FILE: TOP / "dist" / WHEEL_FILE, **sets}
    for name, file in wanted.items():
        store.put(f"{BACKFILL_FOLDER}/{name}", file.read_bytes())
        print(f"{lake}/{BACKFILL_FOLDER}/{name}")
    for key in list(store.list(f"{BACKFILL_FOLDER}/metric_sets")):  # of a set that is gone
        if key.removeprefix(f"{BACKFILL_FOLDER}/") not in wanted:
            store.delete(key)


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"))
