"""`python -m anomalake` runs the command `anomalake`."""

import sys

from anomalake.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
