"""Sets up .venv, in which the project runs from its sources. `PYTHON .ci/environment.py`, from the top of the project.

It uses the pip of that Python, if there is one, because installing a copy takes longer than all else here. It writes
what `pip install --editable .` would: the path to `src`, and the command `anomalake`.
"""

import shutil
import sys
import sysconfig
import venv
from importlib.util import find_spec
from pathlib import Path

VENV = Path(".venv").absolute()
# A shell runs the first line, for which a path may contain spaces; for Python, that line is a text without effect.
COMMAND = """\
#!/bin/sh
'exec' '{python}' '-P' "$0" "$@"
import sys

from anomalake.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
"""


def find_pip() -> Path | None:
    """Return the script by which pip works on another environment. Versions before 22.3 do not have it."""
    pip = find_spec("pip")
    runner = Path(pip.origin).with_name("__pip-runner__.py") if pip and pip.origin else None
    return runner if runner and runner.is_file() else None


def main() -> None:
    """Write the environment. If that fails, report the reason and leave nothing behind."""
    runner = find_pip()
    try:
        venv.create(VENV, with_pip=runner is None, symlinks=True)
    except Exception as error:  # noqa: BLE001  (ensurepip, in a process of its own, has many)
        shutil.rmtree(VENV, ignore_errors=True)
        sys.exit(f"Python's venv module is required (Debian: apt install python3-venv): {error}")
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(VENV), "installed_base": str(VENV)}))
    if runner is not None:
        (packages / "pip").mkdir()
        call = f"import os\nimport sys\n\nos.execv(sys.executable, [sys.executable, {str(runner)!r}, *sys.argv[1:]])\n"
        (packages / "pip/__main__.py").write_text(call, "utf-8")
    (packages / "anomalake.pth").write_text(f"{Path('src').absolute()}\n", "utf-8")
    command = VENV / "bin/anomalake"
    command.write_text(COMMAND.format(python=VENV / "bin/python"), "utf-8")
    command.chmod(0o755)


if __name__ == "__main__":
    main()
