"""The two ways to compute: kernels for a CPU, and plain operations as on all other devices, agree."""

import pytest
import torch
from torch import nn

from forecheck.forecasters import registry
from forecheck.forecasters.base import Task
from forecheck.nn.attention import Attention
from forecheck.nn.dropout import Dropout
from forecheck.nn.kernels.softmax import softmax_attention
from forecheck.nn.plain import plain, plainly
from forecheck.nn.seeding import initialise, reseed
from forecheck.training.loop import training_loss

NETWORKS = ["patchtst", "differential", "itransformer", "samovar", "lintrans", "informer", "transformer", "vq-patchtst"]
SMALL = {"patch": 6, "stride": 6, "width": 8, "heads": 2, "hidden": 8, "vq_codes": 8}
SMALL |= {"dropout": 0.0, "attention_dropout": 0.0}


def test_only_other_devices_and_records_are_plain():
    assert not plain(torch.device("cpu"))
    assert plain(torch.device("meta"))
    with plainly():
        assert plain(torch.device("cpu"))
    assert not plain(torch.device("cpu"))


@pytest.mark.parametrize("name", NETWORKS)
def test_both_ways_give_the_same_loss_and_gradient(name):
    known = registry.defaults(registry.find(name))
    options = {key: value for key, value in SMALL.items() if key in known}
    module = registry.create(name, Task(24, 6, 2, 12), options).module
    initialise(module, 0)
    drawn = torch.Generator().manual_seed(1)
    x, y = torch.randn(5, 24, 2, generator=drawn), torch.randn(5, 6, 2, generator=drawn)
    start = {name: value.clone() for name, value in module.state_dict().items()}
    found = []
    for way in (plainly, torch.enable_grad):
        module.load_state_dict(start)  # codes and running means move in training
        module.train().zero_grad()
        reseed(module, 0, 0)
        with way():
            loss = training_loss(module, x, y)
            loss.backward()
        found.append((loss.detach(), [p.grad.clone() for p in module.parameters() if p.grad is not None]))
    (loss, gradients), (expected, others) = found
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)
    assert gradients
    for gradient, other in zip(gradients, others, strict=True):
        torch.testing.assert_close(gradient, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("masked", [False, True])
def test_fused_attention_is_softmax_attention(masked):
    drawn = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 3, 7, width, generator=drawn) for width in (4, 4, 5))
    mask = torch.ones(7, 7, dtype=torch.bool).tril(-1) if masked else None  # the first query sees nothing
    expected = softmax_attention(q, k, v, mask, need_weights=False).out
    with plainly():
        out, weights = softmax_attention(q, k, v, mask, need_weights=False)
        formed = softmax_attention(q, k, v, mask)
    assert weights is None
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(formed.out, expected)
    assert formed.weights.shape == (2, 3, 7, 7)


def test_fused_attention_drops_what_it_says_and_forms_no_pattern(monkeypatch):
    attention, x = Attention(8, 2, dropout=0.5).train(), torch.randn(4, 6, 8)
    called, own = [], nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(
        nn.functional, "scaled_dot_product_attention", lambda *args, **kw: called.append(args[4]) or own(*args, **kw)
    )
    with plainly():
        torch.manual_seed(3)
        first, _ = attention(x)
        torch.manual_seed(3)
        again, _ = attention(x)
        other, _ = attention(x)
        assert called == [0.5] * 3
        attention.observe = lambda weights: called.append(tuple(weights.shape))
        attention(x)
    assert called[3:] == [(4, 2, 6, 6)]  # who looks at the pattern gets it
    torch.testing.assert_close(first, again)
    assert not torch.equal(first, other)


def test_plain_dropout_keeps_the_mean_and_the_base():
    dropout, x = Dropout(0.25).train(), torch.ones(400, 100)
    with plainly():
        dropped = dropout(x, 2 * x) - 2 * x
    assert sorted(dropped.unique().tolist()) == pytest.approx([0, 4 / 3])
    assert float(dropped.mean()) == pytest.approx(1, abs=0.02)
