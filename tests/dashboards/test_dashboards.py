"""The QuickSight definition, and the page that draws it: in headless Chromium, chart by chart."""

import copy
import json
import re
import shutil
import subprocess
from datetime import datetime
from html import unescape
from pathlib import Path

import duckdb
import pytest

from anomalake.catalog import duckdb_catalog
from anomalake.cli import local_pipeline
from anomalake.dashboards import definition, lake_page, preview
from anomalake.dashboards.preview import limits, packing
from anomalake.domain import intervals, metric_set, metric_set_yaml
from anomalake.domain.errors import UserError
from anomalake.lake.folder_store import FolderStore
from anomalake.lake.ingest import Message, ingest_messages
from examples import alert_body, shop_text
from large_set import BIG, big, named

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
browser = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium here: the page is not opened (Debian: apt install chromium)"
)
WINDOW = definition.Window(datetime(2021, 2, 17), datetime(2021, 2, 18), "HOUR")


# --- the page


def hostile_lake(root: Path) -> tuple[metric_set.MetricSet, duckdb.DuckDBPyConnection]:
    """A day of live data and three alerts, with values that would run if they could."""
    text = shop_text().replace("name: shop", 'name: shop\nlabel: "<b>Shop</b></script><script>alert(1)</script>"')
    item = metric_set_yaml.parse(text, "shop.yaml")
    markets = ["us", "</script><script>document.title='owned'</script>", '"><img src=x onerror=alert(1)>']
    import pandas as pd

    rows = [
        (p, m, f"2021-02-17 {hour:02}:00:00", 10 + hour, 0.5)
        for hour in range(24)
        for p in ("pc", "app")
        for m in markets
    ]
    local_pipeline.write_live_data(
        pd.DataFrame(rows, columns=["platform", "marketplace", "timestamp", "views", "revenue"]),
        item,
        FolderStore(root),
    )
    bodies = [
        alert_body("views", timestamp=f"2021-02-17T{hour}:00Z", event=f"e{hour}", score=score, consoleUrl=link,
                   series=[({"platform": "pc", "marketplace": m}, 99.0) for m in markets],
                   contributions={"platform": {"pc": 100.0}, "marketplace": dict.fromkeys(markets, 100 / 3)})
        for hour, score, link in (("05", 20, "https://example.com/x"), ("06", 70, "javascript:alert(1)"), ("07", 95, "http://example.com"))
    ]  # fmt: skip
    assert (
        len(ingest_messages([Message("m", body) for body in bodies], FolderStore(root), (item,), "parquet").stored) == 3
    )
    return item, duckdb_catalog.connect(root, [item])


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("hostile")
    item, connection = hostile_lake(root)
    lake_page.write_page(item, connection, root / "page.html")
    return root / "page.html"


def opened(page: Path, sheet: str, width: int = 1400) -> tuple[str, dict[str, dict[str, int]], dict[str, str]]:
    """The page in Chromium at one sheet: its DOM, the marks of each visual, the body's data."""
    assert CHROMIUM is not None
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-sync"
    command = [
        CHROMIUM,
        *flags.split(),
        f"--user-data-dir={page.parent / 'profile'}",
        f"--window-size={width},1200",
        "--virtual-time-budget=30000",
    ]
    dom = subprocess.run(
        [*command, "--dump-dom", f"file://{page}#{sheet}"], capture_output=True, text=True, timeout=120, check=True
    ).stdout
    dom = dom.split('<script id="data"')[0]  # what follows is the data and the library
    cards = re.findall(r"<section[^>]*>", dom)
    marks = {}
    for card in cards:
        attributes = dict(re.findall(r'data-([a-z-]+)="([^"]*)"', card))
        marks[attributes["visual"]] = (
            {"empty": 1} if "empty" in attributes else json.loads(unescape(attributes.get("marks", "{}")))
        )
    (body,) = re.findall(r"<body[^>]*>", dom)
    return dom, marks, dict(re.findall(r'data-([a-z-]+)="([^"]*)"', body))


