import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from measure_cases import case
from torch import nn

from forecheck.attention.sites import Attached, Subject, attach
from forecheck.probes.case import Case, batches, spread
from forecheck.probes.patterns import PatternSums
from forecheck.probes.representation import representation
from forecheck.probes.tokens import effective_rank, linear_cka, own_share, tokens_of
from panels import hourly


class Site:
    layer = 0
    path = "here"
    module = None
    projected = True

    def __init__(self, pattern):
        self.heads, self.queries, self.keys = pattern.shape[1:]

    def edit(self, pattern):
        raise AssertionError

    def observe(self, callback):
        raise AssertionError


def sums(*patterns):
    found = PatternSums(Site(patterns[0]))
    for pattern in patterns:
        found.add(pattern)
    return found


def test_uniform_patterns_have_entropy_one_and_no_parts():
    found = sums(torch.full((3, 2, 5, 5), 0.2)).summary()
    assert found["entropy"] == pytest.approx(1)
    assert found["total_variation"] == pytest.approx(0, abs=1e-7)
    assert found["self_weight"] == pytest.approx(0.2)
    assert not found["collapsed"]


def test_uniform_causal_patterns_do_too():
    causal = torch.ones(5, 5).tril()
    found = sums((causal / causal.sum(1, keepdim=True)).expand(3, 2, 5, 5)).summary()
    assert found["entropy"] == pytest.approx(1)
    assert found["total_variation"] == pytest.approx(0, abs=1e-6)


def test_identity_patterns_have_collapsed_and_are_all_position():
    found = sums(torch.eye(5).expand(3, 2, 5, 5)).summary()
    assert found["entropy"] == 0
    assert found["collapsed"]
    assert found["total_variation"] == pytest.approx(0.8)
    assert found["position_share"] == 1
    assert found["self_weight"] == 1
    assert found["last_key_weight"] == pytest.approx(0.2)


def test_parts_add_up_by_hand():
    # Query 1 always looks at key 0; query 0 at either key, with even odds: half of the variance is content.
    one, other = torch.tensor([[1.0, 0], [1, 0]]), torch.tensor([[0.0, 1], [1, 0]])
    found = sums(torch.stack([one, other])[:, None]).summary()
    assert found["position_share"] == pytest.approx(0.5)
    assert found["content_share"] == pytest.approx(0.5)


@given(st.integers(0, 10_000), st.integers(2, 6))
def test_sums_are_those_of_all_windows_at_once(seed, keys):
    patterns = torch.softmax(3 * torch.randn(6, 2, 4, keys, generator=torch.Generator().manual_seed(seed)), -1)
    found = sums(*patterns.split(4)).summary()
    a = patterns.double().numpy()
    mean = a.mean(axis=0)
    position, content = np.square(mean - 1 / keys).mean(), a.var(axis=0).mean()
    assert found["entropy"] == pytest.approx(-(a * np.log(a)).sum(-1).mean() / np.log(keys))
    assert found["total_variation"] == pytest.approx(np.abs(a - 1 / keys).sum(-1).mean() / 2)
    assert found["position_share"] == pytest.approx(position / (position + content))
    assert found["position_share"] + found["content_share"] == pytest.approx(1)
    assert np.mean(found["heads"]["entropy"]) == pytest.approx(found["entropy"])


def test_rows_with_weights_below_0_are_no_distributions():
    found = sums(torch.tensor([[[[1.5, -0.5], [20.0, -3.0]]]])).summary()
    assert found["entropy"] is None
    assert found["total_variation"] is None
    assert found["self_weight"] == pytest.approx(-0.75)


def test_effective_rank_is_that_of_singular_values():
    matrix = np.random.default_rng(0).standard_normal((40, 7)) * np.arange(1, 8) + 5
    s = np.linalg.svd(matrix - matrix.mean(axis=0), compute_uv=False)
    p = s / s.sum()
    assert float(effective_rank(torch.tensor(matrix))) == pytest.approx(np.exp(-(p * np.log(p)).sum()))


def test_effective_rank_has_its_bounds():
    assert float(effective_rank(torch.outer(torch.arange(9.0), torch.ones(4)))) == pytest.approx(1)
    both = torch.cat([torch.eye(4), -torch.eye(4)]).double()
    assert float(effective_rank(both)) == pytest.approx(4)
    assert torch.isnan(effective_rank(torch.full((5, 3), 0.1)))


def test_cka_sees_through_rotation_shift_and_scale():
    rng = np.random.default_rng(0)
    x = torch.tensor(rng.standard_normal((500, 6)))
    turn = torch.tensor(np.linalg.qr(rng.standard_normal((6, 6)))[0])
    assert linear_cka(x, 3 * x @ turn + 7) == pytest.approx(1)
    assert linear_cka(x, torch.tensor(rng.standard_normal((500, 6)))) < 0.05


def test_cka_is_that_of_kernels():
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((30, 4)), rng.standard_normal((30, 9))
    centre = np.eye(30) - 1 / 30
    k, m = (centre @ z @ z.T @ centre for z in (x, y))
    expected = (k * m).sum() / np.sqrt((k * k).sum() * (m * m).sum())
    assert linear_cka(torch.tensor(x), torch.tensor(y)) == pytest.approx(expected)


