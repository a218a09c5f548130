"""Text that people read, on one line and within a length."""


def replace_unprintable(text: str) -> str:
    """The text on one line, with a blank for each character that is not printable (line breaks, control characters, marks of direction)."""
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


def to_one_line(text: str, most: int) -> str:
    """A text for people on one line, no longer than the services take it, and without what CloudFormation would take for a parameter."""
    line = " ".join(replace_unprintable(text).split()).replace("${", "$ {")
    return line if len(line) <= most else f"{line[: most - 1]}…"