@browser
@pytest.mark.parametrize(
    ("sheet", "wanted"),
    [
        (
            "overview",
            {"kpi-events": {"text": 1}, "kpi-severe": {"text": 1}, "kpi-worst": {"text": 1}, "kpi-series": {"text": 1},
             "timeline": {"rect": 3}, "worst": {"rect": 1}, "log": {"row": 3}},
        ),
        (
            "measure-views",
            {"m0-band": {"empty": 1}, "m0-d0-live": {"line": 48}, "m0-d1-live": {"line": 72},
             "m0-d0-anomalies": {"line": 24, "rect": 3}, "m0-d1-anomalies": {"line": 24, "rect": 9},
             "m0-d0-contribution": {"rect": 3}, "m0-d1-contribution": {"rect": 9}},
        ),
        (
            "measure-revenue",
            {"m1-band": {"empty": 1}, "m1-d0-live": {"line": 48}, "m1-d1-live": {"line": 72},
             "m1-d0-anomalies": {"line": 24}, "m1-d1-anomalies": {"line": 24},
             "m1-d0-contribution": {"empty": 1}, "m1-d1-contribution": {"empty": 1}},
        ),
        ("contributions", {"pivot": {"row": 12}}),
    ],
)  # fmt: skip
def test_every_visual_of_a_sheet_is_drawn_with_the_marks_of_its_data(hostile_page, sheet, wanted):
    _, marks, body = opened(hostile_page, sheet)
    assert body.get("error") is None
    assert body["drawn"] == sheet
    assert marks == wanted


@browser
def test_nothing_of_the_data_runs_and_only_https_links_are_links(hostile_page):
    dom, _, _ = opened(hostile_page, "overview")
    page = hostile_page.read_text()
    assert "owned" not in re.findall(r"<title>.*?</title>", dom, re.DOTALL)[0]
    assert not re.findall(r"<img|onerror=", dom.split("<main")[1].split("</main>")[0])
    assert re.findall(r'href="([^"]*)"', dom) == ["https://example.com/x"]
    policy = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)[0]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page.split("<script>")[0])


@browser
def test_the_page_is_drawn_in_a_narrow_window(hostile_page):
    dom, marks, body = opened(hostile_page, "measure-views", width=500)
    assert body["drawn"] == "measure-views"
    assert marks["m0-d0-live"] == {"line": 48}
    assert "grid-column" not in dom.split("<main")[1].split("</main>")[0]


@browser
def test_a_choice_in_a_drop_down_filters_what_is_drawn(hostile_page):
    _, marks, _ = opened(hostile_page, "measure-views?platform=app")
    assert marks["m0-d0-live"] == {"line": 24}
    assert marks["m0-d0-anomalies"] == {"line": 24}
    assert marks["m0-d0-contribution"] == {"empty": 1}


