"""E4: what theorem 5.2 says of training."""

from __future__ import annotations

from forecheck.papers.claim import Claim

CLAIMS: tuple[Claim, ...] = ()
