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
from anomalake.cli import local_pipeline
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
    """A day of live data and three alerts, with values that would run if they could."""
    text = shop_text().replace("name: shop", 'name: shop\nlabel: "<b>Shop</b></script><script>alert(1)</script>"')
    item = metric_set_yaml.parse(text, "shop.yaml")
    markets = ["us", "</script><script>document.title='owned'</script>", '"><img src=x onerror=alert(1)>']
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


def open_page(page: Path, sheet: str, width: int = 1400) -> tuple[str, dict[str, dict[str, int]], dict[str, str]]:
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


def read_content(html: str) -> dict:
    """What is embedded in a page."""
    packed = re.findall(r'<script id="data"[^>]*>([^<]*)</script>', html)[0]
    return json.loads(zlib.decompress(base64.b64decode(packed)))


def render_shop_page(made: dict, connection: duckdb.DuckDBPyConnection) -> str:
    return preview.render_page(
        made,
        connection,
        {name: f"anomalake_shop.{name}" for name in definition.DATASETS},
        "Shop",
        datetime(2021, 2, 18),
    )
