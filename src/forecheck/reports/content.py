"""What stands in a report, in words and cells; every renderer only sets it on its page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from forecheck.reports import numbers

Json = Mapping[str, Any]

FAMILIES = {
    "raw": "The model",
    "retrained": "Retrained arms",
    "post-hoc": "Post-hoc edits",
    "reference": "References",
}
SUBJECTS = {
    "retrained": ("Retrained arms", "what the architecture needs"),
    "post-hoc": ("Post-hoc edits", "what this checkpoint relies on"),
    "references": ("References", "what models without attention achieve"),
    "harness": ("Harness", "whether the comparison is fair"),
}
SYMBOLS = {"helps": "▲", "hurts": "▼", "better": "▲", "worse": "▼", "no difference": "=", "undecided": "?"}
SYMBOLS |= {"pass": "✓", "fail": "✗", "not applicable": "–"}


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


@dataclass(frozen=True)
class Key:
    """One of the few numbers that stand right below the verdict."""

    label: str
    value: str
    detail: str = ""
    outcome: str = ""
    why: str = ""


@dataclass(frozen=True)
class Subject:
    """The findings of one family."""

    title: str
    about: str
    findings: list[Json] = field(default_factory=list)


def where(data: Json) -> str:
    """`patchtst on ETTh1, lookback 336, horizon 96`."""
    protocol = data.get("protocol", {})
    subject = f"{protocol['model']} on {protocol.get('data')}" if protocol.get("model") else str(protocol.get("data"))
    lengths = [f"{name} {protocol[name]}" for name in ("lookback", "horizon") if protocol.get(name) is not None]
    return ", ".join([subject, *lengths])


def verdict(data: Json) -> dict[str, Any]:
    """The verdict of an audit as it is; of a backtest, made from its winner."""
    if data["kind"] == "audit":
        return dict(data.get("verdict", {}))
    winner = data.get("winner") or {}
    model, protocol = winner.get("model"), data.get("protocol", {})
    if model is None:
        sentence = f"No model wins: {winner.get('rule') or 'none could be chosen'} ({where(data)})."
    else:
        sentence = f"Forecast with {model}: {winner.get('rule')} ({where(data)})."
    return {"outcome": model, "sentence": sentence, "margin": protocol.get("margin"), "advice": ""}


def outcome_word(outcome: str | None, family: str | None = None) -> str:
    """The outcome as it is shown: a reference is not helped or hurt, it is worse or better than the model."""
    if family in {"reference", "references"}:
        return {"helps": "worse", "hurts": "better"}.get(outcome or "", outcome or "")
    return outcome or ""


def keys(data: Json) -> list[Key]:
    """The few numbers that stand right below the verdict."""
    return _audit_keys(data) if data["kind"] == "audit" else _backtest_keys(data)


def subjects(data: Json) -> list[Subject]:
    """The findings by family, a family with an error first."""
    found = list(data.get("findings", []))
    names = [*SUBJECTS, *{str(each.get("family")) for each in found} - set(SUBJECTS)]
    groups = [(name, [each for each in found if str(each.get("family")) == name]) for name in names]
    groups.sort(key=lambda group: all(each.get("severity") != "error" for each in group[1]))
    return [Subject(*SUBJECTS.get(name, (name, "")), part) for name, part in groups if part]


def statistics(finding: Json) -> list[tuple[str, str]]:
    """The numbers behind a finding, those that are known."""
    value, bounds = finding.get("effect"), finding.get("interval")
    cross = finding.get("cross_check") or [None, None, None]
    facts = [
        ("change of test MSE", numbers.effect(value, bounds) if numbers.known(value) else ""),
        ("margin", numbers.margin(finding.get("margin")) if numbers.known(value) else ""),
        ("smallest margin that would say “no difference”", numbers.bound(finding.get("smallest_margin"))),
        ("p", numbers.p_value(finding.get("p")).removeprefix("p ").removeprefix("= ")),
        ("seeds", numbers.count(finding.get("seeds")) if numbers.known(value) else ""),
        ("effective blocks", numbers.count(finding.get("blocks"))),
        ("on windows that do not overlap", numbers.effect(cross[0], cross[1:])),
    ]
    return [(name, text) for name, text in facts if text and text != numbers.NOTHING]


def arms_table(data: Json) -> Table:
    """Every arm with its losses and its effect against the model."""
    arms = [arm for family in FAMILIES for arm in data.get("arms", []) if arm.get("family") == family]
    cells = {name: numbers.losses([arm.get(name) for arm in arms]) for name in _LOSSES}
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
        Group(title, [row for arm, row in zip(arms, rows, strict=True) if arm.get("family") == family])
        for family, title in FAMILIES.items()
    ]
    columns = [
        Column("arm"),
        *(Column(name, right=True) for name in ("MSE", "MAE", "effect on MSE")),
        Column("outcome"),
        *(Column(name, right=True, wide=name != "time") for name in ("seeds", "time", *_WIDE)),
    ]
    note = f"Losses on the test windows, {_units(data)}. Effect: the change of test MSE against the model; above zero "
    note += "the arm is worse than the model."
    return _without_empty(Table("All arms", columns, [group for group in groups if group.rows], note))


def models_table(data: Json) -> Table:
    """The models of a backtest, the best first."""
    models = sorted(data.get("table", []), key=lambda row: (row.get("mse") is None, row.get("mse")))
    cells = {name: numbers.losses([row.get(name) for row in models]) for name in _LOSSES}
    rows = [
        [
            str(row.get("model")),
            *(cells[name][k] for name in ("mse", "mae")),
            numbers.seconds(row.get("seconds")),
            numbers.count(row.get("seeds")),
            *(cells[name][k] for name in ("validation_mse", "mse_real", "mae_real")),
            numbers.count(row.get("parameters")),
            written(row.get("options")),
        ]
        for k, row in enumerate(models)
    ]
    columns = [
        Column("model"),
        *(Column(name, right=True) for name in ("MSE", "MAE", "time")),
        *(Column(name, right=True, wide=True) for name in ("seeds", *_WIDE)),
        Column("options", wide=True),
    ]
    return _without_empty(Table("Models", columns, [Group("", rows)], f"Losses on the test windows, {_units(data)}."))


def pairs_table(data: Json) -> Table:
    """Each comparison of a backtest."""
    rows = [
        [
            f"{pair.get('model')} against {pair.get('reference')}",
            numbers.effect(pair.get("effect"), pair.get("interval")),
            pair.get("outcome") or numbers.NOTHING,
            numbers.bound(pair.get("smallest_margin")),
            numbers.p_value(pair.get("p")).removeprefix("p ").removeprefix("= "),
            str(pair.get("why") or ""),
        ]
        for pair in data.get("pairs", [])
    ]
    columns = [Column("models"), Column("effect on MSE", right=True), Column("outcome")]
    columns += [Column("smallest margin", right=True, wide=True), Column("p", right=True, wide=True)]
    note = "Effect: the change of test MSE from the second model to the first; the outcome is the first model's. "
    note += f"Margin {numbers.margin(data.get('protocol', {}).get('margin'))}."
    return _without_empty(Table("Pairs", [*columns, Column("why", wide=True)], [Group("", rows)], note))


def horizon_table(data: Json, parts: int = 4) -> Table:
    """The loss of every curve over `parts` stretches of the horizon."""
    curves = (data.get("horizon") or {}).get("curves") or []
    steps = max((len(curve.get("mse") or []) for curve in curves), default=0)
    parts = max(min(parts, steps), 1)
    edges = [steps * k // parts for k in range(parts + 1)]
    spans = list(zip(edges, edges[1:], strict=False))
    means = [[_mean((curve.get("mse") or [])[low:high]) for low, high in spans] for curve in curves]
    cells = numbers.losses([value for row in means for value in row])
    rows = [[curve_name(curve), *cells[k * parts : (k + 1) * parts]] for k, curve in enumerate(curves)]
    names = [f"{low + 1}–{high}" if high - low > 1 else str(high) for low, high in spans]
    columns = [Column("steps"), *(Column(name, right=True) for name in names)]
    return Table("Test MSE by stretch of the horizon", columns, [Group("", rows)] if rows and steps else [])


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
        Column("part"),
        Column("first"),
        Column("last"),
        Column("rows", right=True),
        Column("windows", right=True),
    ]
    return _without_empty(Table("Borders", columns, [Group("", rows)]))


def protocol_facts(data: Json) -> list[tuple[str, str]]:
    """How the numbers were made, one fact a line; keys of later versions are shown as they are."""
    protocol = dict(data.get("protocol", {}))
    protocol.pop("borders", None)
    special = {
        "channels": lambda names: f"{len(names)}: {listing(names)}",
        "fills": lambda fills: written(fills) or "none",
        "rows": numbers.count,
        "margin": numbers.margin,
        "level": lambda level: f"{100 * level:g} % intervals",
        "seconds": numbers.seconds,
        "seeds": lambda seeds: written(seeds),
    }
    names = {"level": "confidence", "seconds": "time", "config": "configuration", "adapter": "attention"}
    facts = []
    for name, value in protocol.items():
        if value is None:
            continue
        facts.append((names.get(name, name), special[name](value) if name in special else written(value)))
    return [(name, text) for name, text in facts if text]


def environment_facts(data: Json) -> list[tuple[str, str]]:
    """The versions and the machine."""
    made = [("forecheck", str(data.get("forecheck"))), ("created", numbers.instant(data.get("created")))]
    return made + [(str(name), written(value)) for name, value in (data.get("environment") or {}).items()]


def written(value: Any, limit: int = 300) -> str:
    """A value as `name value, name value`, cut at `limit` characters."""
    if isinstance(value, Mapping):
        text = ", ".join(f"{name} {written(part, limit)}" for name, part in value.items())
    elif isinstance(value, (list, tuple)):
        text = ", ".join(written(part, limit) for part in value)
    elif isinstance(value, float):
        text = f"{value:g}"
    else:
        text = "" if value is None else str(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def listing(names: Sequence[Any], limit: int = 12) -> str:
    """The first names, and how many more there are."""
    shown = ", ".join(str(name) for name in names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit:,} more"


def details(finding: Json, limit: int = 2000) -> str:
    """The details of a finding as JSON, cut at `limit` characters."""
    if not finding.get("details"):
        return ""
    text = json.dumps(finding["details"], indent=1, ensure_ascii=False)
    return text if len(text) <= limit else f"{text[:limit]}\n… the rest is in the JSON report"


_LOSSES = ("mse", "mae", "validation_mse", "mse_real", "mae_real")
_WIDE = ("validation MSE", "MSE, real units", "MAE, real units", "parameters")


def _audit_keys(data: Json) -> list[Key]:
    said, shown = data.get("verdict", {}), []
    titles = {"architecture": "Retrained without attention", "checkpoint": "This checkpoint without attention"}
    for name, title in titles.items():
        answer = said.get(name)
        if answer:
            detail = " · ".join(part for part in (_range(answer), str(answer.get("arm") or ""), _seeds(answer)) if part)
            shown.append(_key(title, answer, detail, outcome_word(answer.get("outcome"))))
    linear = said.get("linear")
    if linear:
        time = f"fits in {numbers.seconds(linear.get('seconds'))}" if numbers.known(linear.get("seconds")) else ""
        detail = " · ".join(part for part in (_range(linear), time) if part)
        shown.append(
            _key(f"{linear.get('name')} instead", linear, detail, outcome_word(linear.get("outcome"), "reference"))
        )
    raw = next((arm for arm in data.get("arms", []) if arm.get("family") == "raw"), None)
    if raw:
        shown.append(
            Key(f"Test MSE of {raw.get('label')}", numbers.loss(raw.get("mse")), f"MAE {numbers.loss(raw.get('mae'))}")
        )
    return shown


def _backtest_keys(data: Json) -> list[Key]:
    models = data.get("table", [])
    winner = next((row for row in models if row.get("model") == (data.get("winner") or {}).get("model")), None)
    shown = []
    if winner:
        shown.append(
            Key(
                f"Test MSE of {winner['model']}",
                numbers.loss(winner.get("mse")),
                f"MAE {numbers.loss(winner.get('mae'))}",
            )
        )
        shown.append(
            Key(
                "Time to fit",
                numbers.seconds(winner.get("seconds")),
                f"{numbers.count(winner.get('parameters'))} parameters",
            )
        )
    better = sum(pair.get("outcome") == "better" for pair in data.get("pairs", []))
    undecided = sum(pair.get("outcome") == "undecided" for pair in data.get("pairs", []))
    shown.append(Key("Models compared", numbers.count(len(models)), f"{better} better, {undecided} undecided"))
    shown.append(Key("Margin", numbers.margin(data.get("protocol", {}).get("margin")), "of test MSE"))
    return shown


def _key(title: str, answer: Json, detail: str, outcome: str) -> Key:
    digits = numbers.effect_digits(answer.get("effect"), answer.get("interval"))
    return Key(title, numbers.percent(answer.get("effect"), digits), detail, outcome, str(answer.get("why") or ""))


def _range(answer: Json) -> str:
    return numbers.interval(answer.get("interval"), numbers.effect_digits(answer.get("effect"), answer.get("interval")))


def _seeds(answer: Json) -> str:
    seeds = answer.get("seeds")
    return f"{seeds} seed{'s' if seeds != 1 else ''}" if numbers.known(seeds) else ""


def _units(data: Json) -> str:
    return str(data.get("protocol", {}).get("units") or "in the units of the data")


def _mean(values: Sequence[numbers.Number]) -> float | None:
    finite = [value for value in values if value is not None and numbers.known(value)]
    return sum(finite) / len(finite) if finite else None


def _without_empty(table: Table) -> Table:
    """The table without the columns that say nothing in any row."""
    said = [k == 0 or any(row[k] not in {"", numbers.NOTHING} for row in table.rows) for k in range(len(table.columns))]

    def kept(cells: Iterable[Any]) -> list[Any]:
        return [cell for cell, keep in zip(cells, said, strict=True) if keep]

    groups = [Group(group.title, [kept(row) for row in group.rows]) for group in table.groups]
    return Table(table.caption, kept(table.columns), groups, table.note)
