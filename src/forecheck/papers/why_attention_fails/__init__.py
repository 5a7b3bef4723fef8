"""Why Attention Fails: The Degeneration of Transformers into MLPs in Time Series Forecasting (arXiv 2509.20942)."""

from forecheck.papers.claim import Paper
from forecheck.papers.why_attention_fails.claims import CLAIMS

PAPER = Paper(
    name="why-attention-fails",
    title="Why Attention Fails: The Degeneration of Transformers into MLPs in Time Series Forecasting",
    authors="Zida, Zhu, Sun",
    source="arXiv 2509.20942",
    about="",
    claims=CLAIMS,
)
