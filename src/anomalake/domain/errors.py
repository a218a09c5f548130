"""The errors a person is meant to read: what was wrong, where, and what would be right."""


class UserError(Exception):
    """Something a person can mend: a metric set, a file, a query, an option."""


class UsageError(UserError):
    """Options that do not go together."""
