"""E6: what section 5.1 says of the neural tangent kernel."""

from __future__ import annotations

from forecheck.papers.claim import Claim

CLAIMS: tuple[Claim, ...] = ()
