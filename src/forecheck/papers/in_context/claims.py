"""The claims; each topic has its judges beside its claims."""

from __future__ import annotations

from forecheck.papers.in_context import gap_claims, learning_claims, rolling_claims

CLAIMS = gap_claims.CLAIMS + learning_claims.CLAIMS + rolling_claims.CLAIMS
