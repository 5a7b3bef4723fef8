"""The tables of a report as text cells, for every renderer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from forecheck.reports import numbers
from forecheck.reports.content import arm_families, instead, outcome_word, units, written

Json = Mapping[str, Any]

LOSSES = ("mse", "mae", "validation_mse", "mse_real", "mae_real")
REST = ("validation MSE", "MSE, real units", "MAE, real units", "parameters")


@dataclass(frozen=True)
class Column:
    """A column of a table; `wide` ones are left out where there is no room."""

    name: str
    right: bool = False
    wide: bool = False


@dataclass(frozen=True)
class Group:
    """Rows of a table under a common title, which may be empty."""

    title: str
    rows: list[list[str]]


@dataclass(frozen=True)
class Table:
    """Cells as text; the first column names the row."""

    caption: str
    columns: list[Column]
    groups: list[Group]
    note: str = ""

    @property
    def rows(self) -> list[list[str]]:
        """All rows, without the titles of their groups."""
        return [row for group in self.groups for row in group.rows]


def without_heads(data: Json) -> list[str]:
    """Families of arms for a page of text: an arm a head would bury the others, and FC601 has their numbers."""
    return [family for family in arm_families(data) if family != "heads"]


def arms_table(data: Json, families: Sequence[str] | None = None) -> Table:
    """Every arm, or those of the families named, with its losses and its effect against the model."""
    titles = {name: title for name, title in arm_families(data).items() if families is None or name in families}
    arms = [arm for family in titles for arm in data.get("arms") or [] if str(arm.get("family")) == family]
    cells = {name: numbers.losses([arm.get(name) for arm in arms]) for name in LOSSES}
    rows = [
        [
            str(arm.get("label")),
            *(cells[name][k] for name in ("mse", "mae")),
            numbers.effect(arm.get("effect"), arm.get("interval")),
            outcome_word(arm.get("outcome"), arm.get("family")) or numbers.NOTHING,
            numbers.count(arm.get("seeds")),
            numbers.seconds(arm.get("seconds")),
            *(cells[name][k] for name in ("validation_mse", "mse_real", "mae_real")),
            numbers.count(arm.get("parameters")),
        ]
        for k, arm in enumerate(arms)
    ]
    groups = [
        Group(title, [row for arm, row in zip(arms, rows, strict=True) if str(arm.get("family")) == family])
        for family, title in titles.items()
    ]
    columns = [
        Column("arm"),
        *(Column(name, right=True) for name in ("MSE", "MAE", "effect on MSE")),
        Column("outcome"),
        Column("seeds", right=True, wide=True),
        Column("time", right=True),
        *(Column(name, right=True, wide=True) for name in REST),
    ]
    note = f"Losses on the test windows, {units(data)}. Effect: the change of test MSE against the model; above zero "
    note += "the arm is worse than the model."
    return _without_empty(Table("All arms", columns, [group for group in groups if group.rows], note))


def remedies_table(data: Json) -> Table:
    """The remedies of an audit side by side, below the model without any; no rows if none were asked for."""
    found = data.get("remedies") or {}
    given = [found["base"], *found["rows"]] if found else []
    losses = numbers.losses([row.get("mse") for row in given])
    rows = [
        [
            str(row.get("name")),
            losses[k],
            *(answered(row.get(name)) for name in ("against_base", "contribution", "growth", "against_linear")),
            answered(row.get("over_mean")) if found.get("without") != "mean" else "",
            numbers.seconds(row.get("seconds")),
            numbers.count(row.get("parameters")),
            str((row.get("growth") or {}).get("why") or ""),
        ]
        for k, row in enumerate(given)
    ]
    columns = [
        Column("remedy"),
        Column("MSE", right=True),
        *(Column(name) for name in ("against no remedy", "attention's contribution", "grows?")),
        Column(f"against {found.get('linear') or 'linear'}"),
        Column("contribution over the plain mean", wide=True),
        *(Column(name, right=True, wide=True) for name in ("time", "parameters")),
        Column("why undecided whether it grows", wide=True),
    ]
    note = (
        "Contribution: by how much test MSE is higher when the same model is retrained with attention as "
        f"{instead(found.get('without'))}. Contributions and their growth are relative to the test MSE without a "
        "remedy, forecasts to that of what they are compared with: below zero the remedy's forecast is better."
    )
    return _without_empty(Table("Remedies", columns, [Group("", rows)], note))


def answered(answer: Json | None) -> str:
    """An outcome with its effect: `grows +2.1 % [+1.2, +3.0]`."""
    if not answer:
        return numbers.NOTHING
    return f"{answer.get('outcome')} {numbers.effect(answer.get('effect'), answer.get('interval'))}"


def models_table(data: Json) -> Table:
    """The leaderboard of a backtest, the best first."""
    models = sorted(data.get("table") or [], key=lambda row: (row.get("mse") is None, row.get("mse") or 0.0))
    cells = {name: numbers.losses([row.get(name) for row in models]) for name in LOSSES}
    against = [row.get("against_chosen") or {} for row in models]
    shared, refit = (data.get("protocol", {}).get(name) for name in ("lookback", "refit"))
    rows = [
        [
            str(row.get("model")),
            numbers.count(row.get("rank")),
            *(cells[name][k] for name in ("mse", "mae")),
            numbers.effect(against[k].get("effect"), against[k].get("interval")),
            "chosen on validation" if row.get("chosen") else against[k].get("outcome") or numbers.NOTHING,
            numbers.seconds(row.get("seconds")),
            numbers.count(row.get("lookback")) if shared is None else "",
            _fits(row) if refit else "",
            numbers.count(row.get("seeds")),
            *(cells[name][k] for name in ("validation_mse", "mse_real", "mae_real")),
            numbers.count(row.get("parameters")),
            written(row.get("options")),
        ]
        for k, row in enumerate(models)
    ]
    columns = [
        Column("model"),
        *(Column(name, right=True) for name in ("rank", "MSE", "MAE", "MSE against the chosen")),
        Column("outcome"),
        Column("time", right=True),
        *(Column(name, right=True, wide=True) for name in ("lookback", "fits", "seeds", *REST)),
        Column("options", wide=True),
    ]
    note = f"Losses on the test windows, {units(data)}."
    if any(against):
        note += " Outcomes are against the model that validation chose; ranks are by test MSE, which chose nothing."
    return _without_empty(Table("Leaderboard", columns, [Group("", rows)], note))


def _fits(row: Json) -> str:
    """How often a model was fitted in a backtest with refits."""
    if row.get("refits"):
        return numbers.count(1 + int(row["refits"]))
    return "once" if row.get("parameters") else "never"


def pairs_table(data: Json) -> Table:
    """Each comparison of a backtest."""
    rows = [
        [
            f"{pair.get('model')} against {pair.get('reference')}",
            numbers.effect(pair.get("effect"), pair.get("interval")),
            pair.get("outcome") or numbers.NOTHING,
            numbers.bound(pair.get("smallest_margin")),
            *numbers.p_values(pair.get("p_values")).values(),
            str(pair.get("why") or ""),
        ]
        for pair in data.get("pairs") or []
    ]
    columns = [
        Column("models"),
        Column("effect on MSE", right=True),
        Column("outcome"),
        *(Column(name, right=True, wide=True) for name in ("smallest margin", *numbers.p_values(None))),
        Column("why", wide=True),
    ]
    note = "Effect: the change of test MSE from the second model to the first; the outcome is the first model's. "
    note += f"Margin {numbers.margin(data.get('protocol', {}).get('margin'))}."
    return _without_empty(Table("Comparisons", columns, [Group("", rows)], note))


def horizon_table(data: Json, parts: int = 4) -> Table:
    """The loss of every curve over `parts` stretches of the horizon."""
    curves = [curve for curve in (data.get("horizon") or {}).get("curves") or [] if curve.get("mse")]
    steps = max((len(curve["mse"]) for curve in curves), default=0)
    edges = [steps * k // min(parts, max(steps, 1)) for k in range(min(parts, max(steps, 1)) + 1)]
    spans = list(pairwise(edges))
    means = [[_mean(curve["mse"][low:high]) for low, high in spans] for curve in curves]
    cells = numbers.losses([value for row in means for value in row])
    rows = [[curve_name(curve), *cells[k * len(spans) : (k + 1) * len(spans)]] for k, curve in enumerate(curves)]
    names = [f"{low + 1} to {high}" if high - low > 1 else str(high) for low, high in spans]
    columns = [Column("steps ahead"), *(Column(name, right=True) for name in names)]
    return Table("Test MSE along the horizon", columns, [Group("", rows)])


def curve_name(curve: Json) -> str:
    """The label of a curve, with its family where the label alone could be taken for another arm."""
    family = curve.get("family")
    return f"{curve.get('label')} ({family})" if family in {"retrained", "post-hoc"} else str(curve.get("label"))


def borders_table(data: Json) -> Table:
    """Which rows train, validate and test."""
    rows = [
        [
            str(part.get("part")),
            numbers.instant(part.get("first")),
            numbers.instant(part.get("last")),
            numbers.count(part.get("rows")),
            numbers.count(part.get("windows")),
        ]
        for part in data.get("protocol", {}).get("borders") or []
    ]
    columns = [
        *(Column(name) for name in ("part", "first", "last")),
        *(Column(name, right=True) for name in ("rows", "windows")),
    ]
    return _without_empty(Table("Borders", columns, [Group("", rows)]))


def sites_table(data: Json) -> Table:
    """Where attention sits in the model."""
    rows = [
        [
            numbers.count(site.get("layer")),
            str(site.get("path")),
            *(numbers.count(site.get(name)) for name in ("heads", "queries", "keys")),
        ]
        for site in data.get("sites") or []
    ]
    columns = [Column("layer"), Column("path"), *(Column(name, right=True) for name in ("heads", "queries", "keys"))]
    return _without_empty(Table("Attention sites", columns, [Group("", rows)]))


def finding_table(finding: Json, most: int = 100) -> Table:
    """The table in the details of a finding; no rows if there is none."""
    given = (finding.get("details") or {}).get("table")
    return given_table(given, f"{finding.get('code')} {finding.get('title')}", most)


def given_table(given: Any, caption: str, most: int = 100) -> Table:
    """A table of columns and rows as a finding or a claim hands it over; no rows if there is none.

    Args:
        given: with `columns` (names) and `rows` (cells); anything else makes an empty table.
        caption: of the table.
        most: rows that are shown; a note says how many more there are.
    """
    given = given if isinstance(given, Mapping) else {}
    names = [str(name) for name in given.get("columns") or []]
    given_rows = given.get("rows") or []
    cells = [_cells([row[k] if k < len(row) else "" for row in given_rows]) for k in range(1, len(names))]
    cells = [[_cell(row[0]) if row else "" for row in given_rows], *cells] if names else []
    rows = [list(row) for row in zip(*cells, strict=True)]
    columns = [Column(name, right=k > 0 and _numeric(rows, k)) for k, name in enumerate(names)]
    note = f"{len(rows) - most:,} more rows are in the JSON report." if len(rows) > most else ""
    return Table(caption, columns, [Group("", rows[:most])], note)


def without(table: Table, names: Iterable[str]) -> Table:
    """The table without the columns of these names."""
    left_out = set(names)
    return _selected(table, [column.name not in left_out for column in table.columns])


def _cells(column: Sequence[Any]) -> list[str]:
    """The cells of one column; broken numbers have the same decimals, so that they line up."""
    if any(isinstance(value, float) for value in column) and all(
        value is None or numbers.known(value) for value in column
    ):
        return numbers.losses(column)
    return [_cell(value) for value in column]


def _cell(value: Any) -> str:
    if numbers.known(value):
        return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
    return numbers.NOTHING if value is None or isinstance(value, float) else written(value)


def _numeric(rows: Sequence[Sequence[str]], k: int) -> bool:
    """Whether every cell of a column starts like a number."""
    return all(not row[k] or row[k] == numbers.NOTHING or row[k].lstrip("+-±")[:1].isdigit() for row in rows)


def _mean(values: Sequence[numbers.Number]) -> float | None:
    finite = [value for value in values if value is not None and numbers.known(value)]
    return sum(finite) / len(finite) if finite else None


def _without_empty(table: Table) -> Table:
    """The table without the columns that say nothing in any row."""
    said = [k == 0 or any(row[k] not in {"", numbers.NOTHING} for row in table.rows) for k in range(len(table.columns))]
    return _selected(table, said)


def _selected(table: Table, chosen: Sequence[bool]) -> Table:
    def kept(cells: list[Any]) -> list[Any]:
        return [cell for cell, keep in zip(cells, chosen, strict=True) if keep]

    groups = [Group(group.title, [kept(row) for row in group.rows]) for group in table.groups]
    return Table(table.caption, kept(table.columns), groups, table.note)
