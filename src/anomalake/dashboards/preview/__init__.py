"""Draws a QuickSight definition with the data of its datasets, as one HTML file, for people without QuickSight.

The file needs no other file. The preview reads only the definition and the datasets; it does not use metric sets. It
reports by name what it cannot draw.

`render` is the whole. `visuals` prepares one visual: `charts` and `tables` read its kind, `filters` and
`calculated_fields` give its conditions and values in SQL, and `cubes` runs the queries on DuckDB. A query groups by
the fields of a visual and by the columns of the sheet's drop-down lists, so that the page can filter without a
database. `html` embeds the results, column by column and compressed; the scripts in `page/` draw them with Vega-Lite.
"""

from anomalake.dashboards.preview.limits import MAX_TABLE_ROWS
from anomalake.dashboards.preview.parameters import read_parameters
from anomalake.dashboards.preview.render import render_page

__all__ = ["MAX_TABLE_ROWS", "read_parameters", "render_page"]
