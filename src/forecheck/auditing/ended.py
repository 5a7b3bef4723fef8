"""What ended the search of an audit, or its rounds of seeds, and the time that would have let it go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from forecheck.auditing.budget import typed

By = Literal["", "converged", "decided", "doublings", "epochs", "time", "windows", "looks", "given"]


@dataclass(frozen=True)
class End:
    """What ended a search or rounds of seeds.

    Attributes:
        by: a search by `converged` (a fit twice as long gains nothing), `decided` (what it gains could not change the
            answer), `doublings` (as often as the budget doubles), `epochs` (the user chose them) or `time`; rounds by
            `decided`, `windows` (seeds would not decide it), `looks` (all that were declared), `time` or `given` (one
            trained model). Empty where there was none.
        needs: seconds that the audit would have had to be given for the next step, by what its fits took; None unless
            the time was the reason.
    """

    by: By = ""
    needs: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON types, the time as one types it."""
        return {"by": self.by or None, "time": None if self.needs is None else typed(self.needs)}

    @property
    def option(self) -> str:
        """The option that gives the time for the next step; empty if the time was not the reason."""
        return "" if self.needs is None else f"--time {typed(self.needs)}"
