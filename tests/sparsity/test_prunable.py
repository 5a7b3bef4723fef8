"""What can be pruned of a network is named once, and the rest with the reason."""

import pytest
import torch
from torch import nn

from forecheck.errors import UsageError
from forecheck.forecasters.base import Task
from forecheck.forecasters.registry import find
from forecheck.sparsity.masks import masks
from forecheck.sparsity.norms import input_norms
from forecheck.sparsity.prunable import head_of, prunable
from forecheck.sparsity.prune import cut


class Small(nn.Module):
    """Attention, a convolution, tied maps and a bare parameter."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Conv1d(2, 8, 3, padding=1)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8)
        self.second.weight = self.first.weight
        self.norm, self.scale, self.head = nn.LayerNorm(8), nn.Parameter(torch.ones(8, 8)), nn.Linear(8, 2)

    def forward(self, x):
        z = self.embed(x.transpose(1, 2)).transpose(1, 2)
        z = z + self.attention(z, z, z, need_weights=False)[0]
        return self.head(self.norm(self.second(self.first(z)) @ self.scale))


def test_every_weight_once():
    torch.manual_seed(0)
    found = prunable(Small())
    names = [weight.name for weight in found.weights]
    projections = [f"attention.in_proj_weight[{part}]" for part in "qkv"]
    assert names == ["embed.weight", *projections, "attention.out_proj.weight", "first.weight", "head.weight"]
    assert found.left_out["second.weight"] == "is first.weight, counted once"
    assert found.left_out["scale"].startswith("a bare parameter")
    assert found.left_out["head.bias"].startswith("a bias")
    assert [weight.size for weight in found.weights[:2]] == [48, 64]


def test_the_head_is_what_runs_last():
    model = Small()
    assert head_of(model, prunable(model).weights, torch.ones(1, 5, 2)) == "head.weight"


def test_ignored_and_frozen_weights_are_left_out():
    model = Small()
    model.first.weight.requires_grad_(False)
    found = prunable(model, ["attention", "h*d"])
    assert [weight.name for weight in found.weights] == ["embed.weight"]
    assert found.left_out["first.weight"] == "frozen"
    assert found.left_out["head.weight"] == "ignored as h*d"


@pytest.mark.parametrize(
    ("model", "ignore", "said"),
    [
        (Small(), ["nothing"], "fits no"),
        (Small(), ["*"], "all that could be pruned is ignored"),
        (nn.ReLU(), [], "nothing to"),
        (nn.Embedding(2, 2), [], "Embeddings and bare"),
    ],
)
def test_nothing_to_prune_is_said(model, ignore, said):
    with pytest.raises(UsageError, match=said):
        prunable(model, ignore)


def test_norms_of_inputs_are_seen_however_the_product_is_called():
    torch.manual_seed(1)
    model, x = Small(), torch.randn(3, 5, 2)
    weights = prunable(model).weights
    norms = input_norms(model, weights, [x[:1], x[1:]])
    padded = nn.functional.pad(x, (0, 0, 1, 1))
    taps = torch.stack([padded[:, tap : tap + 5] for tap in range(3)], dim=-1).flatten(0, 1).flatten(1)
    torch.testing.assert_close(norms["embed.weight"], taps.norm(dim=0))
    z = model.embed(x.transpose(1, 2)).transpose(1, 2)
    torch.testing.assert_close(norms["attention.in_proj_weight[k]"], z.flatten(0, 1).norm(dim=0))
    seen = []
    model.head.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    model(x)
    torch.testing.assert_close(norms["head.weight"], seen[0].flatten(0, 1).norm(dim=0))
    v = nn.functional.linear(z, model.attention.in_proj_weight, model.attention.in_proj_bias).unflatten(-1, (3, 2, 4))
    q, k, v = (v[..., part, :, :].transpose(1, 2) for part in range(3))
    mixed = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
    torch.testing.assert_close(norms["attention.out_proj.weight"], mixed.flatten(0, 1).norm(dim=0))


def test_norms_of_the_inputs_of_our_own_attention_are_seen():
    module = find("patchtst")(Task(48, 6, 2)).module.eval()
    found = prunable(module).weights
    norms = input_norms(module, found, [torch.randn(4, 48, 2)])
    assert set(norms) == {weight.name for weight in found}
    assert all((norm > 0).all() for norm in norms.values())


def test_norms_of_convolutions_in_groups_are_not_seen_and_that_is_said():
    model = nn.Conv1d(4, 4, 3, groups=2)
    with pytest.raises(UsageError, match="inputs of weight are not seen"):
        input_norms(model, prunable(model).weights, [torch.ones(1, 4, 5)])


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_recurrent_layers_are_pruned(kind):
    torch.manual_seed(0)
    model = nn.Sequential(kind(3, 4, num_layers=2, bidirectional=True))
    found = prunable(model)
    assert len(found.weights) == 8
    assert all("bias" in name for name in found.left_out)
    (first,) = (weight for weight in found.weights if weight.name == "0.weight_ih_l0")
    with cut(found.weights, masks({weight.name: weight.value.abs() for weight in found.weights}, 0.75)):
        zeros = [int((each == 0).sum()) for each in model.parameters() if each.dim() == 2]
        assert zeros == [round(0.75 * weight.size) for weight in found.weights]
        x = torch.randn(2, 5, 3)
        assert model(x)[0].isfinite().all()
    assert first.value.all()
    assert prunable(nn.LSTMCell(3, 4)).weights[1].name == "weight_hh"
    assert prunable(nn.Sequential(nn.Embedding(3, 4), nn.Linear(4, 1))).left_out["0.weight"] == "an embedding"
