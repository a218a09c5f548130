"""The page in headless Chromium: what it draws, and what it does not run."""

import json
import math
import re
from datetime import datetime

import duckdb
import pytest

from anomalake.dashboards import definition, preview
from anomalake.dashboards.definition.calculated_fields import name_band_fields
from anomalake.dashboards.definition.fields import calculated_field, category_field
from anomalake.domain import metric_set_yaml
from large_set import LARGE_SET_YAML
from shop_page import WINDOW, open_page, requires_chromium
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


OBSERVATIONS = [  # series, value, expected value, lower bound, upper bound, weight
    ("a", 0.5, 0.4, 0.3, 0.6, 10.0),
    ("b", 0.25, 0.2, 0.1, 0.25, 30.0),
    ("c", 0.9, 0.7, 0.65, 0.95, None),  # written without a weight, which counts as 1
    ("d", 0.1, None, None, None, 50.0),  # without an expected value: in no line of the band
]


def build_roll_up_definition(measure: dict[str, str]) -> dict:
    """Return a definition with one pivot table: the lines of the band of a measure, over all series."""
    others = [{"name": "n", "aggregation": "SUM"}, {"name": "m", "aggregation": "COUNT"}]
    measures = ", ".join(json.dumps(item) for item in [measure, *others])
    text = LARGE_SET_YAML.partition("source:")[0] % ("series", measures)
    analysis = definition.build_set_definition(metric_set_yaml.parse(text, "big"), WINDOW)
    names = name_band_fields(measure["aggregation"])
    values = [calculated_field(f"v-{line}", "d", name) for line, name in names.items()]
    wells = {"Rows": [category_field("r", "d", "everything")], "Values": values}
    fields = [
        field | {"DataSetIdentifier": "d"} for field in analysis["CalculatedFields"] if field["Name"] in names.values()
    ]
    pivot = {"FieldWells": {"PivotTableAggregatedFieldWells": wells}}
    visual = {"PivotTableVisual": {"VisualId": "p", "ChartConfiguration": pivot}}
    return {
        "DataSetIdentifierDeclarations": [{"Identifier": "d", "DataSetArn": "x"}],
        "CalculatedFields": fields,
        "Sheets": [{"SheetId": "s", "Visuals": [visual]}],
    }


@requires_chromium
@pytest.mark.parametrize(
    ("measure", "expected"),
    slow_after(
        2,
        [
            ({"name": "x", "aggregation": "AVG"}, "weighted"),
            ({"name": "x", "aggregation": "MIN"}, [0.25, 0.2, 0.1, 0.25]),
            ({"name": "x", "aggregation": "RATIO", "numerator": "n", "denominator": "m"}, "weighted"),
            ({"name": "x", "aggregation": "MAX"}, [0.9, 0.7, 0.65, 0.95]),
            ({"name": "x", "aggregation": "SUM"}, "added"),
            ({"name": "x", "aggregation": "COUNT"}, "added"),
            ({"name": "x", "aggregation": "COUNT_DISTINCT"}, "added"),
        ],
    ),
)
def test_the_page_rolls_up_several_series_by_the_aggregation_of_the_measure(tmp_path, measure, expected):
    if isinstance(expected, str):
        weights = [(weight or 1.0) if expected == "weighted" else 1.0 for *_, weight in OBSERVATIONS[:3]]
        total = sum(weights) if expected == "weighted" else 1.0
        value, center, lower, upper = zip(*(row[1:5] for row in OBSERVATIONS[:3]), strict=True)
        deviations = [
            math.sqrt(sum((w * (a - b)) ** 2 for w, a, b in zip(weights, *pair, strict=True)))
            for pair in ((center, lower), (upper, center))
        ]
        observed, middle = (sum(w * x for w, x in zip(weights, xs, strict=True)) for xs in (value, center))
        expected = [
            observed / total,
            middle / total,
            (middle - deviations[0]) / total,
            (middle + deviations[1]) / total,
        ]
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE d AS SELECT 'all' AS everything, * FROM (VALUES "
        + ", ".join(str(row).replace("None", "NULL") for row in OBSERVATIONS)
        + ") AS t(series, value, expectedvalue, lowerbound, upperbound, weight)"
    )
    html = preview.render_page(build_roll_up_definition(measure), connection, {"d": "d"}, "Sums", datetime(2021, 1, 1))
    (tmp_path / "page.html").write_text(html)
    dom, _, _ = open_page(tmp_path / "page.html", "s")
    cells = re.findall(r'<td class="number">([^<]*)</td>', dom)
    assert [float(cell) for cell in cells] == pytest.approx(expected, rel=0.01)
