"""The common judge: a claim is held against bounds in every setting; all settings together say what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from forecheck.papers.claim import Estimate, Measured, Outcome, Table, Verdict
from forecheck.papers.experiment import Experiment, Row
from forecheck.papers.judging import both, holds, mean, mean_estimate, verdict_of
from forecheck.papers.plots import bars
from forecheck.papers.rows import grouped

Rows = Sequence[Row]
"""Of one setting: they differ in their draw alone."""
Of = str | Callable[[Row], Any]
"""A number of a row, by name or by function."""
Bound = float | Callable[[Rows], float] | None


def span(values: Sequence[float], how: str) -> str:
    """`12% to 34%`."""
    low, high = format(min(values), how), format(max(values), how)
    return low if low == high else f"{low} to {high}"


def table(head: str, rows: Sequence[Sequence[Any]]) -> Table:
    """A table whose columns are named in one line: `width | distance`."""
    return Table(head.split(" | "), rows)


def estimates(of: Mapping[str, Estimate]) -> list[list[Any]]:
    """Rows of a table: name, value, low and high."""
    return [[name, *vars(each).values()] for name, each in of.items()]


@dataclass(frozen=True)
class Column:
    """One quantity of every setting.

    Attributes:
        head: names of its cells, ` | ` between them: of an estimate's value alone, or of its value, low and high; of
            as many cells as `measure` gives in a list. Empty if the table does not show it.
        measure: of the rows of a setting: an estimate, a number, a word, or a list of them.
        above, below: the bounds that the claim sets for it, if any; numbers, or functions of the rows.
        where: of which settings the bounds decide.
    """

    head: str
    measure: Callable[[Rows], Any]
    above: Bound = None
    below: Bound = None
    where: Callable[[Rows], bool] = lambda _: True

    def check(self, rows: Rows, value: Any) -> list[bool | None]:
        """Whether the bounds hold; nothing if there are none, or none here."""
        if (self.above is None and self.below is None) or not self.where(rows):
            return []
        above, below = (each(rows) if callable(each) else each for each in (self.above, self.below))
        return [holds(_estimate(value), above=above, below=below)]

    def heads(self, values: Sequence[Any]) -> list[str]:
        """The names of its cells."""
        if not self.head:
            return []
        return [self.head] if values and len(self.cells(values[0])) == 1 else self.head.split(" | ")

    def cells(self, value: Any) -> list[Any]:
        """The cells of a row of the table."""
        if not self.head:
            return []
        if isinstance(value, Estimate):
            return [value.value, value.low, value.high] if self.head.count(" | ") == 2 else [value.value]
        return list(value) if isinstance(value, list) else [value]


class Values(list[Any]):
    """A column over all settings; in a format `span`, `each`, `list`, `least`, `most`, `first` or `last`, then how.

    `{share:span .0%}` is `12% to 34%`, `{share:each .1f}` is `1.2 (unit), 3.4 (flat)`.
    """

    labels: Sequence[str] = ()

    @property
    def numbers(self) -> list[float]:
        """Values without intervals."""
        return [_estimate(each).value for each in self]

    def pick(self, which: str) -> Estimate:
        """The first, last, least or most of them."""
        if which in ("first", "last"):
            return _estimate(self[0 if which == "first" else -1])
        return _estimate((min if which == "least" else max)(self, key=lambda each: _estimate(each).value))

    def __format__(self, spec: str) -> str:
        what, _, how = spec.partition(" ")
        words = [format(number, how) for number in self.numbers]
        if what == "span":
            return span(self.numbers, how)
        if what == "each":
            return ", ".join(f"{word} ({label})" for word, label in zip(words, self.labels, strict=True))
        return ", ".join(words) if what == "list" else format(self.pick(what).value, how)


@dataclass(frozen=True)
class Found:
    """What a judge has worked out: the rows of every setting, the columns by name, and what the bounds say."""

    groups: Sequence[Rows]
    columns: Mapping[str, Values]
    measured: Measured
    held: Sequence[bool | None] = ()

    def __getitem__(self, name: str) -> Values:
        return self.columns[name]

    @property
    def labels(self) -> list[str]:
        """What the settings are called."""
        return [str(label) for label in next(iter(self.columns.values()))]

    @property
    def rows(self) -> list[Row]:
        """The rows of all settings."""
        return [row for group in self.groups for row in group]


Charts = Callable[[Found], Sequence[Mapping[str, Any]]]


@dataclass(frozen=True)
class BySetting:
    """Judge of a claim that is tested in several settings, by the same bounds in each.

    Attributes:
        groups: the rows of every setting, see `settings`.
        columns: by name, the first one what the settings are called.
        found: a sentence with its numbers: a template with the columns by name, see `Values`, or a function.
        ours: our number: which of a column's settings, such as `first ratio`, or a function.
        charts: drawings.
        together: a setting holds if all of its bounds do, else every bound counts by itself.
        also: checks beside the bounds of columns.
    """

    groups: Callable[[Measured], Sequence[Rows]]
    columns: Mapping[str, Column]
    found: str | Callable[[Found], str]
    ours: str | Callable[[Found], Estimate | None]
    charts: Charts = lambda _: ()
    together: bool = False
    also: Callable[[Found], Sequence[bool | None]] = lambda _: ()

    def __call__(self, measured: Measured) -> Outcome:
        """The outcome of what was measured."""
        groups = self.groups(measured)
        columns = {name: Values(each.measure(rows) for rows in groups) for name, each in self.columns.items()}
        cells: list[list[Any]] = []
        held: list[bool | None] = []
        for k, rows in enumerate(groups):
            checks = [check for name, each in self.columns.items() for check in each.check(rows, columns[name][k])]
            held += [both(*checks)] if checks and self.together else checks
            cells.append([cell for name, each in self.columns.items() for cell in each.cells(columns[name][k])])
        found = Found(groups, columns, measured, held)
        for each in columns.values():
            each.labels = found.labels
        heads = [head for name, each in self.columns.items() for head in each.heads(columns[name])]
        return Outcome(
            verdict_of([*held, *self.also(found)]),
            self.found.format(**columns, held=held) if isinstance(self.found, str) else self.found(found),
            self._ours(found),
            Table(heads, cells),
            self.charts(found),
        )

    def _ours(self, found: Found) -> Estimate | None:
        if callable(self.ours):
            return self.ours(found)
        which, _, name = self.ours.partition(" ")
        return found[name].pick(which)


def settings(
    *experiments: Experiment, by: Sequence[str] = (), where: Callable[[Row], bool] = lambda _: True
) -> Callable[[Measured], Sequence[Rows]]:
    """What finds the rows of every setting.

    Args:
        experiments: whose rows.
        by: names of what makes a setting; without them every row is one.
        where: which rows.
    """

    def found(measured: Measured) -> Sequence[Rows]:
        rows = [row for each in experiments for row in measured[each.name] if where(row)]
        return [*grouped(rows, *by).values()] if by else [[row] for row in rows]

    return found


def shared(head: str, name: str) -> Column:
    """What the rows of a setting share."""
    return Column(head, lambda rows: rows[0][name])


def named(template: str, head: str = "setting") -> Column:
    """What a setting is called, by its first row: `{form} {gamma:g}`."""
    return Column(head, lambda rows: template.format(**rows[0]))


def average(head: str, of: Of) -> Column:
    """Mean over the rows of a setting, no interval."""
    return Column(head, lambda rows: mean(read(rows, of)))


def estimated(
    head: str, of: Of, above: Bound = None, below: Bound = None, where: Callable[[Rows], bool] = lambda _: True
) -> Column:
    """Mean over the rows of a setting with its interval.

    Args:
        head: names of its cells, ` | ` between them: of the value alone, or of value, low and high.
        of: a number of every row, by name or by function.
        above: what the mean exceeds by the claim, if anything; a number, or a function of the rows.
        below: what exceeds the mean by the claim, if anything; a number, or a function of the rows.
        where: of which settings the bounds decide.
    """
    return Column(head, lambda rows: mean_estimate(read(rows, of)), above, below, where)


def overall(of: Of) -> Callable[[Found], Estimate]:
    """Mean over the rows of all settings, with its interval."""
    return lambda found: mean_estimate(read(found.rows, of))


def read(rows: Iterable[Row], of: Of) -> list[Any]:
    """A number of every row."""
    return [of(row) if callable(of) else row[of] for row in rows]


def bar_chart(title: str, y_label: str, series: Mapping[str, str]) -> Charts:
    """Bars by setting: columns, by what they are called in the legend.

    Args:
        title: what is drawn.
        y_label: of the axis, with its unit.
        series: by its name in the legend, the column that is drawn.
    """
    return lambda found: [
        bars(title, y_label, found.labels, [(label, found[name].numbers) for label, name in series.items()])
    ]


def equality(
    experiment: Experiment, of: Of, most: float, found: str, head: str = "", names: str = ""
) -> Callable[[Measured], Outcome]:
    """Judge of a claim that two ways to a number agree.

    Args:
        experiment: whose rows.
        of: the difference of a row.
        most: from which on it is more than rounding.
        found: a sentence, with the largest difference under `worst`.
        head: of the table, see `table`; none without it.
        names: what the rows have in its columns, ` | ` between them; those of the head if not given.
    """

    def judge(measured: Measured) -> Outcome:
        rows = measured[experiment.name]
        worst = max(read(rows, of))
        keys = (names or head).split(" | ")
        return Outcome(
            Verdict.CONFIRMED if worst < most else Verdict.REFUTED,
            found.format(worst=worst),
            Estimate(worst),
            table(head, [[row[key] for key in keys] for row in rows]) if head else None,
        )

    return judge


def _estimate(value: Any) -> Estimate:
    return value if isinstance(value, Estimate) else Estimate(value)
