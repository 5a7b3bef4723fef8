"""The errors that a user is meant to read."""

from __future__ import annotations


class ForecheckError(ValueError):
    """What is wrong, where, and what to do about it.

    Args:
        message: what is wrong and where (file, column, row or time).
        remedy: what the user can do; printed indented below the message.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message if not remedy else f"{message}\n  {remedy}")
        self.message = message
        self.remedy = remedy


class DataError(ForecheckError):
    """The data cannot be used as they are."""


class UsageError(ForecheckError):
    """A name, option or combination of options that does not exist."""


class TrialError(RuntimeError):
    """A trial failed; the others' results are kept."""
