"""Remedies by name: what could make attention contribute, each as options of the forecaster that takes it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

from forecheck.errors import UsageError
from forecheck.forecasters import registry
from forecheck.forecasters.base import Forecaster, Task
from forecheck.forecasters.neural import NeuralForecaster
from forecheck.nn.attention import Attention


@dataclass(frozen=True)
class Remedy:
    """A change of model or training.

    Attributes:
        summary: what it changes, in a few words.
        options: of the forecaster, by name; they win over all others.
        source: paper and section, or this project.
        becomes: the forecaster that has these options in the place of one that has not, by name.
    """

    summary: str
    options: Mapping[str, Any]
    source: str
    becomes: Mapping[str, str] = field(default_factory=dict)


_CURSE = "Ke et al. 2025, arXiv 2412.06061, section 7.2"
_OURS = "this project"
_FAILS = "Zida et al. 2025, arXiv 2509.20942"
_CODED = MappingProxyType({"patchtst": "vq-patchtst", "differential": "vq-differential"})


def _codes(variant: str, summary: str, source: str = _OURS) -> Remedy:
    return Remedy(summary, {"embedding": variant}, source, _CODED)


REMEDIES: Mapping[str, Remedy] = MappingProxyType(
    {
        "linear": Remedy(
            "attention without softmax", {"kernel": "linear"}, "Katharopoulos et al. 2020, arXiv 2006.16236"
        ),
        "differential": Remedy(
            "the difference of two softmax patterns, normalised by head",
            {"kernel": "differential"},
            "Ye et al. 2024, arXiv 2410.05258",
        ),
        "differential-simplified": Remedy(
            "the difference of two softmax patterns, with one trained weight",
            {"kernel": "differential-simplified"},
            _CURSE,
        ),
        "log-sum-exp": Remedy(
            "softmax by log-sum-exp: a control, since it is softmax in exact arithmetic",
            {"kernel": "log-sum-exp"},
            "Liang 2024 (LATST), arXiv 2410.23749",
        ),
        "no-positions": Remedy("tokens without positions", {"positions": "none"}, f"{_FAILS}, section 3"),
        "sinusoidal": Remedy(
            "fixed codes of positions", {"positions": "sinusoidal"}, "Vaswani et al. 2017, section 3.5"
        ),
        "rope": Remedy(
            "queries and keys turned by their position", {"positions": "rope"}, "Su et al. 2021, arXiv 2104.09864"
        ),
        "score-bias": Remedy("a trained bias of scores for every key position", {"positions": "score-bias"}, _OURS),
        "recency": Remedy(
            "scores that fall with the distance to the last token",
            {"positions": "recency"},
            "Press et al. 2022 (ALiBi), arXiv 2108.12409",
        ),
        "conv-patches": Remedy("patches embedded by convolutions", {"embedding": "conv"}, _FAILS),
        "mlp-patches": Remedy("patches embedded by a residual MLP", {"embedding": "mlp"}, _FAILS),
        "vq": _codes("vq", "patches as codes of a trained encoder, frozen", f"{_FAILS}, appendix D"),
        "vq-tuned": _codes("vq-tuned", "the same, trained on through the forecast"),
        "vq-residual": _codes("vq-residual", "frozen codes and what they leave of a patch"),
        "vq-encoder": _codes("vq-encoder", "the frozen encoder without codes: a control"),
        "vq-kmeans": _codes("vq-kmeans", "codes that are k-means of raw patches: a control"),
        "vq-random": _codes("vq-random", "codes drawn at random: a control"),
        "drift-correction": Remedy(
            "what pushes all heads together is taken out of their gradients",
            {"correction": "drift", "correction_strength": 1.0},
            f"{_OURS}, after {_CURSE}",
        ),
        "local-score": Remedy(
            "a penalty on tokens that do not look at themselves",
            {"correction": "local", "correction_strength": 0.01},
            f"{_OURS}, after {_CURSE}",
        ),
        "entropy-floor": Remedy(
            "a penalty on patterns that look at very few tokens",
            {"correction": "entropy", "correction_strength": 0.01, "entropy_floor": 0.5},
            f"{_OURS}, after {_CURSE}",
        ),
        "weight-decay": Remedy("AdamW with a decay of 0.1", {"optimizer": "adamw", "weight_decay": 0.1}, _CURSE),
        "sgd": Remedy(
            "gradient descent with momentum instead of Adam",
            {"optimizer": "sgd", "momentum": 0.9, "lr": 0.05, "clip": 1.0},
            _CURSE,
        ),
        "sam": Remedy(
            "sharpness-aware minimisation, rho 0.5", {"sam": 0.5}, "Ilbert et al. 2024 (SAMformer), arXiv 2402.10198"
        ),
    }
)


def find_remedy(name: str) -> Remedy:
    """The remedy called `name`.

    Raises:
        UsageError: if there is none; the message names the nearest.
    """
    if name not in REMEDIES:
        near = difflib.get_close_matches(name, REMEDIES, n=1)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise UsageError(f"no remedy is called {name!r}", f"{hint}Known: {', '.join(REMEDIES)}.")
    return REMEDIES[name]


def remedied(
    name: str,
    model: str,
    task: Task,
    config: Mapping[str, Any],
    options: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> tuple[str, dict[str, Any]]:
    """The forecaster that `model` is with a remedy, most often itself, and all options of that one.

    Args:
        name: of the remedy.
        model: name of a forecaster.
        task: what it forecasts.
        config: its options without the remedy, all of them.
        options: by forecaster, those for one that `model` becomes.

    Raises:
        UsageError: if there is no such remedy or the forecaster cannot take it; the message names those that it can.
    """
    remedy, forecaster = find_remedy(name), registry.create(model, task, config)
    why_not = _why_not(remedy, forecaster)
    if not why_not:
        taker = _taker(remedy, forecaster).name
        own = options.get(taker, {}) if taker != model else {}
        try:
            return taker, asdict(registry.create(taker, task, {**config, **own, **remedy.options}).config)
        except UsageError as error:
            why_not = error.message
    others = accepted(forecaster)
    hint = f"It accepts: {', '.join(others)}." if others else "It accepts none."
    raise UsageError(f"{model} cannot take the remedy {name!r}: {why_not}", hint)


def accepted(forecaster: Forecaster) -> list[str]:
    """Names of the remedies that a forecaster has the options and the attention for, and is not like already."""
    return [name for name, remedy in REMEDIES.items() if not _why_not(remedy, forecaster)]


def _taker(remedy: Remedy, forecaster: Forecaster) -> type[Forecaster]:
    """Who has the options of a remedy: the forecaster itself, or the one that it becomes."""
    becomes = remedy.becomes.get(forecaster.name)
    return registry.find(becomes) if becomes else type(forecaster)


def _why_not(remedy: Remedy, forecaster: Forecaster) -> str:
    """What in a forecaster speaks against a remedy, "" if nothing does."""
    config, taker = asdict(forecaster.config), _taker(remedy, forecaster)
    if missing := [option for option in remedy.options if option not in registry.defaults(taker)]:
        return f"it has no option {missing[0]!r}"
    if all(option in config and config[option] == value for option, value in remedy.options.items()):
        return "it is like that already"
    try:
        registry.read_config(taker, {**config, **remedy.options})
    except UsageError as error:
        return error.message
    if "correction" in remedy.options and not (
        isinstance(forecaster, NeuralForecaster)
        and any(isinstance(module, Attention) for module in forecaster.module.modules())
    ):
        return "it has no attention whose gradient could be corrected"
    return ""
