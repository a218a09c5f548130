"""`make fuzz`: runs the fuzzer for a number of seconds. Its first inputs are the events of the tests.

Usage: `PYTHONPATH=tests/support python tests/fuzz/run.py SECONDS`. An input that violates a rule of `target.py` is
saved in this folder, its path is printed, and the exit status is 1.
"""

import importlib.util
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hostile_content
import hostile_events
from examples import alert_body, event_text

HERE = Path(__file__).parent


def words(inner: Any) -> Iterator[str]:
    """The field names and texts of an event, from which the fuzzer makes new ones."""
    if isinstance(inner, dict):
        yield from inner
    for part in inner.values() if isinstance(inner, dict) else inner if isinstance(inner, list) else ():
        yield from words(part)
    if isinstance(inner, str):
        yield inner


def main(seconds: int) -> int:
    """Run the fuzzer. Returns the exit status: 0, or 1 if it found an error."""
    if importlib.util.find_spec("atheris") is None:
        python = f"Python {platform.python_version()} on {platform.machine()} {platform.system()}"
        sys.stderr.write(
            "atheris, the fuzzer, has wheels for Python 3.11 and 3.13 on x86_64 Linux only (.ci/fuzz.txt); "
            f"this is {python}\n"
        )
        return 1
    bodies = [alert_body(), *map(event_text, hostile_events.SERVICE_EVENTS)]
    bodies += [
        json.dumps({"TopicArn": "t", "Message": bodies[0]}),
        *hostile_content.HOSTILE_NAMES,
        json.dumps({"detail-type": "x", "source": "y", "detail": {}}),
    ]
    before = set(HERE.iterdir())
    with tempfile.TemporaryDirectory() as folder:
        corpus, terms = Path(folder, "corpus"), Path(folder, "terms")
        corpus.mkdir()
        for number, body in enumerate(bodies):
            (corpus / str(number)).write_bytes(body.encode())
        known = sorted(
            {
                word
                for body in bodies[: len(hostile_events.SERVICE_EVENTS) + 1]
                for word in words(json.loads(body))
                if 0 < len(word) < 60
            }
        )
        terms.write_text("".join('"' + "".join(f"\\x{byte:02x}" for byte in word.encode()) + '"\n' for word in known))
        limits = [f"-max_total_time={seconds}", "-timeout=10", "-max_len=8192", "-verbosity=0", "-print_final_stats=1"]
        run = subprocess.run(
            [sys.executable, HERE / "target.py", *limits, f"-dict={terms}", f"-artifact_prefix={HERE}/", corpus],
            check=False,
        )
    for new_file in sorted(set(HERE.iterdir()) - before - {HERE / "__pycache__"}):
        sys.stderr.write(f"saved: {new_file}\n")
    return int(run.returncode != 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
