"""Curse of Attention (arXiv 2412.06061)."""

from forecheck.papers.claim import Paper
from forecheck.papers.curse_of_attention.claims import CLAIMS

PAPER = Paper(
    name="curse-of-attention",
    title="Curse of Attention: A Kernel-Based Perspective for Why Transformers Fail to Generalize on Time Series "
    "Forecasting and Beyond",
    authors="Ke, Liang, Shi, Song, Yang",
    source="arXiv 2412.06061, CPAL 2025 (PMLR 280:675-738)",
    about="Attention whose query is the last value of a window learns less of that value than a linear model does, by "
    "a kernel argument on a two-layer network; where the last and the next value have other signs it is said to fail.",
    claims=CLAIMS,
    notes=(
        (
            "The paper has no experiments of its own and no code, so no claim has a published number; its figure 1(a) "
            "redraws earlier results on ETTh1 and ETTh2."
        ),
        (
            "The three properties that the appendix asks of the data contradict each other. The next step here is a "
            "known linear function of a white window whose coefficients sum to one, which the linear side needs: of "
            "variance 1 (unit), with a background in which order does not matter (flat), or as the third property "
            "prints it (prop3)."
        ),
        "Noise has the standard deviation sigma, as in all proofs; the definition prints it as a variance.",
        (
            "Neurons start in pairs of one weight and opposite output, so that the network starts at zero as "
            "assumption D.7 asks; outputs are frozen. The loss is a sum over windows, and every step takes all of them."
        ),
        (
            "The theorems' rates divide by the kernel's smallest eigenvalue (see E6), so training is as long as is "
            "useful here, not as the theorems ask; step sizes are 1 / lambda_max of the kernel at the start."
        ),
    ),
)
