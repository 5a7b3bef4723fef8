"""Proposition 6.3 and E12: what the residual linear network can represent, and closed forms against samples."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from forecheck.papers.curse_of_attention.theory import sign
from forecheck.papers.curse_of_attention.theory.residual_ssm import Form, ResidualSSM, residual_ssm
from forecheck.papers.experiment import Bench, Experiment

STEPS = 8
Features = Literal["affine", "properties", "generic"]


def random_features(kind: Features, gamma: float, noise: float, seed: int) -> ResidualSSM:
    r"""Laws with random features.

    ==============  ==================================================================================================
    kind            features
    ==============  ==================================================================================================
    ``affine``      white windows, properties 1 and 2, and :math:`\sum_k c_k = 1`
    ``properties``  unit vectors with :math:`P_d \perp P_k` and :math:`\langle P_d, P_{d+1} \rangle = \gamma`, that is
                    properties 1 and 2 of claim 4.2, otherwise random
    ``generic``     random unit vectors
    ==============  ==================================================================================================

    Args:
        kind: of the features, see above.
        gamma: :math:`\langle P_d, P_{d+1} \rangle`; `generic` features have their own.
        noise: sigma.
        seed: of the features.

    Raises:
        UsageError: for `affine`, unless gamma is one that the unit form has (`residual_ssm`).
    """
    if kind == "affine":
        return residual_ssm("unit", STEPS, gamma, noise, seed)
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((STEPS + 1, STEPS))
    if kind == "properties":
        features[:, -1] = 0
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    if kind == "properties":
        last = np.eye(STEPS)[-1]
        features[-2], features[-1] = last, gamma * last + (1 - gamma**2) ** 0.5 * features[-1]
    return ResidualSSM(features, noise)


def optimum(bench: Bench, features: Features, gamma: float, seed: int) -> dict[str, Any]:
    """What is left of the next step's feature by the equations for w, as printed and corrected.

    Args:
        bench: not needed.
        features: kind of the law's features, see `random_features`.
        gamma: of the law, whose noise is 0.1.
        seed: of the law.

    Returns:
        What is left by the equations as `printed` and corrected (`distance`; `affine distance` is its closed form); the
        `sum` of c, and how far the weights are `from c`; the `rank` of the differences for so many `unknowns`.
    """
    del bench
    law = random_features(features, gamma, 0.1, seed)
    c, found = law.coefficients, sign.residual_linear_optimum(law)
    differences = law.features[:-2] - law.features[-2]
    return {
        "printed": sign.printed_distance(law),
        "distance": found.distance,
        "affine distance": float(abs(c.sum() - 1) / np.linalg.norm(np.linalg.solve(law.features[:-1], np.ones(STEPS)))),
        "sum": float(c.sum()),
        "from c": float(np.abs(found.weights - c).max()),
        "rank": int(np.linalg.matrix_rank(differences)),
        "unknowns": STEPS - 1,
    }


def noise_risk(bench: Bench, form: Form, gamma: float, seed: int, count: int) -> dict[str, Any]:
    """Risk of the exact weights on sign-inconsistent windows, sampled, against the two expressions for it.

    Args:
        bench: not needed.
        form: of the law, see `residual_ssm`; its noise is 0.1.
        gamma: covariance of the last and the next step.
        seed: of law and windows.
        count: windows.
    """
    del bench
    law = residual_ssm(form, STEPS, gamma, 0.1, seed=2 * seed)
    sample = law.sample(count, 2 * seed + 1, "inconsistent")
    losses = np.square(sample.x @ sign.residual_linear_optimum(law).weights - sample.y)
    return {"risk": float(losses.mean()), "printed": 2 * law.noise**2, "corrected": law.linear_error}


def calibration(bench: Bench, form: Form, gamma: float, seed: int, count: int) -> dict[str, Any]:
    """Closed forms against samples whose signs are split by rejection: name, exact, sampled, standard error.

    Args:
        bench: not needed.
        form: of the law, see `residual_ssm`; its noise is 0.1.
        gamma: covariance of the last and the next step.
        seed: of law and windows.
        count: windows.
    """
    del bench
    law = residual_ssm(form, STEPS, gamma, 0.1, seed=2 * seed)
    x, y, clean = law.sample(count, 2 * seed + 1)
    last, following = clean[:, -2], clean[:, -1]
    inconsistent = last * following < 0
    moments = sign.second_moments(law, "inconsistent")
    zero, persistence = np.zeros(STEPS), np.eye(STEPS)[-1]
    blind = sign.order_blind_rule(law)
    checked = {
        "P(inconsistent)": (sign.sign_probability(law), inconsistent.astype(float)),
        "E[u_{d+1}^2 | inconsistent]": (moments[-1, -1], np.square(following)[inconsistent]),
        "E[u_d^2 | inconsistent]": (moments[-2, -2], np.square(last)[inconsistent]),
        "E[u_d u_{d+1} | inconsistent]": (moments[-2, -1], (last * following)[inconsistent]),
        "risk of 0, inconsistent": (
            sign.linear_risk(law, zero, "inconsistent"),
            np.square(y - x @ zero)[inconsistent],
        ),
        "risk of persistence, inconsistent": (
            sign.linear_risk(law, persistence, "inconsistent"),
            np.square(y - x @ persistence)[inconsistent],
        ),
        "order-blind bound": (sign.order_blind_bound(law), np.square(y - x @ blind)),
    }
    return {
        "checked": [
            [name, float(exact), float(values.mean()), float(values.std() / len(values) ** 0.5)]
            for name, (exact, values) in checked.items()
        ]
    }


def generic(bench: Bench, features: Features, gamma: float, noise: float, seed: int, windows: int) -> dict[str, Any]:
    """Exact risks of residual linear and unrestricted least squares, fitted to windows of random features.

    Args:
        bench: not needed.
        features: kind of the law's features, see `random_features`.
        gamma: of the law, see `random_features`.
        noise: sigma.
        seed: of law and windows.
        windows: that the rules are fitted to.

    Returns:
        Risks of `residual` and `ols` on all windows and on inconsistent ones; `bayes`, the least risk on all windows;
        and the `distance` that `residual_linear_optimum` leaves.
    """
    del bench
    law = random_features(features, gamma, noise, 2 * seed)
    x, y, _ = law.sample(windows, 2 * seed + 1)
    fitted = {"residual": sign.fit_residual_linear(x, y), "ols": sign.fit_linear(x, y)}
    return {
        **{name: sign.linear_risk(law, rule) for name, rule in fitted.items()},
        **{f"{name}, inconsistent": sign.linear_risk(law, rule, "inconsistent") for name, rule in fitted.items()},
        "bayes": law.bayes_error,
        "distance": sign.residual_linear_optimum(law).distance,
    }


OPTIMUM = Experiment(
    "linear optimum",
    optimum,
    quick=[
        {"features": features, "gamma": gamma, "seed": seed}
        for features in ("affine", "properties", "generic")
        for gamma in (0.25, 0.5, 0.9)
        for seed in range(5)
        if features != "generic" or gamma == 0.5
    ],
)
NOISE_RISK = Experiment(
    "linear noise",
    noise_risk,
    quick=[
        {"form": form, "gamma": 7 / 8 if form == "prop3" else 0.5, "seed": seed, "count": 100_000}
        for form in ("unit", "flat", "prop3")
        for seed in range(5)
    ],
)
CALIBRATION = Experiment(
    "closed forms",
    calibration,
    quick=[
        {"form": form, "gamma": gamma, "seed": 0, "count": 500_000}
        for form, gamma in (
            ("unit", -0.5),
            ("unit", 0.0),
            ("unit", 0.5),
            ("unit", 0.9),
            ("flat", 0.5),
            ("prop3", 7 / 8),
        )
    ],
)
GENERIC = Experiment(
    "generic features",
    generic,
    quick=[
        {"features": features, "gamma": 0.5, "noise": noise, "seed": seed, "windows": 2000}
        for features in ("affine", "properties", "generic")
        for noise in (0.1, 0.01)
        for seed in range(20)
    ],
)