@browser
@pytest.mark.parametrize(
    ("aggregation", "athena"),
    [
        ("AVERAGE", "avg(x)"),
        ("SUM", "sum(x)"),
        ("MIN", "min(x)"),
        ("MAX", "max(x)"),
        ("COUNT", "count(x)"),
        ("DISTINCT_COUNT", "count(DISTINCT x)"),
    ],
)
def test_the_page_aggregates_as_sql_does(tmp_path, aggregation, athena):
    """Through a pivot by platform, whose cells stand in the page as text; the drop-downs' finer groups are aggregated again there."""
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE d AS SELECT * FROM (VALUES ('pc', 'us', 1.5, 7), ('pc', 'de', 4.0, 7), ('pc', 'de', NULL, 8), ('app', 'us', -2.0, 9), "
        "('app', NULL, 3.5, NULL), (NULL, NULL, 0.0, 7)) AS t(platform, marketplace, x, y)"
    )
    column = {"DataSetIdentifier": "d", "ColumnName": "x"}
    if "COUNT" in aggregation:
        value = {"CategoricalMeasureField": {"FieldId": "v", "Column": column, "AggregationFunction": aggregation}}
    else:
        value = {
            "NumericalMeasureField": {
                "FieldId": "v",
                "Column": column,
                "AggregationFunction": {"SimpleNumericalAggregation": aggregation},
            }
        }
    row = {
        "CategoricalDimensionField": {"FieldId": "r", "Column": {"DataSetIdentifier": "d", "ColumnName": "platform"}}
    }
    pivot = {"FieldWells": {"PivotTableAggregatedFieldWells": {"Rows": [row], "Values": [value]}}}
    choice = {"FilterId": "f", "Column": {"DataSetIdentifier": "d", "ColumnName": "marketplace"}}
    listed = {"FilterListConfiguration": {"MatchOperator": "CONTAINS", "SelectAllOptions": "FILTER_ALL_VALUES"}}
    made = {
        "DataSetIdentifierDeclarations": [{"Identifier": "d", "DataSetArn": "x"}],
        "FilterGroups": [
            {"FilterGroupId": "g", "CrossDataset": "ALL_DATASETS", "ScopeConfiguration": {"AllSheets": {}},
             "Filters": [{"CategoryFilter": {**choice, "Configuration": listed}}]}
        ],
        "Sheets": [
            {"SheetId": "s", "FilterControls": [{"Dropdown": {"FilterControlId": "c", "SourceFilterId": "f", "Title": "Market"}}],
             "Visuals": [{"PivotTableVisual": {"VisualId": "p", "ChartConfiguration": pivot}}]}
        ],
    }  # fmt: skip
    (tmp_path / "page.html").write_text(preview.render_page(made, connection, {"d": "d"}, "Sums", datetime(2021, 1, 1)))
    for choice, where in (
        ("s", "true"),
        ("s?marketplace=de", "marketplace = 'de'"),
        ("s?marketplace=%E2%81%A0(none)", "marketplace IS NULL"),
    ):
        dom, _, _ = opened(tmp_path / "page.html", choice)
        seen = re.findall(r"<tr><td[^>]*>([^<]*)</td><td[^>]*>([^<]*)</td></tr>", dom)
        rows = connection.execute(
            f"SELECT coalesce(platform, chr(8288) || '(none)'), {athena} FROM d WHERE {where} GROUP BY 1 ORDER BY 1"
        ).fetchall()
        assert sorted((name, float(number)) for name, number in seen) == sorted(
            (name, float(number)) for name, number in rows
        )


def content(html: str) -> dict:
    """What is embedded in a page."""
    import base64
    import zlib

    packed = re.findall(r'<script id="data"[^>]*>([^<]*)</script>', html)[0]
    return json.loads(zlib.decompress(base64.b64decode(packed)))


def a_page(made: dict, connection: duckdb.DuckDBPyConnection) -> str:
    return preview.render_page(
        made,
        connection,
        {name: f"anomalake_shop.{name}" for name in definition.DATASETS},
        "Shop",
        datetime(2021, 2, 18),
    )


