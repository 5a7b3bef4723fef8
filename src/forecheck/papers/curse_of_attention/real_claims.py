"""E9 to E11: real series."""

from __future__ import annotations

from forecheck.papers.claim import Claim

CLAIMS: tuple[Claim, ...] = ()
