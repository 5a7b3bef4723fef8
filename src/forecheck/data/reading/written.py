"""What a user says about how a file is written."""

from __future__ import annotations

from dataclasses import dataclass

from forecheck.errors import UsageError

_DELIMITERS = {"tab": "\t", "\\t": "\t", "space": " ", "spaces": " ", "comma": ",", "semicolon": ";", "bar": "|"}
_THOUSANDS = {"comma": ",", "point": ".", "space": " ", "apostrophe": "'"}


@dataclass(frozen=True)
class Written:
    """How cells, columns and numbers are written; None where it is to be found.

    Attributes:
        header: whether the first line holds names.
        decimal: `.` or `,`.
        thousands: what parts groups of three digits: `,`, `.`, a space or `'`.
        delimiter: what parts two cells; one character, or the words tab and space (any number of spaces).
        skip: lines before the header, or before the data where there is none.

    Raises:
        UsageError: if one of them is none of these, or decimal and thousands are alike.
    """

    header: bool | None = None
    decimal: str | None = None
    thousands: str | None = None
    delimiter: str | None = None
    skip: int | None = None

    def __post_init__(self) -> None:
        if self.delimiter is not None:
            object.__setattr__(self, "delimiter", _DELIMITERS.get(self.delimiter, self.delimiter))
            assert self.delimiter is not None
            if len(self.delimiter) != 1 or self.delimiter.isalnum() or self.delimiter in '"\r\n.':
                raise UsageError(f"no delimiter: {self.delimiter!r}", "Use one of , ; | tab space.")
        if self.decimal not in (None, ".", ","):
            raise UsageError(f"no decimal mark: {self.decimal!r}", "Use . or ,")
        if self.thousands is not None:
            object.__setattr__(self, "thousands", _THOUSANDS.get(self.thousands, self.thousands))
            if self.thousands not in _THOUSANDS.values():
                raise UsageError(f"no mark of thousands: {self.thousands!r}", "Use one of , . ' space.")
            if self.decimal is None and self.thousands in (".", ","):
                object.__setattr__(self, "decimal", "," if self.thousands == "." else ".")
        if self.decimal is not None and self.decimal == self.thousands:
            raise UsageError(f"decimals and thousands cannot both be written with {self.decimal!r}")
        if self.skip is not None and self.skip < 0:
            raise UsageError(f"the lines to skip are a whole number from 0, got {self.skip}")

    @property
    def of_file(self) -> bool:
        """Whether anything is said that only a text file has."""
        return self.header is not None or self.delimiter is not None or self.skip is not None
