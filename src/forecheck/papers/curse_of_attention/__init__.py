"""Curse of Attention (arXiv 2412.06061)."""

from forecheck.papers.claim import Paper
from forecheck.papers.curse_of_attention.claims import CLAIMS

PAPER = Paper(
    name="curse-of-attention",
    title="Curse of Attention: A Kernel-Based Perspective for Why Transformers Fail to Generalize on Time Series "
    "Forecasting and Beyond",
    authors="Ke, Liang, Shi, Song, Yang",
    source="arXiv 2412.06061, CPAL 2025 (PMLR 280:675-738)",
    about="",
    claims=CLAIMS,
)
