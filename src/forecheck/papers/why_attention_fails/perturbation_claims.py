"""What the paper says of attention and feed-forward parts that are disturbed after training."""

from __future__ import annotations

from forecheck.papers.claim import Claim

CLAIMS: tuple[Claim, ...] = ()
