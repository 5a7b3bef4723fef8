"""What the paper says of what becomes of forecasts when attention is replaced before training."""

from __future__ import annotations

from forecheck.papers.claim import Claim

CLAIMS: tuple[Claim, ...] = ()
