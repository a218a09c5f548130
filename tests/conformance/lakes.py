"""The lakes that the conformance tests query.

Each lake is a stack of its own. The code of the project writes a lake to a folder, declares it in Glue, and a server
serves the folder as a bucket of S3. The lake `demo` has both demo data sets and the costs of AWS. The lake `awkward`
(`awkward_lake`) has data that is hard to read.
"""

import itertools
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import msgspec
import pandas as pd
import sqlglot

import stack
from anomalake.catalog import duckdb_catalog
from anomalake.catalog.views import database
from anomalake.cli import local_pipeline
from anomalake.cli.demo import flights, shop
from anomalake.cli.write_live_data import write_live_data
from anomalake.domain import metric_set_yaml
from anomalake.domain.metric_set import MetricSet
from anomalake.functions import compaction
from anomalake.lake import encoding, layout, tables
from anomalake.lake.folder_store import FolderStore
from anomalake.lake.ingest import Message, ingest_messages
from anomalake.lake.layout import Format
from examples import event_text
from stack import TOP, Resource

MOVED = timedelta(weeks=522)  # the flights are from 2013; these stacks have the default of LiveDataStart, 2020
FLIGHT_DAYS, SHOP_DAYS = (
    45,
    30,
)  # the flights cover the blizzard of February; the anomalies of the shop begin after 15 days


class Lake(NamedTuple):
    """A stack as declared in Glue, the content of its bucket, and the same content in a folder."""

    name: str  # the prefix of the stack, and its bucket
    form: Format
    sets: tuple[MetricSet, ...]
    resources: dict[str, Resource]
    root: Path

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Return the properties of the resources of a type."""
        return [resource.properties for resource in self.resources.values() if resource.type == kind]

    def relations(self, kind: str) -> list[tuple[str, str]]:
        """Return the database and the name of its tables (EXTERNAL_TABLE) or views (VIRTUAL_VIEW)."""
        tables = [(properties["DatabaseName"], properties["TableInput"]) for properties in self.of("AWS::Glue::Table")]
        return [(db, table["Name"]) for db, table in tables if table["TableType"] == kind]

    def as_duck(self, statement: str) -> str:
        """Return the statement with the names of the DuckDB databases."""
        for db, own in self._databases():
            statement = statement.replace(f'"{db}".', f'"{own}".')
        return statement

    def as_athena(self, statement: str) -> str:
        """Return a DuckDB statement as an Athena statement, with the names of the databases of the stack."""
        (statement,) = sqlglot.transpile(statement, read="duckdb", write="athena")
        for db, own in self._databases():
            statement = statement.replace(f'"{own}".', f'"{db}".')
        return statement

    def _databases(self) -> list[tuple[str, str]]:
        return [
            (self.name, duckdb_catalog.DEFAULT_PREFIX),
            *((database(self.name, item), database(duckdb_catalog.DEFAULT_PREFIX, item)) for item in self.sets),
        ]


def declare(
    name: str, form: Format, sets: Sequence[MetricSet], *, template: Path, root: Path, endpoint: str, **parameters: str
) -> Lake:
    """Create the resources of the stack through the API of Glue. The folder `root` is served as its bucket."""
    resources = stack.expand(
        template, QuickSightOwner="user/default/alice", Prefix=name, ExistingBucket=name, Format=form, **parameters
    )
    lake = Lake(name, form, tuple(sets), resources, root)
    glue = boto3.client(
        "glue",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    for properties in lake.of("AWS::Glue::Database"):
        glue.create_database(DatabaseInput=properties["DatabaseInput"])
    for properties in lake.of("AWS::Glue::Table"):
        glue.create_table(DatabaseName=properties["DatabaseName"], TableInput=properties["TableInput"])
    return lake


def committed() -> tuple[MetricSet, ...]:
    """Return the metric sets of the templates in the repository."""
    return metric_set_yaml.load_all(TOP / "src/metric_sets")


def load_demo_sets() -> tuple[MetricSet, ...]:
    """Return the metric sets of the demo and of the costs of AWS."""
    folder = TOP / "src/anomalake/cli/demo/metric_sets"
    return (
        metric_set_yaml.load(folder / "flights.yaml"),
        metric_set_yaml.load(folder / "ecommerce.yaml"),
        metric_set_yaml.load(TOP / "src/metric_sets/aws_cost.yaml"),
    )


def fill_demo(root: Path, form: Format, now: datetime) -> None:
    """Write the first weeks of the flights, the shop up to now, and an event of AWS Cost Anomaly Detection."""
    sets, store = load_demo_sets(), FolderStore(root)
    known = flights.load()
    column = sets[0].timestamp.column
    known = known[known[column] < known[column].min().normalize() + timedelta(days=FLIGHT_DAYS)]
    known = known.assign(**{column: known[column] + MOVED})
    history = shop.generate(SHOP_DAYS, start=str(pd.Timestamp(now).floor("h") - timedelta(days=SHOP_DAYS))).data
    for item, data in zip(sets, (known, history), strict=False):
        write_live_data(data, item, store)
        report = local_pipeline.run_backtest(item, store, sets, form)
        assert (report.failed_alerts, report.quarantined_alerts) == (0, 0)
        assert report.alerts > 20
    put_days_into_compaction(store, sets[1], form, now)
    bodies = [event_text("cost_eventbridge")]
    cost = json.loads(bodies[0])
    cost["detail"] |= {
        "anomalyId": "another",
        "anomalyStartDate": f"{now - timedelta(days=3):%Y-%m-%dT00:00:00Z}",
        "anomalyEndDate": None,
    }
    bodies.append(json.dumps(cost))
    assert len(ingest_messages([Message(str(n), body) for n, body in enumerate(bodies)], store, sets, form).stored) == 2


def put_days_into_compaction(store: FolderStore, item: MetricSet, form: Format, now: datetime) -> None:
    """Put three of the last days into the steps of compaction: objects of intervals again, and an object of the day.

    The object of the day does not count yet, counts alone, or does not exist yet.
    """
    ways = []
    for ago, step in ((4, "written"), (3, "switched"), (2, "begun")):
        day = layout.utc_date(now - timedelta(days=ago))
        ways.append(compaction.DayCompaction(day, step, now, day, switched=step == "switched"))
        for table in layout.DETECTOR_TABLES:
            schema, day_key = tables.schema(table, item), layout.day_key(table, item, day, form)
            stored = store.get(day_key)
            assert stored is not None
            rows = list(zip(*encoding.decode_table(form, schema, stored.data, day_key).values(), strict=True))
            place = [column.name for column in schema].index("timestamp")
            for start, slot_rows in itertools.groupby(rows, key=lambda row: row[place]):
                store.put(
                    layout.table_key(table, item, start, form), encoding.encode_records(form, schema, list(slot_rows))
                )
            if step == "begun":
                store.delete(day_key)
            elif step == "written":  # rows that must not be visible before the switch
                store.put(day_key, encoding.encode_records(form, schema, rows[:1]))
    store.put(layout.compaction_key(item), b"".join(msgspec.json.encode(way) + b"\n" for way in ways))
