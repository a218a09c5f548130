"""Reads a lock file: the exact versions of packages, and the hashes of their files."""

import re
from pathlib import Path

PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)")


def pins(file: Path) -> set[str]:
    """Return `name==version` of each package, with normalized names ("Name normalization" in the packaging guide)."""
    found = (PIN.match(line) for line in file.read_text("utf-8").splitlines())
    return {normalized(match[0]) for match in found if match}


def normalized(pin: str) -> str:
    """Return the pin with its name as the index compares it."""
    name, _, version = pin.partition("==")
    return f"{re.sub(r'[-_.]+', '-', name).lower()}=={version}"


def without_hash(file: Path) -> list[str]:
    """Return the packages without a hash, which pip would reject."""
    entries = re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", file.read_text("utf-8"), flags=re.MULTILINE))
    return [entry.split("\n")[0] for entry in entries if entry.strip() and "--hash=sha256:" not in entry]
