"""Reproductions with invented numbers, in the shape that `forecheck.papers.run.reproduce` hands over."""

from __future__ import annotations

import math

import numpy as np

from forecheck.papers.plots import bars, curve, curves, heat

HOSTILE = "</style></script><script>alert('x')</script>\"'&|`*_[a](b)]]>\x07"
LONG = "The longer the text of a claim the more of it has to be folded: " + "context lengths, depths and widths; " * 6


def claim(name, verdict="confirmed", **changed):
    return {
        "id": name,
        "title": f"With more context the error of {name} falls like one over n.",
        "where": "Theorem 3 and figure 2",
        "rule": "Confirmed if the interval of the slope lies between -1.1 and -0.9, refuted if it lies outside.",
        "quantity": "slope of the gap over n on log axes",
        "published": "-1",
        "verdict": verdict,
        "found": "The gap falls with a slope of -1.02, which is what the closed form says.",
        "ours": {"value": -1.0213, "low": -1.0401, "high": -1.0025},
        "table": {"columns": ["n", "gap", "closed form"], "rows": [[10, 0.123, 0.12], [100, 0.0119, None]]},
        "charts": [],
    } | changed


def paper(name, claims, **changed):
    return {
        "name": name,
        "title": f"Why {name.capitalize()} Cannot Forecast: A Study With a Rather Long Title",
        "authors": "Doe, Roe",
        "source": "arXiv 0000.00000",
        "about": "Linear self-attention reads series in context. Whether it can forecast depends on their order.",
        "notes": ["The model is a reconstruction.", "Numbers of the paper are those of its first version."],
        "claims": claims,
    } | changed


def reproduction(papers):
    verdicts = [each["verdict"] for paper in papers for each in paper["claims"]]
    return {
        "schema": 1,
        "kind": "reproduction",
        "forecheck": "0.1.0",
        "created": "2026-11-21T10:00:00+00:00",
        "budget": "quick",
        "counts": {name: verdicts.count(name) for name in ("confirmed", "refuted", "uneven", "not testable here")},
        "papers": papers,
        "environment": {"python": "3.11.7", "torch": "2.13.0+cpu", "cpu": "AMD EPYC 7B13", "cores": 2},
        "seconds": 123.4,
    }


def decay():
    """A measured curve with its band, a prediction, single points and a floor, both axes logarithmic."""
    n = [5, 10, 20, 50, 100, 200, 500, 1000]
    y = [1.3 / k for k in n]
    return curves(
        "Gap by context",
        "context n",
        "gap to the linear predictor",
        [
            curve("trained", n, y, [0.7 * k for k in y], [1.4 * k for k in y]),
            curve("2(γ₀ - σ²)/(n + 2)", n, [1.2 / (k + 2) for k in n], style="dashed"),
            curve("in-window OLS", n[2:], [0.4 * k for k in y[2:]], style="points"),
        ],
        "xy",
        levels=[("noise floor", 2e-3)],
    )


def growth():
    """Curves of a linear x and y, one with gaps, one band that leaves the rest far behind."""
    rng = np.random.default_rng(0)
    x = np.arange(60.0)
    y = np.sin(x / 9) + 0.1 * rng.standard_normal(60)
    gaps = [None if 20 < k < 30 or k == 45 else float(value) for k, value in enumerate(y)]
    return curves(
        "Score over training",
        "epoch",
        "attention score",
        [
            curve("residual", x.tolist(), y.tolist(), (y - 0.2).tolist(), (y + 0.2 + x).tolist()),
            curve("with gaps", x.tolist(), [value and value + 0.7 for value in gaps]),
        ],
        levels=[("chance", 0.0), ("oracle", 1.2)],
    )


def shares():
    names = ["identity", "uniform", "static mean of all windows", "zero"]
    series = [("authors", [0.37, 0.38, None, 0.41]), ("ours", [0.38, 0.37, 0.4, 0.9])]
    return bars("Error by edit", "test MSE", names, series)


def grid():
    values = [[0.1, 0.25, None], [-0.3, 0.75, 1.0]]
    rows, columns = ["depth 1", "depth 2"], ["order 1", "order 5", "order 12"]
    return heat("Excess error", rows, columns, values, "order of the process", "layers", "%")


def many():
    """More curves than colours."""
    x = [1.0, 2.0, 3.0]
    return curves("Every depth", "layers", "loss", [curve(f"depth {k}", x, [k + 1.0, k + 0.5, k]) for k in range(10)])


def full(name="samovar"):
    """A paper with every verdict and every kind of chart."""
    claims = [
        claim("gap", charts=[decay(), growth()]),
        claim("E2", "refuted", charts=[shares()], ours={"value": 12345.678, "low": None, "high": None}),
        claim("depth", "uneven", charts=[grid(), many()], published="between 0.38 and 0.41 in most of the settings"),
        claim("large", "not testable here", rule="", found="It needs a GPU.", ours=None, table=None, published=""),
        claim("unnumbered", published="", quantity="", ours=None),
        claim("long", title=LONG, found=LONG, rule=LONG, where=LONG, quantity=LONG, published=LONG),
    ]
    return paper(name, claims)


def one():
    return reproduction([full()])


def several():
    names = ("curse-of-attention", "in-context", "samovar")
    return reproduction([full(names[0]), paper(names[1], []), full(names[2])])


def hostile():
    """Every text and name is hostile, and numbers are missing."""
    bad = HOSTILE
    drawn = [
        curves(bad, bad, bad, [curve(bad, [1, 2], [1.0, math.nan]), curve(bad, [1, 2], [3, 4])], levels=[(bad, 1.0)]),
        bars(bad, bad, [bad, bad], [(bad, [1.0, math.inf]), (bad, [None, 2.0])]),
        heat(bad, [bad], [bad, bad], [[1.0, None]], bad, bad, bad),
        {"kind": bad, "title": bad},
        {"kind": "curves"},
        {"kind": "curves", "series": [{"label": bad, "x": [bad, 1, None], "y": [1.0, bad, 2.0]}]},
    ]
    texts = dict.fromkeys(("title", "where", "rule", "quantity", "published", "verdict", "found"), bad)
    table = {"columns": [bad, bad], "rows": [[bad, math.nan], [None], []]}
    ours = {"value": math.nan, "low": None, "high": math.inf}
    claims = [claim(bad, **texts, table=table, charts=drawn, ours=ours), claim(bad, ours={"value": 1, "low": math.nan})]
    about = dict.fromkeys(("name", "title", "authors", "source", "about"), bad)
    data = reproduction([paper("x", claims) | about | {"notes": [bad]} for _ in range(2)])
    return data | {"budget": bad, "environment": {bad: bad}, "seconds": math.nan}
