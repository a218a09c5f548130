"""A metric set with every aggregation, rows of it with gaps, and the values that they have."""

import csv
import io
import json
import math

from hypothesis import strategies as st

from anomalake.domain import metric_set_yaml
from anomalake.lake import live_data

COLUMNS = ("at", "shop", "kind", "customer", "amount")


def build_set(
    *, frequency="PT1H", zone="Europe/Berlin", folder="yyyyMMdd", timestamp='"yyyy-MM-dd HH:mm:ss"', form="csv", more=""
):
    """Return the metric set of sales. Its dimension `shop` is read from the column of another name."""
    return metric_set_yaml.parse(
        f"""name: sales
frequency: {frequency}
timezone: {zone}
timestamp: {{column: at, format: {timestamp}}}
dimensions: [{{name: store, column: shop}}, {{name: kind, top: 2}}]
measures:
  - {{name: orders, aggregation: COUNT}}
  - {{name: priced, aggregation: COUNT, column: amount}}
  - {{name: revenue, aggregation: SUM, column: amount}}
  - {{name: price, aggregation: AVG, column: amount}}
  - {{name: cheapest, aggregation: MIN, column: amount}}
  - {{name: dearest, aggregation: MAX, column: amount}}
  - {{name: customers, aggregation: COUNT_DISTINCT, column: customer}}
  - {{name: basket, aggregation: RATIO, numerator: revenue, denominator: orders}}
  - {{name: loyalty, aggregation: RATIO, numerator: orders, denominator: customers}}
source: {{path: "sales/live/{{{{{folder}}}}}", format: {form}, columns: [{", ".join(COLUMNS)}]}}
{more}""",
        "sales",
    )


AMOUNTS = st.none() | st.sampled_from([0.0, 1e308, -1e308, 1e-300]) | st.floats(allow_nan=False, allow_infinity=False)
SALES = st.tuples(
    st.sampled_from(["a", "b", None]),
    st.sampled_from(["x", 'y,"z"', "ü", None]),
    st.sampled_from(["ann", "bob", "Ann", "1", None]),
    AMOUNTS,
)


def encode_rows(item, rows):
    """Return rows (the cells of `COLUMNS`, None for a missing one) as a live file."""
    if item.source.format == "jsonl":
        lines = ({name: cell for name, cell in zip(COLUMNS, row, strict=True) if cell is not None} for row in rows)
        return "".join(json.dumps(line) + "\n" for line in lines).encode()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([COLUMNS, *(["" if cell is None else cell for cell in row] for row in rows)])
    return text.getvalue().encode()


def expect_values(rows, missing_is_zero):
    """Return the values and weights of the rows of one series (customer and amount), as the documentation says."""
    amounts = [amount for _, amount in rows if amount is not None]
    try:
        total = math.fsum(amounts) if amounts else None
    except OverflowError:
        total = None
    orders, customers = float(len(rows)), float(len({customer for customer, _ in rows if customer is not None}))
    mean = None if total is None else total / len(amounts)
    above = 0.0 if total is None and missing_is_zero else total
    basket = None if above is None else above / orders
    loyalty = orders / customers if customers else None
    lowest, highest = (min(amounts), max(amounts)) if amounts else (None, None)
    values = (orders, float(len(amounts)), total, mean, lowest, highest, customers, basket, loyalty)
    weights = (
        *(None,) * 3,
        None if mean is None else float(len(amounts)),
        *(None,) * 3,
        None if basket is None else orders,
        None if loyalty is None else customers,
    )
    return values, weights


def read_lake(store, item):
    """Read all intervals that have rows or findings, each folder once; by start, in order of time."""
    folders = {}
    for wall, keys in live_data.list_files_by_interval(store, item).items():
        folders.setdefault(id(keys), (keys, []))[1].extend(item.clock.starts_at_wall_time(wall))
    read = [part for keys, starts in folders.values() for part in live_data.read_intervals(store, item, starts, keys)]
    return {part.start: part for part in read if part.row_count or part.finding_count}
