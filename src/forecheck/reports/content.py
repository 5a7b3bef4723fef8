"""What stands in a report, in words; every renderer only sets it on its page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from forecheck.reports import numbers
from forecheck.reports.commands import forecast_command

Json = Mapping[str, Any]

# Of arms: the title of each family. An arm of another family stands below the name of that family.
FAMILIES = {
    "raw": "The model",
    "retrained": "Retrained arms",
    "post-hoc": "Post-hoc edits",
    "perturbation": "Perturbations",
    "positions": "Positions",
    "patches": "Patch lengths",
    "heads": "Heads",
    "reference": "References",
}
# Of findings: the title of each family, and what it asks.
SUBJECTS = {
    "retrained": ("Retrained arms", "what the architecture needs"),
    "post-hoc": ("Post-hoc edits", "what this checkpoint relies on"),
    "positions": ("Positions and patches", "whether order reaches the forecast"),
    "heads": ("Heads", "which heads matter"),
    "representation": ("Representation", "what the layers do with tokens"),
    "references": ("References", "what models without attention achieve"),
    "black-box": ("Black box", "what any model shows from outside"),
    "data": ("Data", "what the series themselves allow"),
    "harness": ("Harness", "whether the comparison is fair"),
}
# Which arms belong to which findings, where the names differ.
_ARMS_OF: dict[str, tuple[str, ...]] = {
    "post-hoc": ("post-hoc", "perturbation"),
    "positions": ("positions", "patches"),
    "references": ("reference",),
}
SEVERITIES = ("error", "warning", "info")
SYMBOLS = {
    "helps": "▲",
    "hurts": "▼",
    "better": "▲",
    "worse": "▼",
    "grows": "▲",
    "shrinks": "▼",
    "does not grow": "=",
    "no difference": "=",
    "no worse": "=",
    "undecided": "?",
    "pass": "✓",
    "fail": "✗",
    "not applicable": "·",
    "confirmed": "✓",
    "refuted": "✗",
    "uneven": "~",
    "not testable here": "·",
}


@dataclass(frozen=True)
class Key:
    """One of the few numbers that stand right below the verdict.

    `effect` and `bounds` are the same number and interval unwritten, for a drawing; None if it is no effect.
    """

    label: str
    value: str
    interval: str = ""
    outcome: str = ""
    detail: str = ""
    why: str = ""
    effect: numbers.Number = None
    bounds: Sequence[numbers.Number] | None = None


@dataclass(frozen=True)
class Subject:
    """The findings of one family."""

    title: str
    about: str
    findings: list[Json] = field(default_factory=list)
    name: str = ""

    @property
    def arms(self) -> tuple[str, ...]:
        """The families of arms that these findings are about."""
        return _ARMS_OF.get(self.name, (self.name,))

    @property
    def applicable(self) -> list[Json]:
        """The findings that say something."""
        return [each for each in self.findings if each.get("outcome") != "not applicable"]

    @property
    def not_applicable(self) -> list[Json]:
        """The findings that could not be made here."""
        return [each for each in self.findings if each.get("outcome") == "not applicable"]

    @property
    def worst(self) -> str:
        """The worst severity among the findings."""
        given = {str(each.get("severity")) for each in self.findings}
        return next((severity for severity in SEVERITIES if severity in given), "info")

    @property
    def outcomes(self) -> list[tuple[str, int]]:
        """How many findings have each outcome, the most frequent first; those that do not apply at the end."""
        words = [outcome_word(each.get("outcome"), self.name) for each in self.findings]
        counted = Counter(word for word in words if word)
        return sorted(counted.items(), key=lambda one: (one[0] == "not applicable", -one[1]))


def where(data: Json) -> str:
    """`patchtst on ETTh1, lookback 336, horizon 96`."""
    protocol = data.get("protocol", {})
    subject = f"{protocol['model']} on {protocol.get('data')}" if protocol.get("model") else str(protocol.get("data"))
    lengths = [f"{name} {protocol[name]}" for name in ("lookback", "horizon") if protocol.get(name) is not None]
    return ", ".join([subject, *lengths])


def verdict(data: Json) -> dict[str, Any]:
    """The verdict of an audit as it is; of a backtest, made from its winner."""
    if data["kind"] == "audit":
        return dict(data.get("verdict") or {})
    winner, advice = data.get("winner") or {}, ""
    model, margin = winner.get("model"), data.get("protocol", {}).get("margin")
    if model is None:
        sentence = f"No model wins: {winner.get('rule') or 'none could be chosen'} ({where(data)})."
    else:
        sentence = f"Forecast with {model}: {winner.get('rule')} ({where(data)}; margin {numbers.margin(margin)})."
        advice = _forecast(data, str(model))
    return {"outcome": model, "sentence": sentence, "margin": margin, "advice": advice}


def _forecast(data: Json, model: str) -> str:
    """The command that forecasts with a model of a backtest; of another library's, its name."""
    protocol = data.get("protocol", {})
    row: Json = next((row for row in data.get("table") or [] if row.get("model") == model), {})
    beside: Json = protocol.get("beside", {}) if model == "combination" else {}
    model = "combination" if model == "combination:channels" else model
    if ":" in model:
        library, _, name = model.partition(":")
        return f"{name} of {library}, fitted on all rows"
    lookback = None if model == "combination" else row.get("lookback") or protocol.get("lookback")
    given = {"horizon": protocol.get("horizon"), "lookback": lookback, "period": protocol.get("period")}
    words = protocol.get("words", [str(protocol.get("data"))])
    return forecast_command(words, model, given, protocol.get("chosen", {}).get(model, {}), beside)


