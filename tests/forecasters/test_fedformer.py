"""FEDformer: its modes, its parts in place, its numbers."""

import numpy as np
import pytest
import torch

from forecheck.data.windows import Windows
from forecheck.errors import UsageError
from forecheck.forecasters import registry
from forecheck.forecasters.base import Task, predict_all
from forecheck.forecasters.fedformer import FEDformer, FEDformerConfig, FourierBlock, FourierCross
from forecheck.nn.seeding import initialise

TASK = Task(24, 4, 3)
TINY = {"width": 8, "heads": 2, "hidden": 16, "layers": 2, "label": 10, "modes": 5}


def module(**options):
    made = FEDformer(TASK, FEDformerConfig(**(TINY | options))).module
    initialise(made, 0)
    return made.eval()


def windows(batch=5):
    return torch.from_numpy(np.random.default_rng(0).standard_normal((batch, 24, 3))).float()


def test_its_mixers_are_fouriers_with_modes_of_their_own():
    made = module()
    mixers = [layer.mixer for layer in (*made.encoder[:2], *made.decoder)] + [made.decoder[0].cross]
    assert [type(mixer) for mixer in mixers] == [FourierBlock] * 3 + [FourierCross]
    assert [mixer.modes.time for mixer in mixers] == [24, 24, 14, 14]
    assert mixers[3].memory_modes.time == 24
    assert len({tuple(mixer.modes.index.tolist()) for mixer in mixers[:2]}) == 2
    assert made(windows()).shape == (5, 4, 3)


def test_several_averages_are_mixed_by_experts():
    made = module(moving_average=(6, 12))
    gates = [name for name, _ in made.named_parameters() if "gate.weight" in name]
    assert len(gates) == 1 + 2 * 2 + 3
    assert not [name for name, _ in module().named_parameters() if "gate" in name]


def test_modes_are_saved_with_the_weights(tmp_path):
    first, second = (FEDformer(TASK, FEDformerConfig(**TINY)) for _ in range(2))
    initialise(first.module, 0)
    initialise(second.module, 1)
    assert not torch.equal(first.predict(windows()), second.predict(windows()))
    second.save(tmp_path)
    assert torch.equal(registry.load(tmp_path).predict(windows()), second.predict(windows()))


def test_parameters_counted_by_hand():
    forward, norm, maps, linear = 8 * 16 + 16 + 16 * 8 + 8, 2 * 8, 5 * 2 * 4 * 4 * 2, 8 * 8 + 8
    encoder = 2 * linear + maps + forward
    decoder = 2 * linear + maps + 3 * linear + maps + forward + 3 * 8 * 3
    expected = 2 * (3 * 3 * 8) + 2 * encoder + norm + decoder + norm + 8 * 3 + 3
    assert sum(p.numel() for p in module().parameters()) == expected


def test_defaults_are_the_official_ones():
    c = FEDformerConfig()
    assert (c.label, c.width, c.heads, c.hidden, c.layers, c.decoder_layers) == (48, 512, 8, 2048, 2, 1)
    assert (c.dropout, c.modes, c.selection, c.activation, c.moving_average) == (0.05, 64, "random", "tanh", (24,))
    assert (c.lr, c.batch, c.epochs, c.patience) == (1e-4, 32, 10, 3)


def test_it_learns_a_season():
    rng = np.random.default_rng(0)
    values = np.sin(2 * np.pi * np.arange(700)[:, None] / 12 + np.arange(3)) + 0.1 * rng.standard_normal((700, 3))
    train, validation = (Windows(values, 24, 4, np.arange(a, b)) for a, b in ((24, 500), (500, 690)))
    options = {"width": 16, "hidden": 32, "epochs": 6, "lr": 3e-3, "dropout": 0.0, "moving_average": (6,)}
    forecaster = FEDformer(TASK, FEDformerConfig(**(TINY | options)))
    forecaster.fit(train, validation)
    truth = validation.gather(slice(0, len(validation)))[1]
    assert (predict_all(forecaster, validation) - truth).square().mean() < 0.15


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"modes": 0}, "modes must be positive, got 0"),
        ({"heads": 3}, "512 is not a multiple of 3"),
        ({"moving_average": "0:3"}, "moving_average must be positive"),
        ({"selection": "best"}, "must be one of random, lowest"),
    ],
)
def test_impossible_settings_are_named(options, message):
    with pytest.raises(UsageError, match=message):
        registry.create("fedformer", TASK, options)
