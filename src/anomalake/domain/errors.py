"""Errors whose text is written for people: it says what is wrong, where, and what to do."""

MAX_REASON_CHARACTERS = 2_000


class UserError(Exception):
    """An error that a person can fix: in a metric set, a file, a query or an option."""


class UsageError(UserError):
    """Command-line options that cannot be combined."""


class AlertError(Exception):
    """An alert that cannot be read, or that no metric set accepts.

    The text is cut to `MAX_REASON_CHARACTERS`, because it may quote the alert.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason if len(reason) <= MAX_REASON_CHARACTERS else f"{reason[: MAX_REASON_CHARACTERS - 1]}…")
