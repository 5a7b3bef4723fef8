"""Linear Transformers as VAR Models (arXiv 2502.07244)."""

from forecheck.papers.claim import Paper
from forecheck.papers.samovar.claims import CLAIMS

PAPER = Paper(
    name="samovar",
    title="Linear Transformers as VAR Models: Aligning Autoregressive Attention Mechanisms with Autoregressive "
    "Forecasting",
    authors="Lu, Yang",
    source="arXiv 2502.07244, ICML 2025 (PMLR 267:40848-40867)",
    about="",
    claims=CLAIMS,
)
