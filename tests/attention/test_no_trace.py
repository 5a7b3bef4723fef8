"""What is looked at is left as it was, whatever happens meanwhile."""

import pytest
import torch
import torch._dynamo  # puts something into torch when it is first imported, which no edit takes back
from torch import nn
from torch.nn import functional
from torch.overrides import _get_current_function_mode

from forecheck.attention.patterns import Mean
from forecheck.attention.replace import POSTHOC_MODES, Replace
from forecheck.attention.sites import attach_sites

L, C, WIDTH, HEADS = 6, 2, 8, 2


class Every(nn.Module):
    """All three styles, with dropout and batch statistics that a wrong mode would show."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.norm, self.drop = nn.Linear(C, WIDTH), nn.BatchNorm1d(L), nn.Dropout(0.5)
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 12, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(WIDTH, C)
        self.fails = False

    def forward(self, x):
        z = self.encoder(self.drop(self.norm(self.embed(x))))
        q = z.unflatten(2, (HEADS, -1)).transpose(1, 2)
        z = z + functional.scaled_dot_product_attention(q, q, q).transpose(1, 2).flatten(2)
        z = z + torch.softmax(z @ z.mT, dim=-1) @ z
        if self.fails:
            raise Failed
        return self.head(z)


class Failed(Exception):  # noqa: N818
    """Anything that goes wrong in a forward pass."""


def example(seed=1):
    return torch.randn(4, L, C, generator=torch.Generator().manual_seed(seed))


def traces(model):
    return {
        "state": {key: value.tolist() for key, value in model.state_dict().items()},
        "training": [each.training for each in model.modules()],
        "hooks": [
            (key, len(value))
            for each in model.modules()
            for key, value in vars(each).items()
            if "hooks" in key and value
        ],
        "functions": {key: value for key, value in vars(functional).items() if callable(value)},
        "module": dict(vars(nn.Module)),
        "torch": {key: value for key, value in vars(torch).items() if callable(value)},
        "tensor": dict(vars(torch.Tensor)),
        "random numbers": torch.get_rng_state().tolist(),
        "gradients": torch.is_grad_enabled(),
        "fast path": torch.backends.mha.get_fastpath_enabled(),
        "mode": _get_current_function_mode(),
    }


def forecast(model):
    with torch.no_grad():
        training = model.training
        y = model.eval()(example())
        model.train(training)
    return y


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("mode", POSTHOC_MODES)
def test_after_an_edit_all_is_as_before(mode, training):
    model = Every().train(training)
    model.norm.eval()  # a module with a mode of its own
    plain, before = forecast(Every()), traces(model)
    with Replace(mode).on(model, example(), [example(2)]) as edited:
        assert len(edited.sites) == 4
        assert not any(each.training for each in model.modules())
        assert (edited(example()) - plain).abs().max() > 1e-4
        during = traces(model)  # between passes nothing is patched, either
        assert {key: during[key] for key in before if key != "training"} == {
            key: before[key] for key in before if key != "training"
        }
        with torch.no_grad():
            assert torch.equal(model(example()), plain)  # the model itself is not edited
    assert traces(model) == before
    assert torch.equal(forecast(model.eval()), plain)


def test_after_an_exception_in_the_block_all_is_as_before():
    model = Every()
    before = traces(model)
    with pytest.raises(Failed), Replace("mean").on(model, example()) as edited:
        raise Failed(edited(example()))
    assert traces(model) == before


def test_after_an_exception_in_a_pass_all_is_as_before():
    model = Every()
    before = traces(model)
    with attach_sites(model, example()) as attached:
        model.fails = True
        attached.sites[0].edit(Mean())
        with pytest.raises(Failed):
            attached(example())
        between = traces(model) | {"training": before["training"]}
        assert between == before
    assert traces(model) == before


@pytest.mark.parametrize("layer", range(4))
def test_after_an_exception_inside_attention_all_is_as_before(layer):
    """The edit itself fails, where torch's functions are replaced for its time."""
    model = Every()
    before = traces(model)

    def fail(_):
        raise Failed

    with attach_sites(model, example()) as attached:
        attached.sites[layer].observe(fail)
        with pytest.raises(Failed):
            attached(example())
    assert traces(model) == before


def test_after_an_exception_in_the_search_all_is_as_before():
    model = Every()
    model.fails = True
    before = traces(model)
    with pytest.raises(Failed), attach_sites(model, example()):
        pass
    assert traces(model) == before


def test_a_model_that_keeps_its_own_tensors_keeps_them_plain():
    """Tensors that were looked at carry nothing of ours."""
    kept = []

    class Keeping(Every):
        def forward(self, x):
            z = self.embed(x)
            scores = z @ z.mT
            weights = scores.softmax(-1)
            kept.extend([scores, weights])
            return self.head(weights @ z)

    with Replace("mean").on(Keeping(), example()) as edited:
        edited(example())
    assert all(type(each) is torch.Tensor and not vars(each) for each in kept)
    raw = kept[-1].sum(-1)
    torch.testing.assert_close(raw, torch.ones_like(raw))
    assert kept[-1].std() > 0  # the model's own weights stay raw
