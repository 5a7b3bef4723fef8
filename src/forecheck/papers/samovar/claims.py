"""What the paper says, topic by topic."""

from forecheck.papers.claims import in_order
from forecheck.papers.samovar import exact_claims, orders_claims, real_claims, recovery_claims, size_claims

CLAIMS = in_order(
    __name__, exact_claims.CLAIMS, orders_claims.CLAIMS, recovery_claims.CLAIMS, size_claims.CLAIMS, real_claims.CLAIMS
)
