"""E0: the paper's formulas against differences."""

from __future__ import annotations

from forecheck.papers.claim import Claim

CLAIMS: tuple[Claim, ...] = ()
