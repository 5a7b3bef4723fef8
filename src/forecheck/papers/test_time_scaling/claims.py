"""The claims, in the paper's order; each topic has its judges beside its claims."""

from __future__ import annotations

from forecheck.papers.test_time_scaling import overthinking_claims, scaling_claims, tasks_claims

CLAIMS = scaling_claims.CLAIMS + overthinking_claims.CLAIMS + tasks_claims.CLAIMS
