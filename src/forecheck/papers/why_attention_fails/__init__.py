"""Why Attention Fails: The Degeneration of Transformers into MLPs in Time Series Forecasting (arXiv 2509.20942)."""

from forecheck.papers.claim import Paper
from forecheck.papers.why_attention_fails.claims import CLAIMS

PAPER = Paper(
    name="why-attention-fails",
    title="Why Attention Fails: The Degeneration of Transformers into MLPs in Time Series Forecasting",
    authors="Zida, Zhu, Sun",
    source="arXiv 2509.20942",
    about="Forecasting Transformers lose little when their attention is replaced, disturbed or left with nothing to "
    "attend to; the paper concludes that they work as MLPs over linearly embedded patches.",
    claims=CLAIMS,
    notes=(
        (
            "The body of the paper could not be read: published numbers are from the authors' tables for their "
            "reviewers and from the code and its history, where the hyper-parameters of these tables are not stated."
        ),
        (
            "The released replacement code cannot have made the tables (modes other than raw raise, the fixed matrix "
            "is not trained, the mean divides by the head's width); definitions here are those of the text."
        ),
        (
            "Of the sets and horizons of the paper ETTh1 (and with the full budget ETTh2) at horizon 96 are run, all "
            "four for the claim on last batches. Weather, where the authors' own PatchTST loses most without attention "
            "and gains by a fixed matrix, takes hours."
        ),
        (
            "A finding of no difference says that this model on these data gets along without attention, not that "
            "attention cannot work: the toy claims hold the case where it must help."
        ),
    ),
)
