"""The claims, in the paper's order; each topic has its judges beside its claims."""

from forecheck.papers.claims import in_order
from forecheck.papers.test_time_scaling import overthinking_claims, scaling_claims, tasks_claims

CLAIMS = in_order(__name__, scaling_claims.CLAIMS, overthinking_claims.CLAIMS, tasks_claims.CLAIMS)
