"""The Unseen Frontier: Pushing the Limits of LLM Sparsity with Surrogate-Free ADMM (arXiv 2510.01650)."""

from forecheck.papers.claim import Paper
from forecheck.papers.elsa.claims import CLAIMS

PAPER = Paper(
    name="elsa",
    title="The Unseen Frontier: Pushing the Limits of LLM Sparsity with Surrogate-Free ADMM",
    authors="Lee, Jang, Lee, Alistarh, Lee",
    source="arXiv 2510.01650, ICLR 2026",
    about="Language models are pruned on their own loss by ADMM (ELSA), not layer by layer, and are said to stay "
    "useful at 90 % zeros. Here the same is done to small forecasters.",
    claims=CLAIMS,
    notes=(
        (
            "Only the opening of the paper could be read; its tables are known from public notes and reviews. The "
            "method is ours after the released files, which are not copied."
        ),
        (
            "All ways of a forecaster have the same start, windows, steps and learning rate, which were not searched; "
            "benchmarks/results/sparsity.md has a search on ETTh1. Intervals are over seeds."
        ),
    ),
)
