"""What a calibration found, and how it is written down."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from scipy import stats

from forecheck.outputs import write_output


@dataclass(frozen=True)
class Check:
    """One number that has to keep a bound.

    Attributes:
        name: what was measured.
        bound: what it has to keep.
        value: the share that was found.
        low: lower end of its 95 % interval (Wilson).
        high: upper end.
        count: repetitions.
        above: the value has to be at least the bound; else at most.
        required: it passes or fails; else it is reported only.
        strict: the value itself has to keep the bound; else it fails only if its whole interval lies beyond it, which
            is for simulations whose number of repetitions is the budget's.
        whole: the whole interval has to keep the bound.
    """

    name: str
    bound: float
    value: float
    low: float
    high: float
    count: int
    above: bool = False
    required: bool = True
    strict: bool = True
    whole: bool = False

    @classmethod
    def share(cls, name: str, hits: int, count: int, bound: float, **kind: bool) -> Check:
        """A share of repetitions, with Wilson's interval (1927).

        Args:
            name: what was counted.
            hits: how often it was so.
            count: repetitions, at least 1.
            bound: of the share.
            **kind: above, required, strict and whole, see the class.
        """
        interval = stats.binomtest(hits, count).proportion_ci(0.95, "wilson")
        return cls(name, bound, hits / count, float(interval.low), float(interval.high), count, **kind)

    @property
    def passed(self) -> bool | None:
        """Whether the value keeps the bound; None if none is required."""
        if not self.required:
            return None
        if self.above:
            return (self.low if self.whole else self.value if self.strict else self.high) >= self.bound
        return (self.high if self.whole else self.value if self.strict else self.low) <= self.bound

    def cells(self) -> list[str]:
        """As a row of a table."""
        bound = f"{'at least' if self.above else 'at most'} {percent(self.bound)}" if self.required else ""
        interval = f"{percent(self.low)} to {percent(self.high)}"
        verdict = {True: "pass", False: "FAIL", None: "reported only"}[self.passed]
        return [self.name, bound, percent(self.value), interval, str(self.count), verdict]


CHECK_COLUMNS = ("what", "nominal", "ours", "95 % interval", "repetitions", "verdict")


@dataclass(frozen=True)
class Table:
    """Details behind the checks: text cells under named columns."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


@dataclass(frozen=True)
class Part:
    """One part of a calibration.

    Attributes:
        name: as chosen by `--only`.
        title: what it asks.
        about: how it was done.
        checks: numbers with bounds.
        tables: details.
        skipped: why it, or something of it, was not run; empty otherwise.
    """

    name: str
    title: str
    about: str
    checks: list[Check] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    skipped: str = ""


@dataclass(frozen=True)
class Calibration:
    """All parts, and where and how they were run.

    Attributes:
        parts: in order.
        environment: versions, machine, budget, seconds.
    """

    parts: list[Part]
    environment: dict[str, Any]

    @property
    def passed(self) -> bool:
        """Whether no required check failed."""
        return all(check.passed is not False for part in self.parts for check in part.checks)

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        parts = []
        for part in self.parts:
            checks = [asdict(check) | {"passed": check.passed} for check in part.checks]
            parts.append(asdict(part) | {"checks": checks})
        return {"kind": "calibration", "passed": self.passed, "environment": self.environment, "parts": parts}

    def to_json(self, path: Path | None = None) -> str:
        """As JSON; written to `path` if given."""
        return _written(json.dumps(self.to_dict(), indent=1) + "\n", path)

    def to_markdown(self, path: Path | None = None) -> str:
        """As GitHub's Markdown; written to `path` if given."""
        return _written("\n\n".join(self._blocks()) + "\n", path)

    def _blocks(self) -> Iterator[str]:
        yield "# Calibration"
        facts = ", ".join(f"{name} {value}" for name, value in self.environment.items())
        yield f"`forecheck calibrate` on known answers: {'all pass' if self.passed else 'NOT all pass'}.\n\n{facts}."
        for part in self.parts:
            yield f"## {part.title}"
            yield part.about
            if part.skipped:
                yield f"Not run: {part.skipped}"
            if part.checks:
                yield _markdown(CHECK_COLUMNS, [check.cells() for check in part.checks])
            for table in part.tables:
                yield f"### {table.title}"
                yield _markdown(table.columns, table.rows)
                if table.note:
                    yield table.note


def percent(value: float) -> str:
    """A share with as many digits as such counts have."""
    return f"{100 * value:.1f} %"


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _written(text: str, path: Path | None) -> str:
    if path is not None:
        write_output(path, text.encode("utf-8"))
    return text
