"""The chain of known causes: its law, and what its channels say of each other."""

import numpy as np
import pytest

from forecheck.papers.samovar.causal_path import CAUSES, CHANNELS, causal_panel, causal_path


def test_all_channels_are_white_with_variance_one():
    gamma = causal_path(0.8).autocovariances(6)[0]
    np.testing.assert_allclose(gamma[0], np.eye(3), atol=1e-12)
    for lag in range(1, 6):
        np.testing.assert_allclose(gamma[lag].diagonal(), 0, atol=1e-12)


def test_a_channel_is_driven_by_its_cause_at_its_lag():
    gamma = causal_path(0.8).autocovariances(6)[0]
    expected = np.zeros((6, 3, 3))
    expected[0] = np.eye(3)
    expected[2, 1, 0], expected[1, 2, 1], expected[3, 2, 0] = 0.8, 0.8, 0.64  # the last one through B
    np.testing.assert_allclose(gamma, expected, atol=1e-12)


def test_a_panel_is_a_path_of_the_chain():
    panel = causal_panel(6000, seed=3)
    assert panel.channels == CHANNELS
    for channel, (cause, lag) in CAUSES.items():
        driven, driver = (panel.values[:, CHANNELS.index(name)] for name in (channel, cause))
        assert np.corrcoef(driven[lag:], driver[:-lag])[0, 1] == pytest.approx(0.9, abs=0.02)
    np.testing.assert_array_equal(causal_panel(6000, seed=3).values, panel.values)
    assert not np.array_equal(causal_panel(6000, seed=4).values, panel.values)
