"""The tables and views of the catalog, as CloudFormation creates them."""

import base64
import json
import re

from anomalake.catalog.views import views_of_set, views_over_all_sets
from stack import expand
from template_project import METRIC_SETS, list_resources


def test_a_view_is_stored_in_the_catalog_as_athena_stores_it(template_file):
    for form in ("parquet", "csv"):
        made = expand(template_file, Format=form, Prefix="mine")
        known = {(v.database, v.name): v for s in METRIC_SETS for v in views_of_set(s, "mine", form)} | {
            (v.database, v.name): v for v in views_over_all_sets(METRIC_SETS, "mine", form)
        }
        entries = [
            t
            for t in list_resources(made, "AWS::Glue::Table")
            if t.properties["TableInput"]["TableType"] == "VIRTUAL_VIEW"
        ]
        assert len(entries) == len(known)
        for table in entries:
            view = known[table.properties["DatabaseName"], table.properties["TableInput"]["Name"]]
            text = table.properties["TableInput"]["ViewOriginalText"]
            assert len(text) < 409_600
            assert re.fullmatch(r"/\* Presto View: \S+ \*/", text)
            entry = json.loads(base64.b64decode(text.split()[3]))
            assert (entry["originalSql"], entry["schema"], entry["catalog"]) == (
                view.sql,
                view.database,
                "awsdatacatalog",
            )
            assert [(c["name"], c["type"]) for c in entry["columns"]] == [(c.name, c.type) for c in view.columns]


def test_tables_point_to_the_folders_of_the_live_data_and_the_lake(template_file):
    made = expand(template_file, Prefix="mine", ExistingBucket="ours")
    tables = {
        (t.properties["DatabaseName"], t.properties["TableInput"]["Name"]): t.properties["TableInput"]
        for t in list_resources(made, "AWS::Glue::Table")
    }
    live = tables["mine_shop", "live"]["Parameters"]
    assert live["storage.location.template"] == "s3://ours/shop/live/${slot}/"
    assert (
        live["projection.slot.format"],
        live["projection.slot.interval"],
        live["projection.slot.interval.unit"],
    ) == (
        "yyyyMMdd",
        "1",
        "DAYS",
    )
    assert (
        tables["mine_shop", "observations"]["Parameters"]["storage.location.template"]
        == "s3://ours/anomalyResults/observations/shop/v1/date=${date}/"
    )
