"""The archive: every alert's body as received, packed one object for a batch, set and date, and read back. Pure.

An object is named by the digest of its bodies and never changes; a body that was delivered twice may stand in two objects (docs/decisions/0004).
"""

from collections.abc import Collection, Iterable, Sequence
from hashlib import sha256

import msgspec


class _Line(msgspec.Struct):
    body: str


def digest_bodies(bodies: Sequence[str]) -> str:
    """The name of an object that holds these bodies."""
    return sha256("\n".join(bodies).encode("utf-8", "surrogatepass")).hexdigest()


def pack_bodies(bodies: Iterable[str]) -> bytes:
    """The bodies as one object, a line each."""
    return b"".join(msgspec.json.encode(_Line(body)) + b"\n" for body in bodies)


def unpack_bodies(data: bytes) -> list[str | ValueError]:
    """The bodies of an object; in place of a line that is damaged, what is wrong with it."""
    return [_parse_line(line) for line in data.split(b"\n") if line]


def _parse_line(line: bytes) -> str | ValueError:
    try:
        return msgspec.json.decode(line, type=_Line).body
    except (msgspec.DecodeError, UnicodeError) as error:
        return ValueError(str(error))


def remove_bodies(data: bytes, bodies: Collection[str]) -> bytes:
    """The object without the lines of these bodies; the other lines, damaged ones too, stay as they are."""
    gone = {line for line in data.split(b"\n") if line and _parse_line(line) in bodies}
    return b"\n".join(line for line in data.split(b"\n") if line not in gone)
