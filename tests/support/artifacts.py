"""The built functions: the location of their artifacts, and running them as Lambda does.

A function runs on Python 3.13 with the standard library and the artifacts only.
"""

import json
import platform
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from examples import alert_body

TOP = Path(__file__).parents[2]
BUILD = TOP / ".aws-sam/build"
MACHINES = {"X86": 62, "Arm64": 183}  # e_machine of the ELF header: EM_X86_64, EM_AARCH64
HERE = "Arm64" if platform.machine() in ("arm64", "aarch64") else "X86"
KEYS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}


class Function(NamedTuple):
    """A built function: its logical id, its layers (without the architecture), its first module, and its maximum
    size.
    """

    id: str
    layers: tuple[str, ...]
    module: str
    max_bytes: int

    def folders(self, architecture: str) -> list[Path]:
        """The folders that Lambda unpacks: the one of the function, then those of its layers."""
        folders = [BUILD / self.id, *(BUILD / f"{layer}Layer{architecture}" for layer in self.layers)]
        for folder in folders:
            assert folder.is_dir(), f"{folder} is missing; run `make build`"
        return folders


INGEST = Function("IngestFunction", ("Base",), "anomalake.functions.ingest", 120_000_000)
DETECT = Function("DetectFunction", ("Base", "Numpy"), "anomalake.functions.detect", 200_000_000)

# Runs `code` with only the standard library and the artifacts on the path. The code assigns its result to `answer`.
RUN = """
import json, sys
paths, code = json.load(sys.stdin)
sys.path[:0] = paths
names = {}
exec(code, names)
print(json.dumps([names["answer"], sorted(sys.modules)]))
"""


@cache
def python313() -> str:
    """Return the path of Python 3.13, the version that Lambda runs. If it is missing, the script prints how to install
    it.
    """
    found = subprocess.run([TOP / ".ci/python313"], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


def run_code(function: Function, code: str, **environment: str) -> tuple[Any, set[str]]:
    """Run the code. Returns the value of `answer` and the loaded modules."""
    code_folder, *layers = function.folders(HERE)
    done = subprocess.run(
        [python313(), "-I", "-S", "-B", "-c", RUN],
        input=json.dumps([[str(code_folder), *(str(layer / "python") for layer in layers)], code]),
        capture_output=True,
        text=True,
        check=False,
        env={**KEYS, "ANOMALAKE_METRIC_SETS": str(code_folder / "metric_sets"), **environment},
    )
    assert done.returncode == 0, done.stderr
    answer, modules = json.loads(done.stdout.splitlines()[-1])
    return answer, set(modules)


def call_handler(function: Function, event: dict[str, Any], **environment: str) -> tuple[Any, set[str]]:
    """Call the handler of the built function. Returns its response and the loaded modules."""
    return run_code(
        function,
        f"import json\nfrom {function.module} import handler\n"
        f"answer = handler(json.loads({json.dumps(event)!r}), None)",
        **environment,
    )


def shop_alert(measure: str, value: float) -> str:
    """An alert of the metric set `ecommerce` of the repository."""
    detector = "arn:aws:lookoutmetrics:eu-west-1:111122223333:AnomalyDetector:ecommerce"
    return alert_body(
        measure, series=[({"platform": "pc_web", "marketplace": "us"}, value)], anomalyDetectorArn=detector
    )
