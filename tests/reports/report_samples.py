"""Report dicts of full size with invented numbers, in the shapes that the checks and the backtest hand over."""

from __future__ import annotations

import numpy as np

HOSTILE = "</style></script><script>alert('x')</script>\"'&|`*_[a](b)]]>\x07"
EDITS = ("identity", "uniform", "random rows", "zero", "band 3", "static mean")


def audit(layers=3, heads=16, tokens=42, lookback=336, horizon=96, examples=6, name="ETTh1", channel="OT", seed=0):
    """An audit of patchtst; `name` and `channel` come from the user."""
    rng = np.random.default_rng(seed)
    base = 0.28 + 0.16 * (np.arange(horizon) + 1) / horizon + 0.006 * rng.standard_normal(horizon)
    arms = [_arm(rng, "patchtst", "raw", None, seconds=60.1)]
    arms += [
        _arm(rng, edit, "retrained", value)
        for edit, value in zip(EDITS, (0.004, 0.002, 0.021, 0.012, -0.001, 0.0), strict=True)
    ]
    arms += [
        _arm(rng, edit, "post-hoc", value)
        for edit, value in zip(EDITS, (0.02, 0.034, 0.11, 0.52, 0.006, 0.003), strict=True)
    ]
    arms += [
        _arm(rng, "rlinear", "reference", -0.01, half=0.03, seconds=0.09, parameters=32352),
        _arm(rng, "nlinear", "reference", -0.004, half=0.03, seconds=0.11, parameters=32352),
        _arm(rng, "seasonal naive", "reference", 0.347, half=0.08, seconds=0.001, parameters=0),
        _arm(rng, "last value", "reference", 2.4, half=0.5, seconds=0.001, parameters=0),
    ]
    curves = [
        {
            "label": arm["label"],
            "family": arm["family"],
            "mse": (base * (1 + (arm["effect"] or 0)) + 0.002 * rng.standard_normal(horizon)).tolist(),
        }
        for arm in arms[:-1]
    ]
    where = f"patchtst on {name}, lookback {lookback}, horizon {horizon}"
    return {
        "schema": 1,
        "kind": "audit",
        "forecheck": "0.1.0",
        "created": "2026-11-21T10:00:00+00:00",
        "verdict": {
            "outcome": "no difference",
            "sentence": f"Attention makes no difference: {where}, forecasts as well when retrained without it "
            "(identity: test MSE +0.4 % [-0.3, +1.1]; margin ±1 %).",
            "question": "architecture",
            "effect": 0.004,
            "interval": [-0.003, 0.011],
            "margin": 0.01,
            "smallest_margin": 0.0105,
            "architecture": _answer("no difference", 0.004, [-0.003, 0.011], 0.0105),
            "checkpoint": _answer("helps", 0.02, [0.013, 0.028], 0.03),
            "linear": {
                "name": "rlinear",
                "outcome": "undecided",
                "effect": -0.01,
                "interval": [-0.04, 0.02],
                "seconds": 0.09,
                "why": "the interval reaches across the margin; about 3.0 times as much test data would decide it",
            },
            "advice": f"Forecast with rlinear: forecheck forecast {name} --horizon {horizon} --model rlinear",
        },
        "findings": _findings(name),
        "protocol": _protocol(name, channel, lookback, horizon)
        | {
            "model": "patchtst",
            "config": {"width": 16, "depth": layers, "heads": heads, "patch": 16, "stride": 8},
            "adapter": f"{layers} attention sites, native adapter ({heads} heads x {tokens} x {tokens} tokens)",
        },
        "arms": arms,
        "horizon": {"curves": curves},
        "attention": [
            {"layer": layer, "head": head, "matrix": _attention(rng, layer, head, tokens)}
            for layer in range(layers)
            for head in range(heads)
        ],
        "examples": [_example(rng, k, name, channel, lookback, horizon) for k in range(examples)],
        "environment": ENVIRONMENT,
    }


