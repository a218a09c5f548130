"""Takes the README's picture: a page written by `anomalake demo`, in headless Chromium. Usage: screenshot.py PAGE
PICTURE [SHEET].
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path


def main(page: str, picture: str, sheet: str = "measure-cancelled") -> int:
    """Write the picture; exit status 1 where there is no Chromium or no page."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None or not Path(page).exists():
        print(f"wanted: chromium (Debian: apt install chromium) and {page} (make demo)", file=sys.stderr)  # noqa: T201
        return 1
    with tempfile.TemporaryDirectory() as profile:
        flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--hide-scrollbars",
        ]
        size = ["--window-size=1400,1040", "--virtual-time-budget=20000", f"--user-data-dir={profile}"]
        command = [
            chromium,
            *flags,
            *size,
            f"--screenshot={Path(picture).resolve()}",
            f"file://{Path(page).resolve()}#{sheet}",
        ]
        return subprocess.run(command, capture_output=True, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
