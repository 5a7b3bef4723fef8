"""Our own models' sites, and the identity test."""

import pytest
import torch
from edited_models import C, Foreign, H, InlineBlock, example, subject, untrained

from forecheck.attention.identity import identity_test
from forecheck.attention.sites import Subject, attach, attach_sites
from forecheck.errors import UsageError


@pytest.mark.parametrize("options", [{}, {"residual_scores": False}, {"norm": "layer"}], ids=str)
def test_sites_are_found_in_forward_order_and_pass_the_identity_test(options):
    module = untrained(**options).module
    with attach(module, example()) as found:
        assert [site.layer for site in found.sites] == [0, 1, 2]
        assert [site.path for site in found.sites] == [f"blocks.{layer}.attention" for layer in range(3)]
        assert {(site.heads, site.queries, site.keys) for site in found.sites} == {(2, 5, 5)}
        assert found.describe() == "3 attention sites through the native adapter (2 heads x 5 tokens)"
        assert identity_test(Subject.of(module), found, example()).worst < 1e-6


def test_an_adapter_that_changes_the_forecast_fails_the_identity_test():
    model = Foreign(InlineBlock)
    with attach_sites(subject(model), example()) as found:
        assert identity_test(subject(model), found, example()).passed
        off = Subject(lambda x: model(x) * 1.001, model)
        assert not identity_test(off, found, example()).passed


def test_looking_for_sites_leaves_the_mode_and_the_statistics_alone():
    module = untrained().module
    for training in (True, False):
        module.train(training)
        before = {key: value.clone() for key, value in module.state_dict().items()}
        with attach(module, example()) as found:
            identity_test(Subject.of(module), found, example())
        assert all(each.training is training for each in module.modules())
        for key, value in module.state_dict().items():
            torch.testing.assert_close(value, before[key], rtol=0, atol=0)


def test_a_model_without_attention_has_no_sites_and_a_reason():
    class Head(torch.nn.Module):
        def forward(self, x):
            return x[:, :H]

    with attach(Head(), example()) as found:
        assert not found.sites
        assert "no attention was found in Head" in found.why_not
        assert found(example()).shape == (2, H, C)
    with pytest.raises(UsageError, match="no attention was found in Head"), attach_sites(Head(), example()):
        pass
