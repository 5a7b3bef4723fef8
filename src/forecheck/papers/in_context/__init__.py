"""Why Do Transformers Fail to Forecast Time Series In-Context? (arXiv 2510.09776)."""

from forecheck.papers.claim import Paper
from forecheck.papers.in_context.claims import CLAIMS

PAPER = Paper(
    name="in-context",
    title="Why Do Transformers Fail to Forecast Time Series In-Context?",
    authors="Zhou, Wang, Goel, Zhang",
    source="arXiv 2510.09776",
    about="",
    claims=CLAIMS,
)
