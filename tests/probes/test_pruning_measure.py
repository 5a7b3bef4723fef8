"""Parts of models of several makes are found and pruned by themselves; stable ranks are those of the whole products."""

import numpy as np
import pytest
import torch
from measure_cases import case, plain
from torch import nn
from torch.nn import functional

from forecheck.attention.head_matrices import head_matrices, stable_rank
from forecheck.forecasters.base import Task
from forecheck.forecasters.external import external
from forecheck.nn.attention import Attention
from forecheck.probes.case import Case
from forecheck.probes.head_ranks import head_ranks
from forecheck.probes.pruning import SHARES, pruning
from forecheck.statistics.ranks import rank_correlation

WIDTH, PATCH, L, H = 8, 8, 48, 12


def parts_of(summary):
    return {each["part"]: each["matrices"] for each in summary["parts"]}


def test_parts_of_our_own_model_are_cut_alone():
    made = case()
    before = {name: value.clone() for name, value in made.subject.module.state_dict().items()}
    summary, arrays = pruning(made)
    assert all(torch.equal(before[name], value) for name, value in made.subject.module.state_dict().items())
    parts = parts_of(summary)
    assert list(parts) == ["attention", "feed-forward", "head", "embedding"]
    blocks = [f"blocks.{layer}." for layer in range(2)]
    assert parts["attention"] == [f"{block}attention.{name}.weight" for block in blocks for name in ("project", "out")]
    assert parts["head"] == ["head.weight"]
    assert arrays["pruned_loss"].shape == (4, len(SHARES), summary["windows"])
    with torch.no_grad():
        made.subject.module.head.weight.zero_()
    x, y = made.experiment.test.gather(torch.from_numpy(arrays["window_index"]))
    expected = (made.forecaster.predict(x) - y).square().mean(dim=(1, 2))
    np.testing.assert_allclose(arrays["pruned_loss"][2, -1], expected.numpy(), rtol=1e-4)


class Shared(nn.Module):
    """One block that is passed twice, its attention written out."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.first, self.second = nn.Linear(WIDTH, 16), nn.Linear(16, WIDTH)

    def forward(self, z):
        q, k, v = (each(z).unflatten(2, (2, -1)).transpose(1, 2) for each in (self.q, self.k, self.v))
        z = z + self.o(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return z + self.second(torch.relu(self.first(z)))


class Forecaster(nn.Module):
    def __init__(self, *blocks):
        super().__init__()
        self.embed, self.head = nn.Linear(PATCH, WIDTH), nn.Linear(L // PATCH * WIDTH, H)
        self.spare = nn.Linear(3, 3)  # never called
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x):
        z = self.embed(x.mT.reshape(-1, L // PATCH, PATCH))
        for block in self.blocks:
            z = block(z)
        return self.head(z.flatten(1)).reshape(len(x), -1, H).mT


def of_others(model):
    known = case("last")
    x, _ = known.experiment.train.gather(slice(0, 2))
    forecaster = external(model.eval(), Task(L, H, 2), x)
    return Case(forecaster.subject, forecaster, known.experiment)


def test_parts_of_torch_layers_frozen_ones_too():
    torch.manual_seed(0)
    layers = [nn.TransformerEncoderLayer(WIDTH, 2, 16, batch_first=True) for _ in range(2)]
    parts = parts_of(pruning(of_others(Forecaster(*layers).requires_grad_(False)))[0])
    assert len(parts["attention"]) == 8  # q, k, v and out of both
    assert parts["feed-forward"] == [f"blocks.{i}.linear{j}.weight" for i in range(2) for j in (1, 2)]
    assert (parts["head"], parts["embedding"]) == (["head.weight"], ["embed.weight"])
    assert parts["other"] == ["spare.weight"]


def test_parts_of_a_block_that_is_written_out():
    torch.manual_seed(0)
    parts = parts_of(pruning(of_others(Forecaster(Shared(), Shared())))[0])
    assert parts["attention"] == [f"blocks.{i}.{name}.weight" for i in range(2) for name in "qkvo"]
    assert parts["feed-forward"] == [f"blocks.{i}.{name}.weight" for i in range(2) for name in ("first", "second")]


class Inline(nn.Module):
    """All in one module, and no output projection: which weights are attention's is unknown."""

    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Linear(PATCH, 2 * WIDTH), nn.Linear(L // PATCH * 2 * WIDTH, H)

    def forward(self, x):
        z = self.embed(x.mT.reshape(-1, L // PATCH, PATCH))
        return self.head(functional.scaled_dot_product_attention(z, z, z).flatten(1)).reshape(len(x), -1, H).mT


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.map = nn.LSTM(2, 2, batch_first=True)

    def forward(self, x):
        return self.map(x)[0][:, -H:]


class Shifted(nn.Module):
    """Without a matrix."""

    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(2))

    def forward(self, x):
        return x[:, -H:] + self.shift


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Inline(), "no output projection"),
        (Recurrent(), "no attention was found"),
        (Shifted(), "nothing to prune"),
    ],
    ids=["inline", "recurrent", "shifted"],
)
def test_what_is_unknown_says_so(model, said):
    assert said in pruning(of_others(model))[0]["why_not"]