def test_the_page_follows_the_definition_and_the_datasets_alone(tmp_path):
    item, connection = hostile_lake(tmp_path)
    made = definition.build_set_definition(item, WINDOW)
    assert "log" in [visual["id"] for visual in content(a_page(made, connection))["sheets"][0]["visuals"]]
    changed = copy.deepcopy(made)
    changed["Sheets"][0]["Visuals"] = [v for v in changed["Sheets"][0]["Visuals"] if "TableVisual" not in v]
    for visual in named(changed, "BarChartVisual"):
        if visual["VisualId"] == "timeline":
            visual["Title"]["FormatText"]["PlainText"] = "Another title"
            visual["ChartConfiguration"]["BarsArrangement"] = "STACKED_PERCENT"
    seen = {visual["id"]: visual for visual in content(a_page(changed, connection))["sheets"][0]["visuals"]}
    assert "log" not in seen
    assert seen["timeline"]["title"] == "Another title"
    assert seen["timeline"]["look"]["spec"]["encoding"]["y"]["stack"] == "normalize"
    # A renamed column, in the definition and the dataset both, is followed; in one of them only, it is missed by name.
    renamed = json.loads(json.dumps(made).replace('"severity"', '"gravity"'))
    with pytest.raises(UserError, match="'anomaly_log' has no column 'gravity'"):
        a_page(renamed, connection)
    connection.execute("CREATE TABLE renamed AS SELECT * RENAME (severity AS gravity) FROM anomalake_shop.anomaly_log")
    names = {name: f"anomalake_shop.{name}" for name in definition.DATASETS} | {definition.LOG: "renamed"}
    after = content(preview.render_page(renamed, connection, names, "Shop", datetime(2021, 2, 18)))
    spec = next(visual for visual in after["sheets"][0]["visuals"] if visual["id"] == "timeline")["look"]["spec"]
    assert spec["encoding"]["color"]["title"] == "gravity"


def test_what_the_page_cannot_draw_is_refused_by_name(tmp_path):
    item, connection = hostile_lake(tmp_path)
    made = definition.build_set_definition(item, WINDOW)
    strange = copy.deepcopy(made)
    strange["Sheets"][0]["Visuals"].append({"SankeyDiagramVisual": {"VisualId": "flow", "ChartConfiguration": {}}})
    with pytest.raises(
        UserError,
        match="visual flow on sheet overview: the preview cannot draw a SankeyDiagramVisual; it draws LineChartVisual",
    ):
        a_page(strange, connection)
    with pytest.raises(UserError, match="dataset 'anomaly_log' has no data"):
        preview.render_page(
            made,
            connection,
            {name: name for name in definition.DATASETS if name != definition.LOG},
            "x",
            datetime(2021, 1, 1),
        )
    calculated = copy.deepcopy(made)
    calculated["CalculatedFields"][-1]["Expression"] = "runningSum(sum({value}))"
    with pytest.raises(UserError, match="the preview cannot calculate"):
        a_page(calculated, connection)
    calculated["CalculatedFields"][4]["Expression"] = "concat({severity}, 'x')"
    with pytest.raises(
        UserError, match="filter days-from-anomaly_log: the preview cannot read its NumericEqualityFilter"
    ):
        a_page(calculated, connection)


def test_the_window_and_the_filters_of_the_definition_hold(tmp_path):
    item, connection = hostile_lake(tmp_path)
    narrow = definition.build_set_definition(
        item, definition.Window(datetime(2021, 2, 17, 6), datetime(2021, 2, 17, 6), "HOUR")
    )
    seen = content(a_page(narrow, connection))
    log = next(visual for visual in seen["sheets"][0]["visuals"] if visual["id"] == "log")
    assert seen["cubes"][log["cube"]]["rows"] == 1
    rolled = definition.build_set_definition(item, definition.Window("addDateTime(-1, 'DD', now())", "now()", "HOUR"))
    seen = content(a_page(rolled, connection))
    assert seen["window"] == ["2021-02-17 00:00", "2021-02-18 00:00"]
    assert seen["cubes"][log["cube"]]["rows"] == 3


def test_the_filter_on_partitions_leaves_every_row_of_the_window_in_every_zone(tmp_path):
    for zone in ("Pacific/Kiritimati", "Etc/GMT+12", "America/New_York", "UTC"):
        item = metric_set_yaml.parse(shop_text(zone), "shop.yaml")
        root = tmp_path / zone.replace("/", "-")
        instants = [datetime(2021, 2, 17, hour) for hour in range(24)]
        bodies = [alert_body(timestamp=f"{instant:%Y-%m-%dT%H:%M}Z", event=f"e{instant.hour}") for instant in instants]
        ingest_messages([Message("m", body) for body in bodies], FolderStore(root), (item,), "parquet")
        walls = sorted(intervals.to_wall_time(instant, zone) for instant in instants)
        for start, end in ((walls[0], walls[0]), (walls[-1], walls[-1]), (walls[0], walls[-1]), (walls[3], walls[9])):
            made = definition.build_set_definition(item, definition.Window(start, end, "HOUR"))
            seen = content(a_page(made, duckdb_catalog.connect(root, [item])))
            log = next(visual for visual in seen["sheets"][0]["visuals"] if visual["id"] == "log")
            assert seen["cubes"][log["cube"]]["rows"] == sum(start <= wall <= end for wall in walls), (zone, start, end)


