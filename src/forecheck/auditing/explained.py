"""FC708 to FC710: what forecasts are made of, where the forecaster can say so exactly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from forecheck.auditing.check import Finding
from forecheck.auditing.evidence import Evidence
from forecheck.auditing.measured import MeasuredCheck, share
from forecheck.auditing.setting import Setting
from forecheck.forecasters import registry
from forecheck.forecasters.samovar import SAMoVAR
from forecheck.trials.store import Result

Array = np.ndarray[Any, np.dtype[Any]]

_ROWS = 12  # parts of the horizon in a heat map
_PATCHES = 64  # older patches are drawn together
_SOURCE = "Lu & Yang 2025 (SAMoVAR, arXiv 2502.07244), section 4"


class Explained(MeasuredCheck):
    """The explanation of a few test windows by the first seed's model."""

    severity = "info"
    measure = "explanation"
    source = _SOURCE

    def why_not(self, setting: Setting) -> str:
        """Only SAMoVAR is a sum whose terms are known."""
        if setting.external or not issubclass(registry.find(setting.model), SAMoVAR):
            return "only forecasts of samovar can be split exactly into what they are made of"
        return ""


class Parts(Explained):
    """What is a forecast made of, patch by patch?

    A forecast is a constant (the window's level and the head's bias) and one part for every patch of the window, of
    the patch itself and of the mix of all channels there; they sum to the forecast exactly. Shares are those of the
    parts' mean absolute sizes, which can be large and cancel.
    """

    code, title = "FC708", "additive parts of forecasts"

    def judge(self, evidence: Evidence, results: Sequence[Result]) -> Finding:
        """Shares of patches, and a heat map of parts a window."""
        arrays = results[0].arrays
        parts, forecast = arrays["parts"], arrays["forecast"]  # (window, patch, mix or own, horizon)
        gap = np.abs(parts.sum(axis=(1, 2)) + arrays["constant"] - forecast).max() / np.abs(forecast).max()
        sizes = np.abs(parts).mean(axis=3)
        shares = sizes / np.maximum(sizes.sum(axis=(1, 2), keepdims=True), np.finfo(float).tiny)
        by_patch = shares.mean(axis=0)  # (patch, mix or own)
        mixed = float(by_patch[:, 0].sum())
        names = _names(parts.shape[1])
        return self.finding(
            "pass",
            f"On {len(parts)} test windows the newest patch makes up {share(float(by_patch[-1].sum()))} of the sizes "
            f"of all parts, and mixes of all channels {share(mixed)}. Parts and constant sum to the forecast up to "
            f"{gap:.0e} of its size.",
            table={
                "columns": ["patch", "share of sizes", "of the patch itself", "of the mix of channels"],
                "rows": [
                    [name, *(round(float(value), 4) for value in (mix + own, own, mix))]
                    for name, (mix, own) in zip(names, by_patch, strict=True)
                ],
            },
            charts=[
                _heat(
                    f"Parts of the forecast, {label}",
                    _steps(parts.shape[3]),
                    _columns(names),
                    _grouped(_averaged(each.sum(axis=1).T), np.sum),
                )
                for label, each in zip(_labels(results[0]), parts, strict=True)
            ],
            constant=[[_short(value) for value in each] for each in _averaged(arrays["constant"].T).T],
        )


class StrongestPaths(Explained):
    """By which ways does the past reach the forecast?

    The coefficients of a stack of linear attentions are sums over temporal influence paths: chains of tokens from the
    last one back to a source, one hop a layer. Each has a matrix of rank one, whose Frobenius norm over all heads is
    its weight; matrices of different paths can cancel.
    """

    code, title = "FC709", "temporal influence paths"

    def judge(self, evidence: Evidence, results: Sequence[Result]) -> Finding:
        """The heaviest paths of every window."""
        summary, arrays = results[0].summary, results[0].arrays
        if summary["why_no_paths"]:
            return self.not_applicable(str(summary["why_no_paths"]))
        names = _names(arrays["parts"].shape[1])
        tokens = [name for patch in names for name in (f"mix {patch}", f"own {patch}")]
        windows: list[list[dict[str, Any]]] = [
            [
                {"nodes": [int(node) for node in chain if node >= 0], "weight": _short(weight)}
                for chain, weight in zip(nodes, norms, strict=True)
            ]
            for nodes, norms in zip(arrays["path_nodes"], arrays["path_norms"], strict=True)
        ]
        labels = _labels(results[0])
        most = windows[0][0]
        return self.finding(
            "pass",
            f"Of {summary['paths']:,} paths of up to {summary['layers']} layers into the last token the heaviest is "
            f"{_chain(most['nodes'], tokens)} ({labels[0]}). Patches are counted from the oldest: own n is the "
            f"token of patch n, mix n that of the mix of all channels there.",
            table={
                "columns": ["window", "path", "layers", "weight"],
                "rows": [
                    [label, _chain(path["nodes"], tokens), len(path["nodes"]) - 1, path["weight"]]
                    for label, paths in zip(labels, windows, strict=True)
                    for path in paths
                ],
            },
            charts=[
                {
                    "kind": "arcs",
                    "title": f"Paths of influence, {label}",
                    "tokens": tokens,
                    "axis": [name for patch in names for name in ("", patch)],
                    "layers": summary["layers"],
                    "paths": paths,
                    "x_label": "source patch",
                }
                for label, paths in zip(labels, windows, strict=True)
            ],
        )


