"""The Initialization Determines Whether In-Context Learning Is Gradient Descent (arXiv 2512.04268)."""

from forecheck.papers.claim import Paper
from forecheck.papers.initialisation.claims import CLAIMS
from forecheck.papers.initialisation.series_claims import CLAIMS as SERIES_CLAIMS

PAPER = Paper(
    name="initialisation",
    title="The Initialization Determines Whether In-Context Learning Is Gradient Descent",
    authors="Xie, Yuan, Rossi, Hannagan",
    source="arXiv 2512.04268, TMLR 2025",
    about="Linear self-attention reads regression tasks whose weights have a prior mean. Whether it can do a step of "
    "gradient descent depends on what stands in the query's empty label slot.",
    claims=CLAIMS[:-1] + SERIES_CLAIMS + CLAIMS[-1:],
    notes=(
        "The paper's tables could not be read; where no published number is given, its statement is tested alone.",
        (
            "The law of inputs and weights (normal, no label noise) and the form of the initial guess are the usual "
            "ones, not quoted from the paper."
        ),
    ),
)
