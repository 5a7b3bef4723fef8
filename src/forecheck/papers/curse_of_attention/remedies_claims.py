"""E7: what the remedies of section 7.2 do on the two-layer network."""

from __future__ import annotations

from forecheck.papers.claim import Claim

CLAIMS: tuple[Claim, ...] = ()