class CoefficientsAndJacobian(Explained):
    """How do the coefficients of a forecast differ from its derivative?

    Coefficients say how embedded patches were weighed in this forecast. They are made of the same window as what they
    weigh, so they are not the derivative of the forecast; the Jacobian of the whole network is, and says how it
    would change with its input. Both by their norms: over the head's matrix, and over the steps of a patch.
    """

    code, title = "FC710", "mixture coefficients and Jacobian"

    def judge(self, evidence: Evidence, results: Sequence[Result]) -> Finding:
        """Norms by patch, and two figures a window that do not mix them up."""
        arrays = results[0].arrays
        windows, heads, tokens = arrays["coefficients"].shape
        coefficients = np.linalg.norm(arrays["coefficients"].reshape(windows, heads, tokens // 2, 2), axis=3)
        jacobian = arrays["jacobian"]  # (window, own or other channels, horizon, patch)
        names = _names(tokens // 2)
        weighed = np.linalg.norm(coefficients, axis=1)
        answers = np.linalg.norm(jacobian, axis=2)  # (window, own or other channels, patch)
        last = [float((values[..., -1] / values.sum(axis=-1)).mean()) for values in (weighed, answers[:, 0])]
        columns = [weighed.mean(axis=0), answers[:, 0].mean(axis=0), answers[:, 1].mean(axis=0)]
        return self.finding(
            "pass",
            f"The newest patch has {share(last[0])} of the norms of all coefficients, and {share(last[1])} of those of "
            "the Jacobian by the channel's own steps. The two answer different questions and need not agree.",
            table={
                "columns": ["patch", "coefficients", "Jacobian, own channel", "Jacobian, other channels"],
                "rows": [
                    [name, *(_short(value) for value in row)]
                    for name, row in zip(names, np.stack(columns, axis=1), strict=True)
                ],
            },
            charts=list(_figures(_labels(results[0]), names, coefficients, jacobian)),
        )


def _figures(
    labels: Sequence[str], names: Sequence[str], coefficients: Array, jacobian: Array
) -> Iterator[dict[str, Any]]:
    for label, weighed, answers in zip(labels, coefficients, jacobian, strict=True):
        heads = [f"head {head}" for head in range(len(weighed))]
        yield _heat(f"Mixture coefficients, {label}", heads, _columns(names), _grouped(weighed, np.linalg.norm))
        whole = np.linalg.norm(answers, axis=0)  # (horizon, patch)
        yield _heat(
            f"Jacobian, {label}", _steps(len(whole)), _columns(names), _grouped(_averaged(whole), np.linalg.norm)
        )


def _heat(title: str, rows: Sequence[str], columns: Sequence[str], values: Array) -> dict[str, Any]:
    return {
        "kind": "heat",
        "title": title,
        "rows": list(rows),
        "columns": list(columns),
        "values": [[_short(value) for value in row] for row in values],
        "x_label": "source patch",
    }


def _labels(result: Result) -> list[str]:
    """Names of the windows: series, channel and origin."""
    windows = result.summary["windows"]
    return [f"{each['series']} {each['channel']} from {each['origin'].replace('T', ' ')}".strip() for each in windows]


def _names(patches: int) -> list[str]:
    """Patches by number, the oldest first."""
    return [str(patch + 1) for patch in range(patches)]


def _chain(nodes: Sequence[int], tokens: Sequence[str]) -> str:
    return " ← ".join(tokens[node] for node in nodes)


def _steps(horizon: int) -> list[str]:
    """Parts of the horizon by their steps."""
    parts = [part + 1 for part in np.array_split(np.arange(horizon), min(horizon, _ROWS))]
    return [f"steps {part[0]}-{part[-1]}" if len(part) > 1 else f"step {part[0]}" for part in parts]


def _averaged(values: Array) -> Array:
    """Means over parts of the horizon, the first axis."""
    return np.stack([part.mean(axis=0) for part in np.array_split(values, min(len(values), _ROWS))])


def _columns(names: Sequence[str]) -> list[str]:
    """Names of the patches that are drawn; what is older is drawn as one."""
    return list(names) if len(names) <= _PATCHES else [f"1-{len(names) - _PATCHES + 1}", *names[1 - _PATCHES :]]


def _grouped(values: Array, together: Any) -> Array:
    """Values (row, patch) with the oldest patches put together."""
    if values.shape[1] <= _PATCHES:
        return values
    older = values[:, : 1 - _PATCHES]
    return np.concatenate([together(older, axis=1)[:, None], values[:, 1 - _PATCHES :]], axis=1)


def _short(value: float | np.floating[Any]) -> float:
    return float(f"{value:.4g}")


CHECKS = (Parts(), StrongestPaths(), CoefficientsAndJacobian())
