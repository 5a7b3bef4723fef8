"""FEDformer's sublayers have no pattern: what can be edited in them is, as by hand, and the rest is refused."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from forecheck.attention.identity import identity_test
from forecheck.attention.outputs import Remove
from forecheck.attention.parts import find_parts
from forecheck.attention.patterns import Mean
from forecheck.attention.perturb import FreezeToMean
from forecheck.attention.replace import Replace
from forecheck.attention.sites import Subject, attach
from forecheck.errors import UsageError
from forecheck.forecasters.base import Task
from forecheck.forecasters.fedformer import FEDformer, FEDformerConfig, FourierBlock, FourierCross
from forecheck.nn.seeding import initialise

TASK = Task(24, 4, 3)
TINY = {"width": 8, "heads": 2, "hidden": 16, "layers": 2, "label": 10, "modes": 5}


def network(edit=None):
    made = FEDformer(TASK, FEDformerConfig(**TINY), edit).module
    initialise(made, 0)
    with torch.no_grad():  # draws as small as those of training leave the maps without a say
        for path, parameter in made.named_parameters():
            parameter.mul_(50 if "maps" in path else 1)
    return made.eval()


def windows(count=5):
    return torch.randn(count, 24, 3, generator=torch.Generator().manual_seed(1))


def alone(block, values):
    """What every step takes from itself, by its definition: the block is given nothing but that step."""
    found = torch.zeros_like(values)
    for step in range(values.shape[1]):
        only = torch.zeros_like(values)
        only[:, step] = values[:, step]
        found[:, step] = block.modes.give(block.maps(block.modes.take(only)), values)[:, step]
    return found


@torch.no_grad()
@settings(max_examples=25)
@given(st.integers(1, 13), st.integers(1, 8), st.sampled_from(["random", "lowest"]))
def test_what_a_step_takes_from_itself(time, modes, selection):
    block = FourierBlock(time, FEDformerConfig(width=4, heads=2, modes=modes, selection=selection)).double()
    values = torch.randn(2, time, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(time))
    torch.testing.assert_close(block.maps.own(values, block.modes.shares), alone(block, values))


@torch.no_grad()
@pytest.mark.parametrize("mode", ["identity", "zero"])
def test_an_edit_is_the_same_edit_by_hand(mode, monkeypatch):
    made, x = network().double(), windows().double()
    plain = made(x)
    layers = (0, 1, 2) if mode == "identity" else None
    with Replace(mode, layers=layers).on(made, x) as edited:
        found = edited(x)

    def by_hand(block, tokens, memory=None):
        values = block.query(tokens)
        return block.out(alone(block, values) if mode == "identity" else torch.zeros_like(values))

    monkeypatch.setattr(FourierBlock, "forward", by_hand)
    if mode == "zero":
        monkeypatch.setattr(FourierCross, "forward", by_hand)
    torch.testing.assert_close(found, made(x), rtol=1e-6, atol=1e-6)
    assert (found - plain).abs().max() > 1e-3 * plain.abs().max()


@torch.no_grad()
def test_audits_reach_all_of_it():
    made, x = network(), windows()
    with attach(made, x) as attached:
        paths = [site.path for site in attached.sites]
        assert paths == ["encoder.0.mixer", "encoder.1.mixer", "decoder.0.mixer", "decoder.0.cross"]
        assert [(site.heads, site.queries, site.keys) for site in attached.sites[1:]] == [
            (2, 24, 24),
            (2, 14, 14),
            (2, 14, 24),
        ]
        assert "2 heads x 24 tokens without a pattern" in attached.describe()
        test = identity_test(Subject.of(made), attached, x)
        assert test.passed
        assert not test.unreached  # with nothing in their place no Fourier transform is left
        assert len(find_parts(attached, x, "attention", None)) == 4
    removed = network(Remove())
    assert not [each for each in removed.modules() if isinstance(each, FourierBlock | FourierCross)]
    assert removed(x).shape == (5, 4, 3)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (Replace("mean"), "has no pattern to edit: its tokens are frequencies"),
        (Replace("shuffled"), "has no pattern to edit"),
        (Replace("frozen-mean"), "has no pattern to edit"),
        (FreezeToMean("content"), "has no pattern to edit"),
        (Replace("zero", heads=(0,)), "has no pattern to edit"),
        (Replace("identity"), "looks from 14 tokens at 24: identity is undefined"),
    ],
    ids=lambda each: each.label if not isinstance(each, str) else "",
)
def test_what_means_nothing_is_refused(edit, message):
    made, x = network(), windows()
    with pytest.raises(UsageError, match=message), edit.on(made, x, [x]):
        pass
    if isinstance(edit, Replace) and edit.mode == "mean":
        with pytest.raises(UsageError, match=message):
            network(edit)
    assert torch.equal(made(x), network()(x))


def test_a_pattern_put_on_by_force_is_no_number():
    made = network()
    made.encoder[0].mixer.edit = Mean()
    with pytest.raises(ValueError, match="Mean edits a pattern, but its tokens are frequencies"):
        made(windows())


def test_tokens_of_a_memory_are_no_tokens_of_its_own():
    """Queries and keys of the frequencies' attention are never the same token, whatever the sizes."""
    made, x = network(), torch.randn(2, 14, 8)
    cross = FourierCross(14, 14, FEDformerConfig(**TINY))
    made.decoder[0].cross = cross
    site = [*attached_sites(made)][3]
    assert (site.queries, site.keys, site.across) == (14, 24, True)
    assert cross(x).shape == (2, 14, 8)


def attached_sites(made):
    with attach(made, windows()) as attached:
        return attached.sites
