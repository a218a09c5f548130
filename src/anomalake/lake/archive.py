"""The archive: the body of every alert as received. These pure functions pack bodies into objects, and read them back.

One object holds the alerts of a batch, metric set and date. Its name is the digest of its bodies, and it never changes.
If a body is delivered twice, two objects can hold it (docs/decisions/0004).
"""

from collections.abc import Collection, Iterable, Sequence
from hashlib import sha256

import msgspec


class _Line(msgspec.Struct):
    body: str


def digest_bodies(bodies: Sequence[str]) -> str:
    """Return the name of the object that holds these bodies: their SHA-256 digest."""
    return sha256("\n".join(bodies).encode("utf-8", "surrogatepass")).hexdigest()


def pack_bodies(bodies: Iterable[str]) -> bytes:
    """Return the bodies as one object, one line for each."""
    return b"".join(msgspec.json.encode(_Line(body)) + b"\n" for body in bodies)


def unpack_bodies(data: bytes) -> list[str | ValueError]:
    """Return the bodies of an object. A `ValueError` in the list describes a damaged line."""
    return [_parse_line(line) for line in data.split(b"\n") if line]


def _parse_line(line: bytes) -> str | ValueError:
    try:
        return msgspec.json.decode(line, type=_Line).body
    except (msgspec.DecodeError, UnicodeError) as error:
        return ValueError(str(error))


def remove_bodies(data: bytes, bodies: Collection[str]) -> bytes:
    """Return the object without the lines of these bodies. All other lines stay unchanged, damaged lines included."""
    removed = {line for line in data.split(b"\n") if line and _parse_line(line) in bodies}
    return b"\n".join(line for line in data.split(b"\n") if line not in removed)
