"""Sign-inconsistent next-step prediction: proposition 6.3 and what lies around it."""

from __future__ import annotations

from forecheck.papers.claim import Claim

CLAIMS: tuple[Claim, ...] = ()
