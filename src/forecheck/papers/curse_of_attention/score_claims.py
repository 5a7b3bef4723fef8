"""E5: what theorem 5.3 says of the attention to the last step."""

from __future__ import annotations

from forecheck.papers.claim import Claim

CLAIMS: tuple[Claim, ...] = ()
