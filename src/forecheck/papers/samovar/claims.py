"""What the paper says, topic by topic."""

from __future__ import annotations

from forecheck.papers.claim import Claim
from forecheck.papers.samovar.exact_claims import EXACT_CLAIMS
from forecheck.papers.samovar.orders_claims import ORDERS_CLAIMS
from forecheck.papers.samovar.real_claims import REAL_CLAIMS
from forecheck.papers.samovar.recovery_claims import RECOVERY_CLAIMS
from forecheck.papers.samovar.size_claims import SIZE_CLAIMS

CLAIMS: tuple[Claim, ...] = (*EXACT_CLAIMS, *ORDERS_CLAIMS, *RECOVERY_CLAIMS, *SIZE_CLAIMS, *REAL_CLAIMS)