def test_own_share_is_zero_for_equal_tokens():
    assert own_share(torch.randn(4, 1, 8).expand(4, 5, 8)) == pytest.approx(0, abs=1e-10)
    assert own_share(torch.tensor([[[1.0], [-1.0]], [[2.0], [0.0]]])) == pytest.approx((1 + 0.5) / 2)


@pytest.mark.parametrize("channels", [1, 2])
def test_a_model_is_described_layer_by_layer(channels):
    summary, arrays = representation(case(panel=hourly(channels=channels), options={"layers": 3}))
    assert [layer["path"] for layer in summary["layers"]] == [f"blocks.{i}.attention" for i in range(3)]
    for i, layer in enumerate(summary["layers"]):
        assert 0 < layer["patterns"]["entropy"] <= 1
        assert layer["patterns"]["position_share"] + layer["patterns"]["content_share"] == pytest.approx(1)
        assert arrays[f"entropy_{i}"].shape == (2, 7)
        assert 1 <= layer["tokens"]["entering"]["window_rank"] <= layer["tokens"]["entering"]["window_most"]
        assert 1 <= layer["tokens"]["leaving"]["rank"] <= 8
    np.testing.assert_allclose(np.diag(arrays["cka"]), 1)
    assert (arrays["cka"] < 1 + 1e-9).all()
    assert summary["layers"][2]["tokens"]["cka_before"] == pytest.approx(arrays["cka"][1, 2])
    assert summary["layers"][2]["tokens"]["cka_first"] == pytest.approx(arrays["cka"][0, 2])
    assert summary["layers"][0]["tokens"]["cka_before"] is None


def test_patterns_are_those_that_the_model_has():
    made = case()
    summary, _ = representation(made)
    seen = []
    train = made.experiment.train
    with attach(made.subject, train.gather(slice(0, 2))[0]) as attached:
        attached.sites[1].observe(seen.append)
        attached(train.gather(spread(train))[0])
    a = torch.cat(seen).double()
    expected = -(a * a.log()).sum(-1).mean() / np.log(a.shape[-1])
    assert summary["layers"][1]["patterns"]["entropy"] == pytest.approx(float(expected))


def test_tokens_are_what_enters_and_leaves():
    made = case()
    module, x = made.subject.module, made.experiment.train.gather(slice(0, 3))[0]
    with attach(made.subject, x) as attached:
        found = tokens_of(attached, module, x)[0]
    z, _, _ = module.window_norm(x)
    entering = module.positions(module.embed(z.transpose(1, 2).flatten(0, 1)))
    torch.testing.assert_close(found.entering, entering.detach())
    torch.testing.assert_close(found.leaving, module.blocks[0].attention(entering)[0].detach())


def test_tokens_are_found_around_a_module_that_mixes_only():
    """A site whose module is handed heads instead of tokens: the module around it is asked."""

    class Mix(nn.Module):
        def forward(self, q):
            return q

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.mix = Mix()

        def forward(self, x):
            return self.mix(x.unflatten(2, (2, -1)).transpose(1, 2)).transpose(1, 2).flatten(2) + 1

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([Layer(), Layer()])

        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            return x

    model = Model()
    x = torch.randn(3, 5, 4)
    sites = []
    for i in range(2):
        site = Site(torch.zeros(1, 2, 5, 5))
        site.layer, site.module = i, model.layers[i].mix
        sites.append(site)
    found = tokens_of(Attached("", sites, model), model, x)
    torch.testing.assert_close(found[1].entering, x + 1)
    torch.testing.assert_close(found[1].leaving, x + 2)
    sites[0].module = None
    assert "not known" in tokens_of(Attached("", sites, model), model, x)[0]
    sites[1].queries = 6
    assert "(batch, token, width)" in tokens_of(Attached("", sites[1:], model), model, x)[1]


def test_nothing_of_it_stays():
    made = case()
    x = made.experiment.test.gather(slice(0, 3))[0]
    made.subject.module.train()
    before, state = made.forecaster.predict(x), torch.get_rng_state()
    made.subject.module.train()
    representation(made)
    assert made.subject.module.training
    assert all(not m._forward_hooks for m in made.subject.module.modules())
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(made.forecaster.predict(x), before)


def test_it_repeats_exactly():
    first, again = representation(case()), representation(case())
    assert first[0] == again[0]
    assert all((first[1][name] == again[1][name]).all() for name in first[1])


def test_without_attention_the_reason_stands():
    summary, arrays = representation(case("nlinear"))
    assert "no attention was found" in summary["why_not"]
    assert arrays == {}


def test_windows_are_spread_over_the_part():
    train = case("last").experiment.train
    index = spread(train, 10)
    assert index[0] == 0
    assert index[-1] == len(train) - 1
    assert int(index.diff().max() - index.diff().min()) <= 1
    assert sum(len(x) for x, _ in batches(train, index, 3)) == 10
    wide = case("last", panel=hourly(200, channels=500), lookback=8, horizon=2).experiment.train
    assert len(spread(wide)) == 16


def test_a_plain_function_is_a_case():
    made = case("last")
    summary, _ = representation(Case(Subject(lambda x: x[:, -12:]), made.forecaster, made.experiment))
    assert "no attention" in summary["why_not"]
