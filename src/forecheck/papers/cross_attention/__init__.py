"""Multi-layer Cross-Attention is Provably Optimal for Multi-modal In-context Learning (arXiv 2602.04872)."""

from forecheck.papers.claim import Paper
from forecheck.papers.cross_attention.claims import CLAIMS

PAPER = Paper(
    name="cross-attention",
    title="Multi-layer Cross-Attention is Provably Optimal for Multi-modal In-context Learning",
    authors="Barnfield, Sen, Sur",
    source="arXiv 2602.04872",
    about="",
    claims=CLAIMS,
)
