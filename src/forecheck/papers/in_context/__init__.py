"""Why Do Transformers Fail to Forecast Time Series In-Context? (arXiv 2510.09776)."""

from forecheck.papers.claim import Paper
from forecheck.papers.in_context.claims import CLAIMS

PAPER = Paper(
    name="in-context",
    title="Why Do Transformers Fail to Forecast Time Series In-Context?",
    authors="Zhou, Wang, Goel, Zhang",
    source="arXiv 2510.09776",
    about="A layer of linear self-attention reads the lags of a series as columns of a prompt and predicts the next "
    "step. The paper compares it with the best linear predictor, step by step and rolled out.",
    claims=CLAIMS,
    notes=(
        (
            "'In context' means a window of one process with weights of its own: the paper trains one model a process, "
            "not one for many. Its OLS sees the whole series; OLS in the same context is shown beside it."
        ),
        (
            "Theorems were read in summaries. The constant of the gap and the weights in closed form are derived here. "
            "Its seeds give coefficients that could not be drawn again bit for bit; training stops on the last eighth "
            "of the training part, where the released code stops on the test part."
        ),
    ),
)
