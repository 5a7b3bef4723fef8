"""E8: what section 7.1 says of attention on vectors."""

from __future__ import annotations

from forecheck.papers.claim import Claim

CLAIMS: tuple[Claim, ...] = ()