def outcome_word(outcome: str | None, family: str | None = None) -> str:
    """The outcome as it is shown: a reference is not helped or hurt, it is worse or better than the model."""
    if family in {"reference", "references"}:
        return {"helps": "worse", "hurts": "better"}.get(outcome or "", outcome or "")
    return outcome or ""


def keys(data: Json) -> list[Key]:
    """The few numbers that stand right below the verdict."""
    return [*effects(data), *losses(data)] if data["kind"] == "audit" else _backtest_keys(data)


def subjects(data: Json) -> list[Subject]:
    """The findings by family, a family with an error first."""
    found = list(data.get("findings") or [])
    names = list(dict.fromkeys([*SUBJECTS, *(str(each.get("family")) for each in found)]))
    groups = [(name, [each for each in found if str(each.get("family")) == name]) for name in names]
    groups.sort(key=lambda group: all(each.get("severity") != "error" for each in group[1]))
    return [Subject(*SUBJECTS.get(name, (name, "")), part, name) for name, part in groups if part]


def arm_families(data: Json) -> dict[str, str]:
    """The families of the arms with their titles, in the order they are shown."""
    there = dict.fromkeys(str(arm.get("family")) for arm in data.get("arms") or [])
    known = {name: title for name, title in FAMILIES.items() if name in there}
    return known | {name: name for name in there if name not in known}


def urgent(finding: Json) -> bool:
    """Whether somebody should look at it: a warning or an error."""
    return finding.get("severity") in {"warning", "error"}


def brief(finding: Json) -> str:
    """A finding that does not apply, on one line: `FC305 positions are used: the model has none`."""
    name = f"{finding.get('code')} {finding.get('title')}"
    return f"{name}: {finding['why']}" if finding.get("why") else name


def skipped(data: Json) -> str:
    """The checks that were not run, on one line, by the reason."""
    reasons: dict[str, list[str]] = {}
    for check in data.get("skipped") or []:
        reasons.setdefault(str(check.get("why") or ""), []).append(f"{check.get('code')} {check.get('title')}")
    parts = [", ".join(names) + (f" ({why})" if why else "") for why, names in reasons.items()]
    return f"Not run: {'; '.join(parts)}." if parts else ""


def statistics(finding: Json) -> list[tuple[str, str]]:
    """The numbers behind a finding, those that are known."""
    value, bounds = finding.get("effect"), finding.get("interval")
    facts = [
        ("change of test MSE", numbers.effect(value, bounds) if numbers.known(value) else ""),
        ("margin", numbers.margin(finding.get("margin")) if numbers.known(value) else ""),
        ("smallest margin for “no difference”", numbers.bound(finding.get("smallest_margin"))),
        *numbers.p_values(finding.get("p_values")).items(),
        ("seeds", numbers.count(finding.get("seeds")) if numbers.known(value) else ""),
        ("effective blocks", numbers.count(finding.get("blocks"))),
    ]
    return [(name, text) for name, text in facts if text and text != numbers.NOTHING]


def details(finding: Json, limit: int = 2000) -> str:
    """The details of a finding as JSON without what is drawn, cut at `limit` characters."""
    rest = {
        name: value
        for name, value in (finding.get("details") or {}).items()
        if name not in {"table", "chart", "charts"}
    }
    if not rest:
        return ""
    text = json.dumps(rest, indent=1, ensure_ascii=False)
    return text if len(text) <= limit else f"{text[:limit]}\n… the rest is in the JSON report"


