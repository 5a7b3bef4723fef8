"""Annotations are executed: what they forbid is refused, at the first calls of every test."""

import numpy as np
import pytest
from jaxtyping import TypeCheckError

import shapes
from forecheck.statistics.metrics import loss_by_time

LOSSES, TIMES = np.ones((6, 1)), np.arange(6)


@pytest.mark.parametrize("again", [1, 2])
def test_a_shape_that_is_wrong_is_refused_in_every_test(again):
    with pytest.raises(TypeCheckError):
        loss_by_time(LOSSES, TIMES[:, None])
    for _ in range(2 * shapes.FIRST):  # these use up the first calls
        loss_by_time(LOSSES, TIMES)


def test_classes_are_checked():
    from forecheck.trials.protocol import Protocol

    with pytest.raises(TypeCheckError):
        Protocol(12, split=3)
