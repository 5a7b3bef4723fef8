"""The errors that a user is meant to read."""

from __future__ import annotations

import errno
import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class ForecheckError(ValueError):
    """What is wrong, where, and what to do about it.

    Args:
        message: what is wrong and where (file, column, row or time).
        remedy: what the user can do; printed indented below the message.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        self.message, self.remedy = printable(message), printable(remedy)
        super().__init__(self.message if not remedy else f"{self.message}\n  {self.remedy}")


class DataError(ForecheckError):
    """The data cannot be used as they are."""


class UsageError(ForecheckError):
    """A name, option or combination of options that does not exist."""


class WriteError(ForecheckError):
    """Something could not be written: no space, no permission, a name that the file system does not take."""


class TrialError(RuntimeError):
    """A trial failed; the others' results are saved."""


NO_MEMORY = (
    "there is not enough memory\n  Give a shorter --lookback or --horizon, smaller options, or fewer --workers and "
    "columns; what was finished before is saved."
)


def lacks_memory(error: BaseException) -> bool:
    """Whether memory was refused: torch says so in words."""
    words = ("can't allocate memory", "out of memory")  # of the CPU, and of a GPU
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(each in str(error) for each in words)
    )


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Make a `WriteError` that names `path` of what the system refuses in a `with` block.

    Libraries that do not raise OSError say the system's number in words, as safetensors does: `(os error 28)`.
    """
    try:
        yield
    except BrokenPipeError:  # whoever read has gone, which is no fault
        raise
    except Exception as error:
        if not isinstance(error, OSError) and "os error" not in str(error):
            raise
        codes = system_codes(error)
        reason = getattr(error, "strerror", None) or str(error)
        raise WriteError(f"cannot write {path}: {reason}", _NO_SPACE if codes & _FULL else _NO_PLACE) from error


def system_codes(error: BaseException) -> set[int | None]:
    """The system's numbers of an error, also where a library says them in words."""
    return {getattr(error, "errno", None), *map(int, _NUMBERED.findall(str(error)))}


_NUMBERED = re.compile(r"os error (\d+)")
_NO_SPACE = (
    "What was finished before is saved. Free some space (forecheck runs --prune removes results that are no longer "
    "used), and run the same command again."
)
_NO_PLACE = "What was finished before is saved. Name another place, or mend this one, and run the same command again."


def printable(text: str) -> str:
    r"""The text with everything written out (`\x1b`) that a terminal would obey instead of showing.

    Those are control characters but tab and newline, and what turns the direction of text.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if character in "\t\n" or (unicodedata.category(character) not in ("Cc", "Cs") and character not in _TURNING):
        return character
    return character.encode("unicode_escape").decode()


_TURNING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2028\u2029\u2066\u2067\u2068\u2069"