def large_audit(name="ETTh1", channel="OT"):
    """An audit with every family of findings, its tables and charts, 48 heads and a horizon of 720 steps."""
    rng = np.random.default_rng(1)
    data = audit(horizon=720, lookback=720, name=name, channel=channel)
    layers, heads = 3, 16
    effects = np.round(0.004 * rng.standard_normal((layers, heads)) + 0.03 * (rng.random((layers, heads)) > 0.9), 5)
    data["arms"] += [
        _arm(rng, label, "positions", value) for label, value in (("zero positions", 0.031), ("shuffled tokens", 0.09))
    ]
    data["arms"] += [
        _arm(rng, f"patch {size}", "patches", value)
        for size, value in zip((1, 4, 16, 64, 720), (0.02, 0.005, 0.001, 0.004, 0.012), strict=True)
    ]
    data["arms"] += [
        _arm(rng, f"layer {layer} head {head}", "heads", float(effects[layer, head]), half=0.002)
        for layer in range(layers)
        for head in range(heads)
    ]
    data["findings"] += _many_findings(effects)
    data["skipped"] = [
        {"code": "FC611", "title": "pairs of heads", "why": "slow: run with --budget full"},
        {"code": "FC712", "title": "rank over training", "why": "slow: run with --budget full"},
        {"code": "FC104", "title": "scaler leak", "why": "deselected"},
    ]
    data["sites"] = [
        {"layer": layer, "path": f"encoder.{layer}.attention", "heads": heads, "queries": 42, "keys": 42}
        for layer in range(layers)
    ]
    return data


def remedied_audit():
    """An audit with three remedies, of which one makes attention contribute more."""

    def answer(outcome, effect, half=0.008):
        return {"outcome": outcome, "effect": effect, "interval": [effect - half, effect + half], "seeds": 3, "why": ""}

    def row(name, mse, contribution, linear):
        return {
            "name": name,
            "mse": mse,
            "seconds": 61.2,
            "parameters": 81_728,
            "contribution": answer("helps" if contribution > 0.02 else "no difference", contribution),
            "over_mean": answer("no difference", 0.001),
            "against_linear": answer("better" if linear < -0.01 else "undecided", linear),
        }

    made = (("rope", 0.381, 0.004, 0.002), ("score-bias", 0.372, 0.034, -0.021), ("sgd", 0.399, -0.016, 0.04))
    words = {"rope": ("no difference", "does not grow"), "score-bias": ("better", "grows"), "sgd": ("worse", "shrinks")}
    return audit() | {
        "remedies": {
            "without": "identity",
            "linear": "rlinear",
            "base": row("none", 0.38, 0.004, 0.002),
            "rows": [
                row(name, mse, contribution, linear)
                | {
                    "summary": "something else",
                    "source": "a paper",
                    "options": {"positions": name},
                    "against_base": answer(words[name][0], mse / 0.38 - 1),
                    "growth": answer(words[name][1], contribution - 0.004),
                }
                for name, mse, contribution, linear in made
            ],
        }
    }


def backtest(horizon=96, name="ETTh1", channel="OT", seed=0):
    """A backtest of six models with every pair against the winner."""
    rng = np.random.default_rng(seed)
    effects = {"rlinear": 0.0, "nlinear": 0.004, "patchtst": -0.002, "itransformer": 0.021, "seasonal naive": 0.347}
    base = 0.28 + 0.16 * (np.arange(horizon) + 1) / horizon
    table, pairs = [], []
    for model, value in effects.items():
        arm = _arm(rng, model, "raw", value)
        keys = ("mse", "mae", "mse_real", "mae_real", "validation_mse", "seconds", "parameters", "seeds")
        table.append({"model": model} | {key: arm[key] for key in keys} | {"options": {"lookback": 336, "ridge": 1e-3}})
        if model != "rlinear":
            outcome = "no difference" if abs(value) < 0.005 else "worse"
            pairs.append(
                {
                    "model": model,
                    "reference": "rlinear",
                    "outcome": "undecided" if model == "itransformer" else outcome,
                    "effect": value,
                    "interval": [value - 0.008, value + 0.014],
                    "smallest_margin": abs(value) + 0.008,
                    "p_values": P_VALUES,
                    "why": "the interval reaches across the margin" if model == "itransformer" else "",
                }
            )
    return {
        "schema": 1,
        "kind": "backtest",
        "forecheck": "0.1.0",
        "created": "2026-11-21T10:00:00+00:00",
        "protocol": _protocol(name, channel, 336, horizon),
        "table": table,
        "pairs": pairs,
        "horizon": {
            "curves": [
                {"label": model, "mse": (base * (1 + value) + 0.002 * rng.standard_normal(horizon)).tolist()}
                for model, value in effects.items()
            ]
        },
        "winner": {"model": "rlinear", "rule": "the simplest model that none beats beyond the margin"},
        "environment": ENVIRONMENT,
    }


