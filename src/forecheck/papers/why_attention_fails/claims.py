"""The paper's claims, in its order."""

from __future__ import annotations

from forecheck.papers.claim import Claim
from forecheck.papers.why_attention_fails import (
    patches_claims,
    perturbation_claims,
    positions_claims,
    replacement_claims,
    toy_claims,
)

CLAIMS: tuple[Claim, ...] = (
    *replacement_claims.CLAIMS,
    *perturbation_claims.CLAIMS,
    *patches_claims.CLAIMS,
    *positions_claims.CLAIMS,
    *toy_claims.CLAIMS,
)
