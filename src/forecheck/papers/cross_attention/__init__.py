"""Multi-layer Cross-Attention is Provably Optimal for Multi-modal In-context Learning (arXiv 2602.04872)."""

from forecheck.papers.claim import Paper
from forecheck.papers.cross_attention.claims import CLAIMS

PAPER = Paper(
    name="cross-attention",
    title="Multi-layer Cross-Attention is Provably Optimal for Multi-modal In-context Learning",
    authors="Barnfield, Sen, Sur",
    source="arXiv 2602.04872",
    about="Prompts whose inputs are noisy views of shared factors, with a covariance of their own each. One layer of "
    "linear attention has one map for all of them; layers of cross-attention invert the covariance of each.",
    claims=CLAIMS,
    notes=(
        (
            "This is a reconstruction: data model and layer could not be read in the paper. They were built so that "
            "they give its limits of the trained parameters; all numbers are of the reconstruction."
        ),
        (
            "One factor, 10 inputs, labels without noise. Errors are taken over all queries of a prompt at once, "
            "beyond the Bayes error. Means of short contexts are carried by the few prompts that diverge; medians "
            "stand beside them."
        ),
    ),
)
