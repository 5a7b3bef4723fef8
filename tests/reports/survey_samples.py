"""Surveys with invented numbers, in the shape that `forecheck.auditing.survey.assemble` hands over."""

from __future__ import annotations

from report_samples import HOSTILE, audit

from forecheck.auditing.survey import Cell, assemble

SETS = ("ETTh1", "ETTh2", "weather", "exchange_rate")
# Answer, attention's outcome and effect, the reference's outcome against the model and effect.
FOUND = {
    "helps": ("yes", "helps", 0.046, "worse", 0.062),
    "as good": ("not for its attention", "no difference", 0.001, "worse", 0.034),
    "beaten": ("no", "hurts", -0.104, "better", -0.021),
    "open": ("undecided", "undecided", 0.014, "undecided", -0.013),
    "short": ("undecided: undertrained", "undecided", -0.004, "better", -0.052),
}


def verdict(name, model="patchtst", of="ETTh1"):
    worth, outcome, effect, against, distance = FOUND[name]
    return {
        "worth": worth,
        "sentence": f"{worth.capitalize()}: {model} on {of} (lookback 336, horizon 96), invented.",
        "why": "the spread between seeds binds: about 9 seeds would decide it" if outcome == "undecided" else "",
        "advice": f"forecheck forecast {of} --horizon 96 --model nlinear",
        "outcome": outcome,
        "question": "architecture",
        "effect": effect,
        "interval": [effect - 0.014, effect + 0.014],
        "margin": 0.01,
        "reference": {
            "name": "nlinear",
            "outcome": against,
            "beaten": {"worse": True, "better": False}.get(against),
            "effect": distance,
            "interval": [distance - 0.02, distance + 0.02],
        },
    }


def report(name, model="patchtst", of="ETTh1", p=None):
    """An audit with the verdict of that name, and p-values of its one retrained replacement."""
    made = audit(layers=1, heads=2, tokens=6, examples=1, name=of)
    made["verdict"] |= verdict(name, model, of)
    made["protocol"] |= {"model": model, "data": of, "budget": "quick", "seeds": [0, 1, 2], "seconds": 61.0}
    made["findings"] = [
        {"code": "FC401", "family": "retrained", "title": "retrained: identity", "p_values": p},
        {"code": "FC301", "family": "post-hoc", "title": "post-hoc: identity", "p_values": sure("greater")},
    ]
    return made


def sure(name, p=1e-6):
    """P-values of which one is small."""
    return dict.fromkeys(("greater", "less", "equivalent"), 0.8) | {name: p}


def done(name, model="patchtst", of="ETTh1", p=None):
    return Cell(model, of, "done", report=report(name, model, of, p))


def full():
    """Three models on four sets, with every answer and every reason for none."""
    cells = [
        done("helps", "patchtst", "ETTh1", sure("greater")),
        done("as good", "patchtst", "ETTh2", sure("equivalent", 0.03)),
        done("beaten", "patchtst", "weather", sure("less")),
        done("open", "patchtst", "exchange_rate", sure("greater", 0.2)),
        done("short", "itransformer", "ETTh1"),
        Cell("itransformer", "ETTh2", "failed", "itransformer, seed 1: FloatingPointError: the loss is not finite"),
        Cell("itransformer", "weather", "cannot be run", "weather is too short for horizon 96", "Shorten it."),
        done("as good", "itransformer", "exchange_rate", sure("equivalent")),
        done("beaten", "samformer", "ETTh1", sure("less")),
    ]
    return assemble(("patchtst", "itransformer", "samformer"), SETS, cells)


def hostile():
    """Every name and text is hostile, and numbers are missing."""
    bad = report("open") | {"environment": {HOSTILE: HOSTILE}}
    bad["verdict"] |= dict.fromkeys(("worth", "sentence", "why", "advice", "outcome"), HOSTILE)
    bad["verdict"] |= {"interval": [None, float("nan")], "reference": bad["verdict"]["reference"] | {"name": HOSTILE}}
    cells = [Cell(HOSTILE, HOSTILE, "done", report=bad), Cell(HOSTILE, "x" * 80, "failed", HOSTILE, HOSTILE)]
    return assemble((HOSTILE, "y" * 80), (HOSTILE, "x" * 80), cells)
