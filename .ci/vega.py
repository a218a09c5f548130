"""Writes the JavaScript that draws the page's charts, Vega-Lite and its dependencies in one file.

`python .ci/vega.py` writes it; `--check` writes nothing and fails if the file differs. The file is in the repository,
so the demo installs 84 MB less and starts earlier.
"""

import sys
from pathlib import Path

import vl_convert

FILE = Path(__file__).parents[1] / "src/anomalake/dashboards/preview/page/vega_embed.js"
NOTICE = (
    "/* Vega, Vega-Lite and vega-embed, copyright University of Washington Interactive Data Lab and contributors, "
    "BSD-3-Clause: https://github.com/vega. Written by `make vega`. */\n"
)


def main() -> int:
    """Write or compare the file; the exit status."""
    text = NOTICE + vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;").replace("</script", "<\\/script")
    if "--check" not in sys.argv[1:]:
        FILE.write_text(text, "utf-8")
    elif FILE.read_text("utf-8") != text:
        print(f"{FILE.name}: is not what .ci/vega.txt gives; run `make vega` and commit the file", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
