"""Linear attention of the SAMoVAR family is reached by audits: seen as it is, edited as it says, taken out whole."""

import pytest
import torch

from forecheck.attention.identity import identity_test
from forecheck.attention.outputs import Remove
from forecheck.attention.parts import find_parts
from forecheck.attention.perturb import FreezeToMean, Smooth
from forecheck.attention.replace import Replace
from forecheck.attention.sites import Subject, attach
from forecheck.forecasters import registry
from forecheck.forecasters.base import Task
from forecheck.nn.linear_attention import LinearMixing
from forecheck.nn.seeding import initialise

TASK = Task(12, 4, 2)
SMALL = {"width": 8, "heads": 2, "layers": 2}
NAMES = ("samovar", "lintrans", "fixedvar")
NAME = pytest.mark.parametrize("name", NAMES)


def network(name, edit=None):
    kind = registry.find(name)
    module = kind(TASK, kind.Config(**SMALL), edit).module
    initialise(module, 0)
    # Draws as small as those of training would leave attention without a say.
    with torch.no_grad():
        for path, parameter in module.named_parameters():
            if "attention." in path or "source" in path:
                parameter.mul_(20 if parameter.std() < 0.5 else 1)
    return module.eval()


def windows(count=3):
    return torch.randn(count, 12, 2, generator=torch.Generator().manual_seed(1))


def attentions(module):
    return [each for each in module.modules() if isinstance(each, LinearMixing)]


@NAME
def test_audits_reach_it_and_believe_what_they_reach(name):
    module = network(name)
    with attach(module, windows()) as attached:
        assert [(site.heads, site.queries, site.keys, site.stochastic) for site in attached.sites] == [
            (2, 6, 6, False)
        ] * 2
        assert identity_test(Subject.of(module), attached, windows()).passed
        assert [part.axis is not None for part in find_parts(attached, windows(), "attention", None)] == [True] * 2


@torch.no_grad()
def test_the_pattern_is_that_of_queries_and_chained_keys():
    module, x, seen = network("samovar"), windows(), []
    tokens = module.tokens(module.tokens.patches_of(module.normalise(x).z))
    observations, (q, _), outputs = module.stack.trace(tokens)
    with attach(module, x) as attached:
        for site in attached.sites:
            site.observe(seen.append)
        attached(x)
    for weights, queries, keys in zip(seen, q, (observations, outputs[0]), strict=True):
        torch.testing.assert_close(weights, torch.einsum("shtd,shid->shti", queries, keys).tril())


@NAME
@pytest.mark.parametrize(
    "edit",
    [*(Replace(mode) for mode in ("zero", "identity", "mean", "shuffled")), Smooth(0.5), FreezeToMean("content")],
    ids=str,
)
@torch.no_grad()
def test_edits_show_and_leave_nothing(name, edit):
    module, x = network(name), windows()
    before = module(x)
    with edit.on(module, x, [x]) as edited:
        assert not torch.allclose(edited(x), before, rtol=1e-3, atol=1e-5)
    assert torch.equal(module(x), before)
    assert all(each.edit is None and each.observe is None for each in attentions(module))


@torch.no_grad()
def test_an_identity_pattern_gives_samovar_the_sum_of_its_values():
    module, x = network("samovar"), windows()
    observations, (_, v), _ = module.stack.trace(module.tokens(module.tokens.patches_of(module.normalise(x).z)))
    y = module.stack.combine(observations[:, :, -1:], sum(v)[:, :, -1:]).transpose(1, 2).flatten(1)
    expected = module.head(module.norm(y)).unflatten(0, (3, 2)).mT
    with Replace("identity").on(module, x) as edited:
        torch.testing.assert_close(
            (edited(x) - module.normalise(x).mean) / module.normalise(x).scale, expected, rtol=1e-4, atol=1e-5
        )


@NAME
@torch.no_grad()
def test_taken_out_it_adds_nothing(name):
    module, x = network(name), windows()
    with Remove().on(module, x) as edited:
        posthoc = edited(x)
    Remove().install(module, x)
    assert not attentions(module)
    torch.testing.assert_close(module(x), posthoc)


@NAME
def test_a_replacement_can_be_part_of_the_architecture(name):
    module = network(name, Replace("fixed"))
    assert all(each.edit is not None for each in attentions(module))
    assert sum(path.endswith("edit.theta") for path, _ in module.named_parameters()) == 2
    module(windows()).sum().backward()
    assert all(each.edit.theta.grad.abs().sum() > 0 for each in attentions(module))
