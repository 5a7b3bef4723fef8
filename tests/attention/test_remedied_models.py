"""Audits of models with other kernels and positions: sites, identity test, codes that are there and that are not."""

import pytest
import torch
from edited_models import L, calibration, example, patterns, untrained

from forecheck.attention.codes import find_codes
from forecheck.attention.identity import identity_test
from forecheck.attention.perturb import FreezeToMean, Noise, Smooth
from forecheck.attention.positions import ShufflePositions, ShuffleTokens, ZeroPositions
from forecheck.attention.replace import Replace
from forecheck.attention.sites import Subject, attach
from forecheck.attention.trace import trace
from forecheck.errors import UsageError
from forecheck.forecasters import registry
from forecheck.forecasters.base import Task
from forecheck.nn.kernels.named import KERNELS
from forecheck.nn.positions import POSITIONS
from forecheck.nn.seeding import initialise

SOFT = ("softmax", "log-sum-exp")
KERNEL = pytest.mark.parametrize("kernel", KERNELS)


def model(name, **options):
    small = {"width": 8, "heads": 2, "hidden": 12, "layers": 2}
    module = registry.create(name, Task(L, 3, 2), small | options).module
    initialise(module, 0)
    return module.eval()


@KERNEL
@pytest.mark.parametrize(
    ("name", "sites", "options"),
    [
        ("patchtst", 2, {"patch": 4, "stride": 4}),
        ("patchtst", 2, {"patch": 4, "stride": 4, "positions": "score-bias", "residual_scores": False}),
        ("itransformer", 2, {"positions": "recency"}),
        ("transformer", 4, {"positions": "rope"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_models_pass_the_identity_test_with_every_kernel(kernel, name, sites, options):
    module = model(name, kernel=kernel, **options)
    with attach(module, example()) as attached:
        assert len(attached.sites) == sites
        assert all(site.stochastic == (kernel in SOFT) for site in attached.sites)
        assert identity_test(Subject.of(module), attached, example()).passed


@KERNEL
@pytest.mark.parametrize(
    "edit", [Replace("mean"), Replace("identity"), Replace("shuffled"), Smooth(0.5), FreezeToMean("content")], ids=str
)
def test_edits_show_and_leave_nothing(kernel, edit):
    module = untrained(kernel=kernel).module
    with torch.no_grad():
        before = module(example())
        with edit.on(module, example(), calibration()) as edited:
            assert not torch.allclose(edited(example()), before, rtol=1e-3)
        torch.testing.assert_close(module(example()), before, rtol=0, atol=0)


@KERNEL
def test_a_pattern_smoothed_by_nothing_is_the_raw_one(kernel):
    module = untrained(kernel=kernel).module
    with torch.no_grad(), Smooth(0.0).on(module, example()) as edited:
        torch.testing.assert_close(edited(example()), module(example()))


@KERNEL
def test_noise_on_scores_is_for_softmax_only(kernel):
    module = untrained(kernel=kernel).module
    if kernel in SOFT:
        with Noise(1.0).on(module, example()) as edited:
            edited(example())
    else:
        with (
            pytest.raises(
                UsageError, match=r"noise before the softmax needs one, and rows .* blocks.0.attention do not sum"
            ),
            Noise(1.0).on(module, example()),
        ):
            pass


def test_patterns_of_differences_sum_to_what_is_left():
    module = untrained(kernel="differential-simplified").module
    for weights in patterns(module, example()):
        torch.testing.assert_close(weights.sum(-1), torch.full(weights.shape[:3], 0.5))


def codes_of(module):
    with attach(module, example()) as attached:
        return {code.name: code.tokens for code in find_codes(trace(attached, example()))}


STORED = {
    "patchtst": {
        "learned": {"positions.code": 5},
        "sinusoidal": {"positions.code": 5},
        "score-bias": {f"blocks.{i}.attention.positions.bias": 5 for i in range(2)},
        "recency": {f"blocks.{i}.attention.positions.bias": 5 for i in range(2)},
    },
    "transformer": {
        "sinusoidal": {"embed_window.positions.code": 16, "embed_label.positions.code": 19},
        "learned": {"embed_window.positions.code": 16, "embed_label.positions.code": 19},
    },
}


@pytest.mark.parametrize("name", POSITIONS)
@pytest.mark.parametrize("forecaster", STORED)
def test_codes_are_found_where_there_are_any(forecaster, name):
    options = {"patch": 4, "stride": 4} if forecaster == "patchtst" else {"decoder_layers": 1}
    module = model(forecaster, positions=name, **options)
    stored = STORED[forecaster].get(name)
    if name in ("none", "rope"):
        with pytest.raises(UsageError, match="stores no position codes: they are computed"):
            codes_of(module)
    elif stored is None:
        found = codes_of(module)
        assert set(found) == {
            f"{path}.attention.positions.bias"
            for path in ("encoder.0.mixer", "encoder.1.mixer", "decoder.0.mixer", "decoder.0.cross")
        }
    else:
        assert codes_of(module) == stored


@pytest.mark.parametrize("name", ["learned", "sinusoidal", "score-bias", "recency"])
def test_zeroed_positions_are_none(name):
    """The whole effect of positions is in what audits find."""
    module = untrained(positions=name, kernel="differential").module
    none = untrained(positions="none", kernel="differential").module
    none.load_state_dict({key: value for key, value in module.state_dict().items() if "positions" not in key})
    if name == "score-bias":
        with torch.no_grad():
            for block in module.blocks:
                block.attention.positions.bias.normal_()
    with torch.no_grad():
        plain = module(example())
        assert not torch.allclose(plain, none(example()))
        with ZeroPositions().on(module, example()) as edited:
            torch.testing.assert_close(edited(example()), none(example()))
        with ShufflePositions().on(module, example()) as edited:
            assert not torch.allclose(edited(example()), plain)


@KERNEL
@pytest.mark.parametrize("positions", ["none", "rope", "score-bias", "recency"])
def test_shuffled_tokens_show_exactly_where_positions_act(kernel, positions):
    module = untrained(kernel=kernel, positions=positions).module
    with torch.no_grad():
        if positions == "score-bias":
            for block in module.blocks:
                block.attention.positions.bias.normal_()
        plain = module(example())
        with ShuffleTokens().on(module, example()) as edited:
            shuffled = edited(example())
    assert torch.allclose(shuffled, plain, rtol=1e-3, atol=1e-4) == (positions == "none")
