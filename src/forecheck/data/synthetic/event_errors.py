"""Errors on the event set of those who know the carrier and where events are, by what they know of the states."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from forecheck.data.synthetic import events

KNOWLEDGE = ("chain", "sum over events", "last event", "average event", "no event")
_SEEN = np.array([0, 1, 2, 3, 0])
"""Heights that can be told apart: 1.02 looks like 1."""


def event_errors(
    fitted: Int[np.ndarray, " fitted"], scored: Int[np.ndarray, " scored"], seed: int = 0
) -> dict[str, Float[np.ndarray, " scored"]]:
    r"""Mean squared error a target step of every window, noise included, by what is known of it.

    .. math:: E = \frac{1}{H} \sum_a \sum_{t > L} (0.5 \, \Delta(t - t_a))^2 (s_a - \hat s_a)^2 + \sigma^2

    over the events a that follow the last whole one in the input, where the forecast height is linear in

    - `chain`: which state the last event had, all five told apart: the optimum;
    - `sum over events`: what is seen of the last event, plus what is seen of the one before. Neither term needs to
      know the other event, so no token need look at another one: a head that adds up its tokens will do;
    - `last event`: what is seen of the last event alone;
    - `average event`: nothing, which gives the mean height; and for `no event` it is 0.

    Args:
        fitted: windows whose heights the coefficients come from, by least squares.
        scored: windows whose errors are returned.
        seed: of the streams of all windows.

    Source: arXiv 2509.20942, its toy set; the references are ours.
    """
    first, second = _Targets(fitted, seed), _Targets(scored, seed)
    return {name: first.error_of(second, name) for name in KNOWLEDGE}


class _Targets:
    """Heights of the events to come, how much each weighs in the error, and what is known before."""

    def __init__(self, index: Int[np.ndarray, " window"], seed: int) -> None:
        states, starts, _ = events.event_states(index, seed)
        steps = starts[..., None] + np.arange(len(events.TRIANGLE))
        inside = (steps >= events.LOOKBACK) & (steps < events.BLOCK)
        energy = events.AMPLITUDE**2 * (inside @ np.square(events.TRIANGLE)) / events.HORIZON
        row = np.arange(len(index))
        last = (starts + len(events.TRIANGLE) <= events.LOOKBACK).sum(axis=1) - 1
        following = last[:, None] + np.arange(1, events.EVENTS)
        there = following < events.EVENTS
        following = np.minimum(following, events.EVENTS - 1)
        self.weight = np.sqrt(np.take_along_axis(energy, following, axis=1) * there)  # (window, ahead)
        self.height = events.STATES[np.take_along_axis(states, following, axis=1)]
        state, before = states[row, last], states[row, last - 1]
        seen, seen_before = np.eye(4)[_SEEN[state]], np.eye(4)[_SEEN[before]]
        self.known = {
            "chain": np.eye(5)[state],
            "sum over events": np.concatenate([seen, seen_before], axis=1),
            "last event": seen,
            "average event": np.ones((len(index), 1)),
            "no event": np.zeros((len(index), 1)),
        }

    def error_of(self, other: _Targets, name: str) -> Float[np.ndarray, " window"]:
        """Errors on other windows of what is learnt from these."""
        total = np.full(len(other.weight), events.NOISE**2)
        for ahead in range(self.weight.shape[1]):
            weight, target = self.weight[:, ahead, None], (self.weight * self.height)[:, ahead]
            solution = np.linalg.lstsq(weight * self.known[name], target, rcond=None)[0]
            guess = other.weight[:, ahead] * (other.known[name] @ solution)
            total += np.square((other.weight * other.height)[:, ahead] - guess)
        return total
