"""Reads the text of JSON files that a user names on the command line."""

import json
import sys
from pathlib import Path

from anomalake.domain.errors import UserError


def read_json_text(name: str) -> str:
    """Return the text of a file, or of standard input for `-`; raises `UserError` where it cannot be read.

    The encoding is UTF-8, or what the byte order mark names (PowerShell writes UTF-16).
    """
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return data.decode(json.detect_encoding(data), "strict")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{name}: cannot be read: {error}") from error
