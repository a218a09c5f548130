"""Text for people: on one line, within a length, without control characters."""


def replace_unprintable(text: str) -> str:
    """Replace each unprintable character by a space: line breaks, control characters, direction marks."""
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


def to_one_line(text: str, max_characters: int) -> str:
    """Return the text on one line, cut to `max_characters`.

    `${` becomes `$ {`, because CloudFormation reads `${...}` as a parameter.
    """
    line = " ".join(replace_unprintable(text).split()).replace("${", "$ {")
    return line if len(line) <= max_characters else f"{line[: max_characters - 1]}…"


def quote(text: str) -> str:
    """Return the text in quotes, for a message; double quotes if it contains a single quote.

    Unprintable characters become spaces.
    """
    mark = '"' if "'" in text and '"' not in text else "'"
    return f"{mark}{replace_unprintable(text)}{mark}"