P_VALUES = {"greater": 0.01, "less": 0.999, "equivalent": 0.2}
ENVIRONMENT = {"python": "3.11.7", "torch": "2.13.0", "numpy": "2.4.6", "cpu": "AMD EPYC", "threads": 1}


def _answer(outcome, effect, interval, smallest):
    keys = ("outcome", "arm", "effect", "interval", "smallest_margin", "seeds", "why")
    return dict(zip(keys, (outcome, "identity", effect, interval, smallest, 2, ""), strict=True))


def _arm(rng, label, family, value, *, half=0.007, seconds=50.1, parameters=81728):
    mse = 0.38 * (1 + (value or 0))
    bounds = None if value is None else [value - half, value + half]
    return {
        "label": label,
        "family": family,
        "mse": mse,
        "mae": 0.4 * (1 + (value or 0) / 2),
        "mse_real": 8.1 * (1 + (value or 0)),
        "mae_real": 1.5 * (1 + (value or 0) / 2),
        "validation_mse": 0.7 + 0.01 * rng.random(),
        "seeds": 1 if family == "reference" else 2,
        "seconds": None if family == "post-hoc" else seconds,
        "parameters": parameters,
        "effect": value,
        "interval": bounds,
        "outcome": None if bounds is None else _outcome(*bounds),
    }


def _outcome(low, high, margin=0.0115):
    if -margin <= low and high <= margin:
        return "no difference"
    return "helps" if low > 0 else "hurts" if high < 0 else "undecided"


def _findings(name):
    common = {"margin": 0.01, "p_values": P_VALUES, "seeds": 2, "blocks": 29.0, "why": "", "severity": "info"}
    none = {"effect": None, "interval": None, "smallest_margin": None, "p_values": None, "blocks": None}
    return [
        common
        | none
        | {
            "code": "FC101",
            "family": "harness",
            "title": "the last partial batch is scored",
            "outcome": "pass",
            "meaning": f"All 2785 test windows of {name} are scored, the last 97 of them in a partial batch.",
            "advice": "",
            "details": {"windows": 2785, "batch": 128},
        },
        common
        | none
        | {
            "code": "FC107",
            "family": "harness",
            "title": "raw against raw with other seeds",
            "outcome": "fail",
            "severity": "error",
            "meaning": "Two trainings that differ in the seed alone differ by 4.1 % of test MSE, 4 times the margin.",
            "advice": "Use more seeds (--seeds 5) or a wider margin (--margin 0.05).",
            "details": {},
        },
        common
        | {
            "code": "FC201",
            "family": "references",
            "title": "closed-form linear reference",
            "outcome": "undecided",
            "effect": -0.01,
            "interval": [-0.04, 0.02],
            "smallest_margin": 0.036,
            "meaning": "rlinear changes test MSE by -1.0 % [-4.0, +2.0] and fits in 0.09 s; margin ±1 %.",
            "advice": "Test on more data, or accept a wider margin.",
            "why": "the interval reaches across the margin; about 3.0 times as much test data would decide it",
            "details": {"rank": 12},
        },
        common
        | {
            "code": "FC301",
            "family": "post-hoc",
            "title": "attention is relied on: identity",
            "severity": "warning",
            "outcome": "helps",
            "effect": 0.02,
            "interval": [0.013, 0.028],
            "smallest_margin": 0.03,
            "meaning": "Replacing every attention matrix of the trained model by the identity changes test MSE by "
            "+2.0 % [+1.3, +2.8]; margin ±1 %.",
            "advice": "This says what the checkpoint leans on, not what the architecture needs: see FC401.",
            "details": {"by channel": {"HUFL": 0.021, "OT": 0.018}, "layers": [0, 1, 2]},
        },
        common
        | none
        | {
            "code": "FC305",
            "family": "post-hoc",
            "title": "positions are used",
            "outcome": "not applicable",
            "meaning": "",
            "advice": "",
            "why": "the model has no positional embedding that the adapter can reach",
            "details": {},
        },
        common
        | {
            "code": "FC401",
            "family": "retrained",
            "title": "attention makes no difference: identity",
            "outcome": "no difference",
            "effect": 0.004,
            "interval": [-0.003, 0.011],
            "smallest_margin": 0.0105,
            "meaning": "patchtst trained from scratch with the identity for attention changes test MSE by "
            "+0.4 % [-0.3, +1.1]; margin ±1 %.",
            "advice": f"Forecast with rlinear: forecheck forecast {name} --horizon 96 --model rlinear",
            "details": {},
        },
    ]


