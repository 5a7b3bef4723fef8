"""One stream of random numbers a sample, so that sample i is the same whatever is drawn beside it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int


def streams(index: Int[np.ndarray, " sample"], seed: int, purpose: int, part: int = 0) -> Iterator[np.random.Generator]:
    """Generators of samples, each to be used before the next is taken: one generator is set to the next key.

    Philox is a function of key and counter, so a stream costs a key instead of a seeding (four times faster).

    Args:
        index: numbers of the samples, at least 0.
        seed: at least 0.
        purpose: what is drawn, so that parameters and noise of a sample do not share numbers.
        part: which draw for that purpose.
    """
    bits = np.random.Philox(key=np.array([seed, 0], dtype=np.uint64))
    state = bits.state
    generator = np.random.Generator(bits)
    for i in index:
        state["state"]["key"][1] = i
        state["state"]["counter"][:] = (0, 0, part, purpose)
        bits.state = state
        yield generator