def protocol_facts(data: Json) -> list[tuple[str, str]]:
    """How the numbers were made, one fact a line; keys of later versions are shown as they are."""
    special: dict[str, Callable[[Any], str]] = {
        "channels": lambda names: f"{len(names)}: {listing(names)}",
        "fills": lambda fills: written(fills) or "none",
        "rows": numbers.count,
        "margin": numbers.margin,
        "level": lambda level: f"{100 * level:g} % intervals",
        "seconds": numbers.seconds,
        "time": numbers.seconds,
        "looks": lambda counts: f"after {written(counts)} seeds",
        "harness": str,
    }
    names = {"level": "confidence", "seconds": "time", "config": "configuration", "adapter": "attention"}
    names |= {"time": "time allowed", "looks": "decided"}
    facts = [
        (names.get(name, name), special.get(name, written)(value))
        for name, value in data.get("protocol", {}).items()
        if value is not None and name not in {"borders", "search"}
    ]
    return [(name, text) for name, text in facts if text]


def options(data: Json) -> list[tuple[str, str]]:
    """The options of every model of a backtest that has any."""
    models = data.get("table") or []
    return [(str(row.get("model")), written(row["options"])) for row in models if row.get("options")]


def environment_facts(data: Json) -> list[tuple[str, str]]:
    """The versions and the machine."""
    made = [("forecheck", str(data.get("forecheck"))), ("created", numbers.instant(data.get("created")))]
    return made + [(str(name), written(value)) for name, value in (data.get("environment") or {}).items()]


def units(data: Json) -> str:
    """What the losses are measured in."""
    return str(data.get("protocol", {}).get("units") or "in the units of the data")


def written(value: Any, limit: int = 300) -> str:
    """A value as `name value, name value`, cut at `limit` characters."""
    if isinstance(value, Mapping):
        text = ", ".join(f"{name} {written(part, limit)}" for name, part in value.items())
    elif isinstance(value, (list, tuple)):
        text = ", ".join(written(part, limit) for part in value)
    elif isinstance(value, float):
        text = f"{value:g}"
    else:
        text = "none" if value is None else str(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def listing(names: Sequence[Any], limit: int = 12) -> str:
    """The first names, and how many more there are."""
    shown = ", ".join(str(name) for name in names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit:,} more"


def effects(data: Json) -> list[Key]:
    """What an audit's headline rests on: the model against the reference, attention retrained and edited."""
    said, shown = data.get("verdict") or {}, []
    reference = said.get("reference") or said.get("linear")
    if reference:
        time = f"fits in {numbers.seconds(reference['seconds'])}" if numbers.known(reference.get("seconds")) else ""
        outcome = outcome_word(reference.get("outcome"), "reference")
        if reference.get("beaten") is False and outcome == "undecided":
            outcome = "no worse"  # whether it is better or equal is open, and is not asked by the headline
        shown.append(_key(f"{reference.get('name') or 'a reference'} instead", reference, outcome, time))
    for name, title in (("architecture", "Retrained without attention"), ("checkpoint", "Edited after training")):
        answer = said.get(name)
        if answer:
            detail = " · ".join(part for part in (str(answer.get("arm") or ""), _seeds(answer)) if part)
            shown.append(_key(title, answer, outcome_word(answer.get("outcome")), detail))
    return shown


def losses(data: Json) -> list[Key]:
    """The losses of the model that an audit is about."""
    raw = next((arm for arm in data.get("arms") or [] if arm.get("family") == "raw"), None)
    return _losses(raw, "label")


def _backtest_keys(data: Json) -> list[Key]:
    models, pairs = data.get("table") or [], data.get("pairs") or []
    best = (data.get("winner") or {}).get("model")
    winner = next((row for row in models if row.get("model") == best), None)
    shown = _losses(winner, "model")
    if winner:
        size = f"{numbers.count(winner.get('parameters'))} parameters"
        shown.append(Key("Time to fit", numbers.seconds(winner.get("seconds")), detail=size))
    counted = [
        f"{sum(pair.get('outcome') == kind for pair in pairs)} {kind}" for kind in ("better", "worse", "undecided")
    ]
    shown.append(Key("Models compared", numbers.count(len(models)), detail=", ".join(counted) if pairs else ""))
    return shown


def instead(mode: object) -> str:
    """What attention is retrained as, in words: the identity, the mean, zero."""
    return "zero" if mode == "zero" else f"the {mode}"


def _losses(row: Json | None, name: str) -> list[Key]:
    if not row:
        return []
    mse, mae = numbers.loss(row.get("mse")), numbers.loss(row.get("mae"))
    return [Key(f"Test MSE of {row.get(name)}", mse, detail=f"MAE {mae}")]


def _key(title: str, answer: Json, outcome: str, detail: str) -> Key:
    value, bounds = answer.get("effect"), answer.get("interval")
    digits = numbers.effect_digits(value, bounds)
    why = str(answer.get("why") or "")
    written, interval = numbers.percent(value, digits), numbers.interval(bounds, digits)
    return Key(title, written, interval, outcome, detail, why, value, bounds)


def _seeds(answer: Json) -> str:
    seeds = answer.get("seeds")
    return f"{seeds} seed{'s' if seeds != 1 else ''}" if numbers.known(seeds) else ""
