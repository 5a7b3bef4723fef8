"""The paper's claims, by the numbers of the experiments that test them."""

from forecheck.papers.claims import in_order
from forecheck.papers.curse_of_attention import (
    cases_claims,
    gradients_claims,
    kernel_claims,
    learning_claims,
    matrix_claims,
    real_claims,
    remedies_claims,
    residual_claims,
    score_claims,
    shift_claims,
    sign_claims,
)

CLAIMS = in_order(
    __name__,
    gradients_claims.CLAIMS,
    sign_claims.CLAIMS,
    residual_claims.CLAIMS,
    shift_claims.CLAIMS,
    learning_claims.CLAIMS,
    score_claims.CLAIMS,
    kernel_claims.CLAIMS,
    remedies_claims.CLAIMS,
    matrix_claims.CLAIMS,
    cases_claims.CLAIMS,
    real_claims.CLAIMS,
)
