"""Ends a server that a test or a suite started."""

import subprocess


def stop(process: "subprocess.Popen[bytes]", seconds: float) -> None:
    """Terminate the process; kill it if it has not ended after that time."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
