"""What the paper says of its toy data set, embeddings and tokens."""

from __future__ import annotations

from forecheck.papers.claim import Claim

CLAIMS: tuple[Claim, ...] = ()