def test_the_analysis_over_all_metric_sets_is_drawn_too(tmp_path):
    _, connection = hostile_lake(tmp_path)
    made = definition.build_all_sets_definition(WINDOW)
    datasets = {name: f"anomalake.{name}" for name in definition.ALL_DATASETS}
    seen = content(preview.render_page(made, connection, datasets, "all", datetime(2021, 2, 18)))
    rows = {
        visual["id"]: seen["cubes"][visual["cube"]]["rows"] for sheet in seen["sheets"] for visual in sheet["visuals"]
    }
    assert (rows["log"], rows["series"]) == (3, 9)
    assert rows["pivot"] == 3 * (1 + 3)


def test_an_empty_lake_gives_a_page(tmp_path):
    item = metric_set_yaml.parse(shop_text(), "shop")
    assert lake_page.write_page(item, duckdb_catalog.connect(tmp_path, [item]), tmp_path / "page.html") > 0
    if CHROMIUM:
        _, marks, body = opened(tmp_path / "page.html", "overview")
        assert (body["drawn"], marks["timeline"], marks["log"]) == ("overview", {"empty": 1}, {"empty": 1})


def test_big_metric_sets_preview(tmp_path):
    item = big()
    assert lake_page.write_page(item, duckdb_catalog.connect(tmp_path, [item]), tmp_path / "page.html") < 5_000_000


def test_names_with_hyphens_never_make_one_id_of_two():
    text = BIG % ("b-c, c, choose-b, b", "{name: a, aggregation: SUM}, {name: a-b, aggregation: SUM}, {name: a-choose, aggregation: SUM}",
                  "b-c, c, choose-b, b, a, a-b, a-choose")  # fmt: skip
    made = definition.build_set_definition(metric_set_yaml.parse(text, "big"), WINDOW)
    for name in ("VisualId", "FilterGroupId", "FilterControlId"):
        own = [value for value in named(made, name) if isinstance(value, str)]
        assert len(set(own)) == len(own), name


def test_data_beyond_what_a_page_holds_is_cut_and_said(monkeypatch, tmp_path):
    item, connection = hostile_lake(tmp_path)
    monkeypatch.setattr(limits, "MAX_QUERY_ROWS", 50)
    monkeypatch.setattr(limits, "MAX_COLORS", 1)
    seen = content(a_page(definition.build_set_definition(item, WINDOW), connection))
    visuals = {visual["id"]: visual for sheet in seen["sheets"] for visual in sheet["visuals"]}
    by_platform, by_market = visuals["m0-d0-live"], visuals["m0-d1-live"]
    assert by_platform["note"] == "too much data: the drop-down lists do not filter this chart"
    assert by_market["note"].startswith("too much data: only the 1 values with the most rows")
    assert (seen["cubes"][by_platform["cube"]]["rows"], seen["cubes"][by_market["cube"]]["rows"]) == (48, 24)


def test_infinite_numbers_are_empty_and_whole_numbers_exact():
    assert packing.pack_column([float("inf"), float("nan"), 1 / 3, 123456789.0], exact=False)["data"] == [
        None,
        None,
        0.3333333,
        123456789.0,
    ]
    assert packing.pack_column([1234567890123, 0.123456789], exact=True)["data"] == [1234567890123, 0.123456789]
