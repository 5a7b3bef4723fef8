"""The claims; each topic has its judges beside its claims."""

from forecheck.papers.claims import in_order
from forecheck.papers.in_context import gap_claims, learning_claims, rolling_claims

CLAIMS = in_order(__name__, gap_claims.CLAIMS, learning_claims.CLAIMS, rolling_claims.CLAIMS)
