"""A lake with hostile values, its page, and the page in headless Chromium."""

import base64
import json
import re
import shutil
import subprocess
import zlib
from datetime import datetime
from html import unescape
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from anomalake.catalog import duckdb_catalog
from anomalake.cli.write_live_data import write_live_data
from anomalake.dashboards import definition, preview
from anomalake.domain import metric_set, metric_set_yaml
from anomalake.lake.folder_store import FolderStore
from anomalake.lake.ingest import Message, ingest_messages
from examples import alert_body, shop_text

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
requires_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="requires Chromium to open the page (Debian: apt install chromium)"
)
WINDOW = definition.Window(datetime(2021, 2, 17), datetime(2021, 2, 18), "HOUR")


def write_hostile_lake(root: Path) -> tuple[metric_set.MetricSet, duckdb.DuckDBPyConnection]:
    """Write a day of live data and three alerts, with values that try to run as scripts."""
    text = shop_text().replace("name: shop", 'name: shop\nlabel: "<b>Shop</b></script><script>alert(1)</script>"')
    shop = metric_set_yaml.parse(text, "shop.yaml")
    markets = ["us", "</script><script>document.title='owned'</script>", '"><img src=x onerror=alert(1)>']
    rows = [
        (platform, market, f"2021-02-17 {hour:02}:00:00", 10 + hour, 0.5)
        for hour in range(24)
        for platform in ("pc", "app")
        for market in markets
    ]
    write_live_data(
        pd.DataFrame(rows, columns=["platform", "marketplace", "timestamp", "views", "revenue"]),
        shop,
        FolderStore(root),
    )
    alerts = [
        ("05", 20, "https://example.com/x"),
        ("06", 70, "javascript:alert(1)"),
        ("07", 95, "http://example.com"),
    ]
    bodies = [
        alert_body(
            "views",
            timestamp=f"2021-02-17T{hour}:00Z",
            event=f"e{hour}",
            score=score,
            consoleUrl=link,
            series=[({"platform": "pc", "marketplace": market}, 99.0) for market in markets],
            contributions={"platform": {"pc": 100.0}, "marketplace": dict.fromkeys(markets, 100 / 3)},
        )
        for hour, score, link in alerts
    ]
    assert (
        len(ingest_messages([Message("m", body) for body in bodies], FolderStore(root), (shop,), "parquet").stored) == 3
    )
    return shop, duckdb_catalog.connect(root, [shop])


def open_page(page: Path, sheet: str, width: int = 1400) -> tuple[str, dict[str, dict[str, int]], dict[str, str]]:
    """Open the page in Chromium at one sheet.

    Return its DOM, the marks of each visual, and the data attributes of the body.
    """
    assert CHROMIUM is not None
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-sync",
        f"--user-data-dir={page.parent / 'profile'}",
        f"--window-size={width},1200",
        "--virtual-time-budget=30000",
    ]
    dom = subprocess.run(
        [*command, "--dump-dom", f"file://{page}#{sheet}"], capture_output=True, text=True, timeout=120, check=True
    ).stdout
    dom = dom.split('<script id="data"')[0]  # the rest is the data and the library
    cards = re.findall(r"<section[^>]*>", dom)
    marks = {}
    for card in cards:
        attributes = dict(re.findall(r'data-([a-z-]+)="([^"]*)"', card))
        marks[attributes["visual"]] = (
            {"empty": 1} if "empty" in attributes else json.loads(unescape(attributes.get("marks", "{}")))
        )
    (body,) = re.findall(r"<body[^>]*>", dom)
    return dom, marks, dict(re.findall(r'data-([a-z-]+)="([^"]*)"', body))


def read_content(html: str) -> dict:
    """Return the content that is embedded in a page."""
    packed = re.findall(r'<script id="data"[^>]*>([^<]*)</script>', html)[0]
    return json.loads(zlib.decompress(base64.b64decode(packed)))


def render_shop_page(analysis: dict, connection: duckdb.DuckDBPyConnection) -> str:
    """Return the page of the definition with the data of the shop."""
    datasets = {name: f"anomalake_shop.{name}" for name in definition.DATASETS}
    return preview.render_page(analysis, connection, datasets, "Shop", datetime(2021, 2, 18))