MANY = {
    "FC1": ("harness", 10, ("pass", "pass", "pass", "fail", "not applicable")),
    "FC2": ("references", 5, ("hurts", "helps", "helps", "undecided", "no difference")),
    "FC3": ("post-hoc", 6, ("helps", "helps", "no difference", "undecided", "not applicable")),
    "FC4": ("retrained", 4, ("no difference", "no difference", "undecided", "hurts")),
    "FC5": ("positions", 6, ("helps", "undecided", "no difference", "not applicable")),
    "FC6": ("heads", 4, ("no difference", "helps", "undecided")),
    "FC7": ("representation", 6, ("pass", "fail", "not applicable", "pass")),
    "FC8": ("data", 5, ("pass", "fail", "pass")),
    "FC9": ("black-box", 3, ("pass", "no difference", "not applicable")),
}


def _many_findings(effects):
    """49 findings of all families beside those of `_findings`, one of each kind of chart."""
    found = []
    for prefix, (family, count, outcomes) in MANY.items():
        for k in range(count):
            outcome = outcomes[k % len(outcomes)]
            tested = outcome in {"helps", "hurts", "no difference", "undecided"}
            value = round(0.003 * (k + 1), 4) if tested else None
            found.append(
                {
                    "code": f"{prefix}{20 + k}",
                    "family": family,
                    "title": f"{family} question {k + 1}",
                    "outcome": outcome,
                    "severity": {"fail": "error" if k == 3 else "warning", "hurts": "warning"}.get(outcome, "info"),
                    "meaning": ""
                    if outcome == "not applicable"
                    else "Replacing the part in question changes test MSE by +0.3 % [-0.4, +1.0]; margin ±1 %.",
                    "advice": "See the page of this check before you act on it."
                    if outcome in {"fail", "hurts"}
                    else "",
                    "why": "the adapter reaches no such part of the model" if outcome == "not applicable" else "",
                    "effect": value,
                    "interval": [value - 0.007, value + 0.007] if tested else None,
                    "margin": 0.01,
                    "smallest_margin": 0.012 if tested else None,
                    "p_values": P_VALUES if tested else None,
                    "seeds": 2,
                    "blocks": 29.0,
                    "details": {"windows": 2785, "draws": 5},
                }
            )
    by_code = {each["code"]: each for each in found}
    by_code["FC620"]["title"] = "effect of every head"
    by_code["FC620"]["details"]["chart"] = {
        "kind": "heat",
        "rows": [f"layer {k}" for k in range(len(effects))],
        "columns": [str(k) for k in range(effects.shape[1])],
        "values": (100 * effects).tolist(),
        "unit": "%",
        "x_label": "head",
    }
    by_code["FC520"]["title"] = "patch length, down to one token"
    sizes, losses = ["1", "4", "16", "64", "720"], [0.388, 0.382, 0.3801, 0.3815, 0.3846]
    by_code["FC520"]["details"] |= {
        "table": {
            "columns": ["patch", "test MSE", "parameters"],
            "rows": [[size, loss, 81728] for size, loss in zip(sizes, losses, strict=True)],
        },
        "chart": {
            "kind": "lines",
            "x": sizes,
            "series": [
                {"label": "test MSE", "y": losses},
                {"label": "validation MSE", "y": [0.71, 0.702, 0.7, 0.704, 0.709]},
            ],
            "x_label": "patch length",
            "y_label": "MSE",
        },
    }
    by_code["FC720"]["title"] = "attention entropy by layer"
    by_code["FC720"]["details"]["chart"] = {
        "kind": "bars",
        "x": ["layer 0", "layer 1", "layer 2"],
        "series": [{"label": "trained", "y": [3.4, 2.9, 1.2]}, {"label": "at initialisation", "y": [3.7, 3.7, 3.7]}],
        "x_label": "layer",
        "y_label": "entropy, nats",
    }
    by_code["FC820"]["title"] = "linear share of the variance"
    by_code["FC820"]["details"]["chart"] = {
        "kind": "bars",
        "x": ["HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT"],
        "series": [{"label": "R²", "y": [0.61, 0.42, 0.63, 0.4, 0.55, 0.31, -0.08]}],
        "x_label": "channel",
        "y_label": "R² of the linear fit",
    }
    return found


