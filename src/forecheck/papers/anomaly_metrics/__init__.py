"""Formally Exploring Time-Series Anomaly Detection Evaluation Metrics (arXiv 2510.17562)."""

from forecheck.papers.anomaly_metrics.claims import CLAIMS
from forecheck.papers.claim import Paper

PAPER = Paper(
    name="anomaly-metrics",
    title="Formally Exploring Time-Series Anomaly Detection Evaluation Metrics",
    authors="Wagner, Nair, Franks, ..., Fellenz, Kloft",
    source="arXiv 2510.17562, AISTATS 2026",
    about="Metrics of anomaly detection are judged by properties that they should have: what they reward in extent, "
    "count, false alarms, timing and redundancy. None of the known ones is said to have all.",
    claims=CLAIMS,
    notes=(
        (
            "Beyond its first page and the caption of figure 1 the paper could not be read: its properties, its list "
            "of 37 metrics and the formula of LARM are not known here. Properties and draws are ours, in the spirit of "
            "its aspects."
        ),
        (
            "ALARM is measured by the formula of public code of the same group, which cites no paper; that it is the "
            "paper's is inferred."
        ),
    ),
)