def test_functions_have_no_weights():
    assert "function" in pruning(plain(lambda x: x[:, -12:]))[0]["why_not"]


def test_stable_rank_is_that_of_the_product():
    torch.manual_seed(0)
    found = head_matrices(Attention(12, 3))
    ranks = stable_rank(found.out, found.v)
    for head in range(3):
        values = np.linalg.svd((found.out[head] @ found.v[head]).double().numpy(), compute_uv=False)
        assert float(ranks[head]) == pytest.approx((values**2).sum() / values[0] ** 2)
    assert stable_rank(torch.eye(4)[None], torch.eye(4)[None]).item() == pytest.approx(4)
    assert torch.isnan(stable_rank(torch.zeros(1, 4, 2), torch.ones(1, 2, 4)))


@pytest.mark.parametrize("fused", [True, False])
def test_heads_of_torch_are_cut_as_torch_cuts_them(fused):
    torch.manual_seed(0)
    module = nn.MultiheadAttention(8, 2, batch_first=True, bias=False, **({} if fused else {"kdim": 6, "vdim": 6}))
    found = head_matrices(module)
    x, memory = torch.randn(2, 5, 8), torch.randn(2, 4, 8 if fused else 6)
    expected, _ = module(x, memory, memory)
    q, k, v = (
        torch.einsum("hdw,btw->bhtd", each, z)
        for each, z in zip((found.q, found.k, found.v), (x, memory, memory), strict=True)
    )
    mixed = torch.softmax(q @ k.mT / 2, dim=-1) @ v
    torch.testing.assert_close(torch.einsum("hwd,bhtd->btw", found.out, mixed), expected)


def test_heads_are_ranked_and_ablated():
    made = case()
    summary, arrays = head_ranks(made)
    assert [(each["layer"], each["head"]) for each in summary["heads"]] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    block = made.subject.module.blocks[1].attention
    with torch.no_grad():
        block.out.weight[:, 4:] = 0  # without what it writes, a head is gone
    x, y = made.experiment.test.gather(torch.from_numpy(arrays["window_index"]))
    expected = (made.forecaster.predict(x) - y).square().mean(dim=(1, 2))
    np.testing.assert_allclose(arrays["ablated_loss"][3], expected.numpy(), rtol=1e-4)


def test_ranks_of_few_or_unknown_heads_are_not_asked_for():
    assert "2 heads" in head_ranks(case(options={"heads": 1}))[0]["why_not"]
    assert "lays out" in head_ranks(of_others(Forecaster(Shared(), Shared())))[0]["why_not"]
    assert "no attention" in head_ranks(plain(lambda x: x[:, -12:]))[0]["why_not"]


def test_intervals_of_rank_correlations_hold_what_they_promise():
    draw = np.random.default_rng(0)
    held = []
    for _ in range(300):
        x = draw.standard_normal((3, 12))
        found = rank_correlation([(each, draw.standard_normal(12)) for each in x])
        held.append(found.interval[0] <= 0 <= found.interval[1])
    assert 0.91 < np.mean(held) <= 0.99


def test_few_things_in_order_by_chance_are_not_certain():
    x = np.arange(4.0)
    found = rank_correlation([(x, x)])
    assert found.value == pytest.approx(0.8)
    assert found.interval[0] < 0
    assert rank_correlation([(x[:3], x[:3])]) is None
    assert rank_correlation([(x, np.ones(4))]) is None