def _protocol(name, channel, lookback, horizon):
    parts = (
        ("train", "2016-07-01T00:00", "2017-06-25T23:00", 8640),
        ("validation", "2017-06-26T00:00", "2017-10-23T23:00", 2880),
    )
    borders = [
        {"part": part, "first": first, "last": last, "rows": rows, "windows": rows - lookback - horizon + 1}
        for part, first, last, rows in (*parts, ("test", "2017-10-24T00:00", "2018-02-20T23:00", 2880))
    ]
    return {
        "data": name,
        "series": 1,
        "channels": ["HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", channel],
        "rows": 17420,
        "frequency": "hour",
        "fills": {},
        "lookback": lookback,
        "horizon": horizon,
        "split": "8640+2880+2880",
        "scaler": "mean and standard deviation of the training rows, by channel",
        "borders": borders,
        "budget": "quick",
        "seeds": [0, 1],
        "margin": 0.01,
        "level": 0.95,
        "units": "standardised by the training rows",
        "trials": {"total": 20, "from store": 5},
        "seconds": 123.4,
    }


def _attention(rng, layer, head, tokens):
    gap = np.abs(np.subtract.outer(np.arange(tokens), np.arange(tokens)))
    logits = (
        -gap / (1 + head) + 1.5 * np.cos(2 * np.pi * gap / (4 + layer)) + 0.3 * rng.standard_normal((tokens, tokens))
    )
    weights = np.exp(logits)
    return (weights / weights.sum(axis=1, keepdims=True)).tolist()


def _example(rng, k, name, channel, lookback, horizon):
    time = np.arange(lookback + horizon) + 31 * k
    values = (
        12 + 5 * np.sin(2 * np.pi * time / 24) + 2 * np.sin(2 * np.pi * time / 168) + rng.standard_normal(len(time))
    )
    clean = values[lookback:] - rng.standard_normal(horizon)
    forecasts = {label: (clean + 0.4 * rng.standard_normal()).tolist() for label in ("patchtst", "identity", "rlinear")}
    return {
        "series": name,
        "channel": channel,
        "origin": f"2017-1{k % 3}-24T00:00",
        "unit": "real",
        "input": values[:lookback].tolist(),
        "truth": values[lookback:].tolist(),
        "forecasts": forecasts,
    }
