"""Takes the screenshot in the README: a page that `anomalake demo` wrote, in headless Chromium.

Usage: screenshot.py PAGE PICTURE [SHEET]
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path


def main(page: str, picture: str, sheet: str = "measure-cancelled") -> int:
    """Write the picture and return the exit status: that of Chromium, or 1 without Chromium or without the page."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("Chromium is not installed; install it (Debian: apt install chromium)", file=sys.stderr)  # noqa: T201
        return 1
    if not Path(page).exists():
        print(f"{page} does not exist; run: make demo", file=sys.stderr)  # noqa: T201
        return 1
    with tempfile.TemporaryDirectory() as profile:
        command = [
            chromium,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--hide-scrollbars",
            "--window-size=1400,1040",
            "--virtual-time-budget=20000",
            f"--user-data-dir={profile}",
            f"--screenshot={Path(picture).resolve()}",
            f"file://{Path(page).resolve()}#{sheet}",
        ]
        return subprocess.run(command, capture_output=True, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
