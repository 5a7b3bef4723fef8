"""Linear Transformers as VAR Models (arXiv 2502.07244)."""

from forecheck.papers.claim import Paper
from forecheck.papers.samovar.claims import CLAIMS

PAPER = Paper(
    name="samovar",
    title="Linear Transformers as VAR Models: Aligning Autoregressive Attention Mechanisms with Autoregressive "
    "Forecasting",
    authors="Lu, Yang",
    source="arXiv 2502.07244, ICML 2025 (PMLR 267:40848-40867)",
    about="Linear attention without softmax is a vector autoregression (VAR) whose coefficients are made of queries "
    "and values. SAMoVAR chains such layers through their keys, so that the whole stack is one VAR with coefficients "
    "that sum over temporal influence paths.",
    claims=CLAIMS,
    notes=(
        (
            "Of the paper's body only the opening could be read. Claims are those of the poster, of the released code "
            "(commit 4e2581f) and, where it says so, of an independent package that refers to the paper by section."
        ),
        (
            "The model is the released code's: structural matrix on the layers' sum with the shortcut outside, queries "
            "and values normalised, no scale."
        ),
        (
            "Networks that learn are given far fewer samples here than in the released notebook (2 million) and "
            "scripts (hours); what a network scores here is no statement of what it can reach."
        ),
        (
            "Unseen orders: the notebook does not clip gradients, the released scripts do, and after so few samples "
            "the ranking hangs on it, whatever the intervals over samples say. Both are run. Stable processes, whose "
            "gradients are tame, are run with clipping alone."
        ),
    ),
)
