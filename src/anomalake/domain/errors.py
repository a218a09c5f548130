"""The errors a person is meant to read: what was wrong, where, and what would be right."""

MAX_REASON_CHARACTERS = 2_000


class UserError(Exception):
    """Something a person can mend: a metric set, a file, a query, an option."""


class UsageError(UserError):
    """Options that do not go together."""


class AlertError(Exception):
    """An alert that cannot be understood or belongs nowhere: why, and what would be right; cut where it quotes a text without end."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason if len(reason) <= MAX_REASON_CHARACTERS else f"{reason[: MAX_REASON_CHARACTERS - 1]}…")
