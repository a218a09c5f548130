"""The preview: it follows the definition and the datasets, and reports by name what it cannot draw."""

import copy
import json
from datetime import datetime

import pytest

from anomalake.catalog import duckdb_catalog
from anomalake.dashboards import definition, preview
from anomalake.dashboards.preview import limits, packing
from anomalake.domain import intervals, metric_set_yaml
from anomalake.domain.errors import UserError
from anomalake.lake.folder_store import FolderStore
from anomalake.lake.ingest import Message, ingest_messages
from examples import alert_body, shop_text
from large_set import find_values
from shop_page import WINDOW, read_content, render_shop_page, write_hostile_lake


def test_the_page_follows_only_the_definition_and_the_datasets(tmp_path):
    item, connection = write_hostile_lake(tmp_path)
    analysis = definition.build_set_definition(item, WINDOW)
    assert "log" in [
        visual["id"] for visual in read_content(render_shop_page(analysis, connection))["sheets"][0]["visuals"]
    ]
    changed = copy.deepcopy(analysis)
    changed["Sheets"][0]["Visuals"] = [v for v in changed["Sheets"][0]["Visuals"] if "TableVisual" not in v]
    for visual in find_values(changed, "BarChartVisual"):
        if visual["VisualId"] == "timeline":
            visual["Title"]["FormatText"]["PlainText"] = "Another title"
            visual["ChartConfiguration"]["BarsArrangement"] = "STACKED_PERCENT"
    content = {
        visual["id"]: visual for visual in read_content(render_shop_page(changed, connection))["sheets"][0]["visuals"]
    }
    assert "log" not in content
    assert content["timeline"]["title"] == "Another title"
    assert content["timeline"]["look"]["spec"]["encoding"]["y"]["stack"] == "normalize"
    # The page follows a column that is renamed in the definition and in the dataset. If it is renamed in one of them
    # only, the error names the column.
    renamed = json.loads(json.dumps(analysis).replace('"severity"', '"gravity"'))
    with pytest.raises(UserError, match="'anomaly_log' has no column 'gravity'"):
        render_shop_page(renamed, connection)
    connection.execute("CREATE TABLE renamed AS SELECT * RENAME (severity AS gravity) FROM anomalake_shop.anomaly_log")
    names = {name: f"anomalake_shop.{name}" for name in definition.DATASETS} | {definition.LOG: "renamed"}
    after = read_content(preview.render_page(renamed, connection, names, "Shop", datetime(2021, 2, 18)))
    spec = next(visual for visual in after["sheets"][0]["visuals"] if visual["id"] == "timeline")["look"]["spec"]
    assert spec["encoding"]["color"]["title"] == "gravity"


def test_the_preview_reports_by_name_what_it_cannot_draw(tmp_path):
    item, connection = write_hostile_lake(tmp_path)
    analysis = definition.build_set_definition(item, WINDOW)
    unknown_visual = copy.deepcopy(analysis)
    unknown_visual["Sheets"][0]["Visuals"].append(
        {"SankeyDiagramVisual": {"VisualId": "flow", "ChartConfiguration": {}}}
    )
    with pytest.raises(
        UserError,
        match="visual flow on sheet overview: the preview cannot draw a SankeyDiagramVisual; it draws LineChartVisual",
    ):
        render_shop_page(unknown_visual, connection)
    with pytest.raises(UserError, match="dataset 'anomaly_log' has no data"):
        preview.render_page(
            analysis,
            connection,
            {name: name for name in definition.DATASETS if name != definition.LOG},
            "x",
            datetime(2021, 1, 1),
        )
    calculated = copy.deepcopy(analysis)
    calculated["CalculatedFields"][-1]["Expression"] = "runningSum(sum({value}))"
    with pytest.raises(UserError, match="the preview cannot calculate"):
        render_shop_page(calculated, connection)
    calculated["CalculatedFields"][4]["Expression"] = "concat({severity}, 'x')"
    with pytest.raises(
        UserError, match="filter days-from-anomaly_log: the preview cannot read its NumericEqualityFilter"
    ):
        render_shop_page(calculated, connection)
    two_values = copy.deepcopy(analysis)
    (heat_map,) = find_values(two_values, "HeatMapAggregatedFieldWells")
    heat_map["Values"] *= 2
    with pytest.raises(
        UserError, match="cannot read its HeatMapVisual: its field well Values has 2 fields; the preview draws one"
    ):
        render_shop_page(two_values, connection)
    del heat_map["Values"][0]["NumericalMeasureField"]["FieldId"]
    with pytest.raises(UserError, match="cannot read its HeatMapVisual: it has no 'FieldId'"):
        render_shop_page(two_values, connection)


