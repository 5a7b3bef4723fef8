"""Understanding the Role of Training Data in Test-Time Scaling (arXiv 2510.03605)."""

from forecheck.papers.claim import Paper
from forecheck.papers.test_time_scaling.claims import CLAIMS

PAPER = Paper(
    name="test-time-scaling",
    title="Understanding the Role of Training Data in Test-Time Scaling",
    authors="Javanmard, Mirzasoleiman, Mirrokni",
    source="arXiv 2510.03605, ICLR 2026",
    about="A layer of linear attention is trained to give a regression's weights at once; at test time its answer is "
    "appended to the prompt and it thinks again. How many thoughts help depends on what it was trained on.",
    claims=CLAIMS,
    notes=(
        (
            "The width d, the lengths of test prompts and the scale of the skewed spectrum were not found; d = 10, and "
            "both scales are run. Counted so that k thoughts are k updates from w_0 = 0."
        ),
        (
            "Errors are those of w over d, with the weights integrated out prompt by prompt. Mean errors of short "
            "prompts are carried by the few that diverge, so medians and the share that diverges stand beside them."
        ),
        "The kinds of tasks are a reconstruction: decay of the spectrum and number of skills, by their names.",
    ),
)
