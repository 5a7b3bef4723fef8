"""Heads and units that are zero are taken out, forecasts stay, and what cannot go is said."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from forecheck.errors import DataError, UsageError
from forecheck.forecasters.base import Task
from forecheck.forecasters.registry import find
from forecheck.nn.attention import Attention
from forecheck.sparsity.masks import masks
from forecheck.sparsity.methods import METHODS, Goal
from forecheck.sparsity.parts import groups_of, parts_of
from forecheck.sparsity.prunable import prunable
from forecheck.sparsity.prune import Steps, cut, prune_network
from forecheck.sparsity.removal import remove_dead
from forecheck.sparsity.smaller import NoHeads

TASK = Task(24, 6, 2)
SMALL = {
    "patchtst": {"patch": 8, "stride": 8, "width": 8, "heads": 4, "hidden": 12, "layers": 3},
    "itransformer": {"width": 8, "heads": 4, "hidden": 12, "layers": 2},
    "differential": {"patch": 8, "stride": 8, "width": 8, "heads": 2, "hidden": 12, "layers": 2},
    "tsmixer": {},
    "latst": {},
    "transformer": {"width": 8, "heads": 2, "hidden": 12, "layers": 1},
    "informer": {"width": 8, "heads": 2, "hidden": 12, "layers": 1, "decoder_layers": 1},
}


def forecaster(name, **options):
    torch.manual_seed(0)
    kind = find(name)
    made = kind(TASK, kind.Config(**(SMALL.get(name, {}) | options)))
    for parameter in made.module.parameters():
        if parameter.dim() == 1:  # biases at first are zero
            nn.init.normal_(parameter, std=0.3)
    made.module.eval()
    return made


def numbers(module):
    return sum(each.numel() for each in module.parameters())


def windows(count=3):
    return torch.randn(count, 24, 2, generator=torch.Generator().manual_seed(1))


def emptied(module, kind, sparsity, scope="layer"):
    """Zero whole heads or units, the smallest."""
    weights = prunable(module).weights
    groups = groups_of(module, kind, [weight.name for weight in weights])
    names = {member.name for each in groups for member in each.members}
    weights = [weight for weight in weights if weight.name in names]
    found = masks({weight.name: weight.value.square() for weight in weights}, sparsity, scope, groups)
    for weight in weights:
        weight.value.masked_fill_(~found[weight.name], 0)
    return groups


@pytest.mark.parametrize("kind", ["heads", "units"])
@pytest.mark.parametrize("name", SMALL)
def test_forecasts_stay_and_the_smaller_network_is_made_anew(name, kind):
    for sparsity in (0.5, 1.0):
        made = forecaster(name)
        if not emptied(made.module, kind, sparsity):
            pytest.skip(f"no {kind}")
        found = remove_dead(made.module, windows())
        assert found.notes == []
        if not found.removed:
            assert kind == "heads"
            assert sparsity == 0.5
            continue  # one head, of which half is one
        assert numbers(found.model) < numbers(made.module)
        torch.testing.assert_close(found.model(windows(5)), made.module(windows(5)))
        again = forecaster(name)
        again.resize(found.sizes)
        again.restore(found.model.state_dict())
        assert torch.equal(again.predict(windows()), found.model(windows()))
        described = again.described()
        assert find(name).from_described(described).described() == described


@given(st.integers(0, 2**12 - 1))
@settings(max_examples=12, deadline=None)
def test_residual_scores_stay_as_long_as_a_later_layer_adds_them(bits):
    """Any of the twelve heads may lead nowhere."""
    made = forecaster("patchtst")
    dead = [[bool(bits >> (4 * layer + head) & 1) for head in range(4)] for layer in range(3)]
    for block, mine in zip(made.module.blocks, dead, strict=True):
        for head in range(4):
            if mine[head]:
                block.attention.out.weight.data[:, 2 * head : 2 * head + 2] = 0
    found = remove_dead(made.module, windows())
    assert found.notes == []
    torch.testing.assert_close(found.model(windows()), made.module(windows()))
    for layer, block in enumerate(found.model.blocks):
        stays = sum(not all(each[head] for each in dead[layer:]) for head in range(4))
        assert (block.attention.heads if stays else 0) == stays
        assert isinstance(block.attention, Attention if stays else NoHeads)
    again = forecaster("patchtst")
    again.resize(found.sizes)
    again.restore(found.model.state_dict())
    assert torch.equal(again.predict(windows()), found.model(windows()))


def test_what_was_made_smaller_can_be_made_smaller_again():
    made = forecaster("patchtst")
    made.module.blocks[2].attention.out.weight.data[:, 2:] = 0
    first = remove_dead(made.module, windows())
    first.model.blocks[1].attention.out.weight.data[:, :6] = 0
    first.model.blocks[1].feed_forward.outer.weight.data[:, 3:] = 0
    second = remove_dead(first.model, windows())
    assert second.notes == []
    assert [block.attention.heads for block in second.model.blocks] == [4, 2, 1]
    torch.testing.assert_close(second.model(windows()), first.model(windows()))
    again = forecaster("patchtst")
    again.resize(first.sizes)
    again.resize(second.sizes)
    other = find("patchtst").from_described(again.described())
    for each in (again, other):
        each.restore(second.model.state_dict())
        assert torch.equal(each.predict(windows()), second.model(windows()))


def test_units_that_are_always_the_same_go_into_the_bias():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(4, 6), nn.Dropout(0.5), nn.Tanh(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)
    ).eval()
    model[0].weight.data[[1, 4]] = 0
    model[3].weight.data[2] = 0
    x = torch.randn(7, 4)
    found = remove_dead(model, x)
    assert [(each["before"], each["after"]) for each in found.removed.values()] == [(6, 4), (5, 4)]
    torch.testing.assert_close(found.model(x), model(x))
    assert model[0].out_features == 6
    model.train()
    parts_of(model)
    assert model[1].training


class Foreign(nn.Module):
    """Torch's own layers, with a decoder's perceptron beside them."""

    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True)
        self.head = nn.Linear(8, 8)

    def forward(self, x):
        return self.head(self.layer(x))


def test_torch_layers_lose_units_and_keep_heads():
    torch.manual_seed(0)
    model, x = Foreign().eval(), torch.randn(3, 5, 8)
    emptied(model, "units", 0.5)
    emptied(model, "heads", 0.5)
    found = remove_dead(model, x)
    assert found.model.layer.linear1.out_features == 6
    assert found.model.layer.self_attn.num_heads == 2
    assert found.notes == ["heads that are zero and stay: 1 (nn.MultiheadAttention computes all of its heads)"]
    with torch.no_grad():
        torch.testing.assert_close(found.model(x), model(x))


def test_a_network_that_counts_on_its_sizes_is_left_as_it_is():
    class Reads(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))

        def forward(self, x):
            return self.net(x) * self.net[0].out_features

    torch.manual_seed(0)
    model = Reads()
    model.net[2].weight.data[:, 0] = 0
    found = remove_dead(model, torch.randn(3, 4))
    assert found.model is model
    assert found.removed == {}
    assert "forecasts otherwise" in found.notes[0]


def test_shared_and_edited_parts_and_heads_with_positions_stay():
    tied = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    tied[2].weight = tied[0].weight
    assert parts_of(tied) == {}
    assert all(part.kind == "units" for part in parts_of(forecaster("patchtst", positions="recency").module).values())
    rotary = parts_of(forecaster("patchtst", positions="rope").module)
    assert sum(part.kind == "heads" for part in rotary.values()) == 3


@pytest.mark.parametrize(
    ("method", "kind", "scope"),
    [*((method, "units", None) for method in METHODS), ("elsa", "heads", None), ("magnitude", "heads", "global")],
)
def test_whole_groups_go_by_every_method(method, kind, scope):
    made = forecaster("itransformer")
    x, y = windows(8), torch.randn(8, 6, 2, generator=torch.Generator().manual_seed(2))

    def loss(network, inputs, targets):
        return (network(inputs) - targets).square().mean()

    goal = Goal(0.5, scope, kind, steps=6, interval=3)
    with torch.no_grad():
        before = float(loss(made.module, x, y))
    found = prune_network(
        made.module,
        loss,
        lambda step: (x, y),
        lambda network: float(loss(network, x, y).detach()),
        goal,
        method=method,
        training=Steps(6),
    )
    assert found.validation[0] == pytest.approx(before)
    ends = [mask for name, mask in found.masks.items() if name.endswith(("attention.out.weight", "outer.weight"))]
    stays = sum(int(mask.any(dim=0).sum()) for mask in ends) // {"heads": 2, "units": 1}[kind]
    assert stays == {"heads": 4, "units": 12}[kind]
    after = [each["after"] for each in remove_dead(made.module, x).removed.values()]
    assert sum(after) == stays or 1 in after  # of the units of a layer one stays in any case
    assert not any(name.startswith("embed") for name in found.masks)
    assert found.prunable.left_out["head.weight"] == f"no part of the {kind}"


def test_groups_with_the_largest_norms_stay():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    sizes = torch.tensor([0.1, 3.0, 0.2, 2.0])
    model[0].weight.data = sizes[:, None].expand(4, 3).clone()
    model[2].weight.data = sizes.flip(0).expand(2, 4).clone()  # 3 * 0.1² + 2 * 2² and so on
    weights = prunable(model).weights
    found = masks(
        {w.name: w.value.square() for w in weights},
        0.5,
        "layer",
        groups_of(model, "units", [*dict(model.named_parameters())]),
    )
    norms = 3 * sizes**2 + 2 * sizes.flip(0) ** 2
    kept = norms >= norms.sort(descending=True).values[1]
    assert torch.equal(found["0.weight"], kept[:, None].expand(4, 3))
    assert torch.equal(found["2.weight"], kept[None].expand(2, 4))
    with cut(weights, found):
        assert remove_dead(model, torch.randn(2, 3)).removed["0"]["after"] == 2


@pytest.mark.parametrize(("pattern", "said"), [("heads", "no attention heads"), ("units", "no hidden units")])
def test_patterns_that_nothing_has_are_refused(pattern, said):
    model, x = nn.Sequential(nn.Linear(4, 2)), torch.randn(3, 4)
    goal = Goal(0.5, pattern=pattern, steps=0)
    with pytest.raises(UsageError, match=said):
        prune_network(
            model, nn.functional.mse_loss, lambda _: (x, x), lambda _: 0.0, goal, method="magnitude", training=Steps(0)
        )


@pytest.mark.parametrize(
    "sizes",
    [
        {"blocks.0.attention": {"count": 9}},
        {"blocks.0.attention": {"count": -1}},
        {"blocks.0.attention": {"count": True}},
        {"blocks.0.feed_forward.inner": {"count": 0}},
        {"blocks.7.attention": {"count": 1}},
        {"head": {"count": 1}},
        {"blocks.2.attention": {"count": 1}},
        {"blocks.2.attention": {"count": 1, "below": [4]}},
        {"blocks.2.attention": {"count": 1, "below": [0, 1]}},
        {"blocks.2.attention": {"count": 1, "below": [-1]}},
        {"blocks.0.attention": {"count": 0}},
        {"blocks.1.attention": {}},
    ],
)
def test_sizes_that_do_not_fit_are_refused(sizes, tmp_path):
    made = forecaster("patchtst")
    made.sizes = copy.deepcopy(sizes)
    made.save(tmp_path)
    with pytest.raises(DataError, match="does not hold a saved patchtst"):
        find("patchtst").load(tmp_path)


def test_sizes_are_no_way_to_build_what_has_no_room(tmp_path):
    made = forecaster("patchtst")
    made.sizes = {"blocks.0.feed_forward.inner": {"count": 1}}
    made.save(tmp_path)
    path = tmp_path / "forecaster.json"
    path.write_text(path.read_text().replace('"hidden": 12', '"hidden": 1000000000000'))
    with pytest.raises(DataError, match="does not hold so many"):
        find("patchtst").load(tmp_path)


def test_stored_trainings_do_not_hang_on_how_pruned_fits_are_read(monkeypatch):
    from forecheck import fingerprints
    from forecheck.trials import named

    read = fingerprints._module
    seen = []
    monkeypatch.setattr(fingerprints, "_module", lambda name: seen.append(name) or read(name))
    named._fingerprint.cache_clear()
    named.code_of("patchtst", None, None, refit=False)
    assert "forecheck.forecasters.neural" in seen
    assert not {"forecheck.sparsity.removal", "forecheck.sparsity.parts"} & set(seen)
