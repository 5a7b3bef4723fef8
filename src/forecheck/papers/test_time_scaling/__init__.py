"""Understanding the Role of Training Data in Test-Time Scaling (arXiv 2510.03605)."""

from forecheck.papers.claim import Paper
from forecheck.papers.test_time_scaling.claims import CLAIMS

PAPER = Paper(
    name="test-time-scaling",
    title="Understanding the Role of Training Data in Test-Time Scaling",
    authors="Javanmard, Mirzasoleiman, Mirrokni",
    source="arXiv 2510.03605, ICLR 2026",
    about="",
    claims=CLAIMS,
)
