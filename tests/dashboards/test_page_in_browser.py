"""The page in headless Chromium: what it draws, and what it does not run."""

import re
from datetime import datetime

import duckdb
import pytest

from anomalake.dashboards import preview
from shop_page import open_page, requires_chromium
from slow_cases import slow_after


@requires_chromium
@pytest.mark.parametrize(
    ("sheet", "expected_marks"),
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
def test_every_visual_of_a_sheet_has_the_marks_of_its_data(hostile_page, sheet, expected_marks):
    _, marks, body = open_page(hostile_page, sheet)
    assert body.get("error") is None
    assert body["drawn"] == sheet
    assert marks == expected_marks


@requires_chromium
def test_no_value_runs_as_a_script_and_only_https_links_are_links(hostile_page):
    dom, _, _ = open_page(hostile_page, "overview")
    page = hostile_page.read_text()
    assert "owned" not in re.findall(r"<title>.*?</title>", dom, re.DOTALL)[0]
    assert not re.findall(r"<img|onerror=", dom.split("<main")[1].split("</main>")[0])
    assert re.findall(r'href="([^"]*)"', dom) == ["https://example.com/x"]
    policy = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)[0]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page.split("<script>")[0])


@requires_chromium
def test_the_page_is_drawn_in_a_narrow_window(hostile_page):
    dom, marks, body = open_page(hostile_page, "measure-views", width=500)
    assert body["drawn"] == "measure-views"
    assert marks["m0-d0-live"] == {"line": 48}
    assert "grid-column" not in dom.split("<main")[1].split("</main>")[0]


@requires_chromium
def test_a_selection_in_a_drop_down_list_filters_the_visuals(hostile_page):
    _, marks, _ = open_page(hostile_page, "measure-views?platform=app")
    assert marks["m0-d0-live"] == {"line": 24}
    assert marks["m0-d0-anomalies"] == {"line": 24}
    assert marks["m0-d0-contribution"] == {"empty": 1}


def build_pivot_definition(aggregation: str) -> dict:
    """Return a definition with one pivot table: the column x by platform, with a drop-down list of the marketplace."""
    column = {"DataSetIdentifier": "d", "ColumnName": "x"}
    if "COUNT" in aggregation:
        value = {"CategoricalMeasureField": {"FieldId": "v", "Column": column, "AggregationFunction": aggregation}}
    else:
        function = {"SimpleNumericalAggregation": aggregation}
        value = {"NumericalMeasureField": {"FieldId": "v", "Column": column, "AggregationFunction": function}}
    platform = {"DataSetIdentifier": "d", "ColumnName": "platform"}
    row = {"CategoricalDimensionField": {"FieldId": "r", "Column": platform}}
    pivot = {"FieldWells": {"PivotTableAggregatedFieldWells": {"Rows": [row], "Values": [value]}}}
    listed = {"FilterListConfiguration": {"MatchOperator": "CONTAINS", "SelectAllOptions": "FILTER_ALL_VALUES"}}
    marketplace = {"DataSetIdentifier": "d", "ColumnName": "marketplace"}
    condition = {"FilterId": "f", "Column": marketplace, "Configuration": listed}
    return {
        "DataSetIdentifierDeclarations": [{"Identifier": "d", "DataSetArn": "x"}],
        "FilterGroups": [
            {
                "FilterGroupId": "g",
                "CrossDataset": "ALL_DATASETS",
                "ScopeConfiguration": {"AllSheets": {}},
                "Filters": [{"CategoryFilter": condition}],
            }
        ],
        "Sheets": [
            {
                "SheetId": "s",
                "FilterControls": [{"Dropdown": {"FilterControlId": "c", "SourceFilterId": "f", "Title": "Market"}}],
                "Visuals": [{"PivotTableVisual": {"VisualId": "p", "ChartConfiguration": pivot}}],
            }
        ],
    }


@requires_chromium
@pytest.mark.parametrize(
    ("aggregation", "athena"),
    slow_after(
        2,
        [
            ("AVERAGE", "avg(x)"),
            ("SUM", "sum(x)"),
            ("MIN", "min(x)"),
            ("MAX", "max(x)"),
            ("COUNT", "count(x)"),
            ("DISTINCT_COUNT", "count(DISTINCT x)"),
        ],
    ),
)
def test_the_page_aggregates_as_sql_does(tmp_path, aggregation, athena):
    """The cells of a pivot table are text in the page.

    The query groups by platform and by the column of the drop-down list, and the page aggregates its rows again.
    """
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE d AS SELECT * FROM (VALUES ('pc', 'us', 1.5, 7), ('pc', 'de', 4.0, 7), ('pc', 'de', NULL, 8), "
        "('app', 'us', -2.0, 9), ('app', NULL, 3.5, NULL), (NULL, NULL, 0.0, 7)) AS t(platform, marketplace, x, y)"
    )
    analysis = build_pivot_definition(aggregation)
    html = preview.render_page(analysis, connection, {"d": "d"}, "Sums", datetime(2021, 1, 1))
    (tmp_path / "page.html").write_text(html)
    for address, condition in (
        ("s", "true"),
        ("s?marketplace=de", "marketplace = 'de'"),
        ("s?marketplace=%E2%81%A0(none)", "marketplace IS NULL"),
    ):
        dom, _, _ = open_page(tmp_path / "page.html", address)
        cells = re.findall(r"<tr><td[^>]*>([^<]*)</td><td[^>]*>([^<]*)</td></tr>", dom)
        rows = connection.execute(
            f"SELECT coalesce(platform, chr(8288) || '(none)'), {athena} FROM d WHERE {condition} GROUP BY 1 ORDER BY 1"
        ).fetchall()
        assert sorted((name, float(number)) for name, number in cells) == sorted(
            (name, float(number)) for name, number in rows
        )
