"""The paper's claims, in its order."""

from forecheck.papers.claims import in_order
from forecheck.papers.why_attention_fails import (
    last_batch_claims,
    patches_claims,
    perturbation_claims,
    positions_claims,
    replacement_claims,
    toy_claims,
)

CLAIMS = in_order(
    __name__,
    replacement_claims.CLAIMS,
    perturbation_claims.CLAIMS,
    patches_claims.CLAIMS,
    positions_claims.CLAIMS,
    last_batch_claims.CLAIMS,
    toy_claims.CLAIMS,
)