def test_the_page_applies_the_window_and_the_filters_of_the_definition(tmp_path):
    item, connection = write_hostile_lake(tmp_path)
    narrow = definition.build_set_definition(
        item, definition.Window(datetime(2021, 2, 17, 6), datetime(2021, 2, 17, 6), "HOUR")
    )
    content = read_content(render_shop_page(narrow, connection))
    log = next(visual for visual in content["sheets"][0]["visuals"] if visual["id"] == "log")
    assert content["cubes"][log["cube"]]["rows"] == 1
    rolled = definition.build_set_definition(item, definition.Window("addDateTime(-1, 'DD', now())", "now()", "HOUR"))
    content = read_content(render_shop_page(rolled, connection))
    assert content["window"] == ["2021-02-17 00:00", "2021-02-18 00:00"]
    assert content["cubes"][log["cube"]]["rows"] == 3


@pytest.mark.slow
def test_the_filter_on_partitions_keeps_every_row_of_the_window_in_every_time_zone(tmp_path):
    for zone in ("Pacific/Kiritimati", "Etc/GMT+12", "America/New_York", "UTC"):
        item = metric_set_yaml.parse(shop_text(zone), "shop.yaml")
        root = tmp_path / zone.replace("/", "-")
        instants = [datetime(2021, 2, 17, hour) for hour in range(24)]
        bodies = [alert_body(timestamp=f"{instant:%Y-%m-%dT%H:%M}Z", event=f"e{instant.hour}") for instant in instants]
        ingest_messages([Message("m", body) for body in bodies], FolderStore(root), (item,), "parquet")
        walls = sorted(intervals.to_wall_time(instant, zone) for instant in instants)
        for start, end in ((walls[0], walls[0]), (walls[-1], walls[-1]), (walls[0], walls[-1]), (walls[3], walls[9])):
            analysis = definition.build_set_definition(item, definition.Window(start, end, "HOUR"))
            content = read_content(render_shop_page(analysis, duckdb_catalog.connect(root, [item])))
            log = next(visual for visual in content["sheets"][0]["visuals"] if visual["id"] == "log")
            assert content["cubes"][log["cube"]]["rows"] == sum(start <= wall <= end for wall in walls), (
                zone,
                start,
                end,
            )


def test_the_preview_draws_the_analysis_over_all_metric_sets(tmp_path):
    _, connection = write_hostile_lake(tmp_path)
    analysis = definition.build_all_sets_definition(WINDOW)
    datasets = {name: f"anomalake.{name}" for name in definition.ALL_DATASETS}
    content = read_content(preview.render_page(analysis, connection, datasets, "all", datetime(2021, 2, 18)))
    rows = {
        visual["id"]: content["cubes"][visual["cube"]]["rows"]
        for sheet in content["sheets"]
        for visual in sheet["visuals"]
    }
    assert (rows["log"], rows["series"]) == (3, 9)
    assert rows["pivot"] == 3 * (1 + 3)


def test_the_page_leaves_out_data_beyond_its_limits_and_reports_it(monkeypatch, tmp_path):
    item, connection = write_hostile_lake(tmp_path)
    monkeypatch.setattr(limits, "MAX_QUERY_ROWS", 50)
    monkeypatch.setattr(limits, "MAX_COLORS", 1)
    content = read_content(render_shop_page(definition.build_set_definition(item, WINDOW), connection))
    visuals = {visual["id"]: visual for sheet in content["sheets"] for visual in sheet["visuals"]}
    by_platform, by_market = visuals["m0-d0-live"], visuals["m0-d1-live"]
    assert by_platform["note"] == "too much data: the drop-down lists do not filter this chart"
    assert by_market["note"].startswith("too much data: only the 1 values with the most rows")
    assert (content["cubes"][by_platform["cube"]]["rows"], content["cubes"][by_market["cube"]]["rows"]) == (48, 24)


def test_infinite_numbers_become_null_and_whole_numbers_stay_exact():
    assert packing.pack_column([float("inf"), float("nan"), 1 / 3, 123456789.0], exact=False)["data"] == [
        None,
        None,
        0.3333333,
        123456789.0,
    ]
    assert packing.pack_column([1234567890123, 0.123456789], exact=True)["data"] == [1234567890123, 0.123456789]
