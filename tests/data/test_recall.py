import numpy as np

from forecheck.data.synthetic.recall import BLOCK, KEYS, recall


def test_values_repeat_those_of_the_block_that_the_cue_marks():
    blocks = recall(400, seed=3, noise=0).values.reshape(-1, BLOCK)
    keys, values, cues = blocks[:, :4].argmax(axis=1), blocks[:, 4:12], blocks[:, 12:].argmax(axis=1)
    repeated = []
    for n in range(KEYS, 399):
        recent = range(n - KEYS + 1, n + 1)
        assert sorted(keys[m] for m in recent) == list(range(KEYS))
        marked = next(m for m in recent if keys[m] == cues[n])
        repeated.append((values[n + 1] == values[marked]).all())
    assert 0.65 < np.mean(repeated) < 0.85  # a quarter of the blocks is new


def test_the_seed_decides():
    assert (recall(50, seed=1).values == recall(50, seed=1).values).all()
    assert (recall(50, seed=1).values != recall(50, seed=2).values).any()
    assert np.std(recall(2000, noise=0).values.reshape(-1, BLOCK)[:, 4:12]) > 0.8
