"""Audits of models whose attention is reached in part, or that break where a check asks for something."""

import pytest
import torch
from torch import nn
from torch.nn import functional

import forecheck as fc
from panels import hourly

L, H = 48, 12
ARGUMENTS = {"lookback": L, "horizon": H, "workers": 0}


class Two(nn.Module):
    """Attention that is reached, which hardly counts, and a gated state of keys and values, which does the work."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.qkv, self.head = nn.Linear(8, 16), nn.Linear(16, 96), nn.Linear(96, H)

    def forward(self, x):
        q, k, v, a, b, c = self.qkv(self.embed(x.mT.reshape(-1, 6, 8))).chunk(6, -1)
        reached = functional.scaled_dot_product_attention(q, k, v)
        state = (b.sigmoid().mT @ c) * b.mean(1)[..., None].sigmoid()
        return self.head((0.01 * reached + 2 * a.sigmoid() @ state).flatten(1)).reshape(len(x), -1, H).mT


class Varying(nn.Module):
    """Its tokens are as many as the values of the window say (periods read off a spectrum)."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.head = nn.Linear(L, H)

    def forward(self, x):
        z = x.mT.reshape(-1, 12 if float(x[0, 0, 0]) > 0 else 6, 4 if float(x[0, 0, 0]) > 0 else 8)
        return self.head(functional.scaled_dot_product_attention(z, z, z).reshape(len(x), -1, L)).mT


@pytest.fixture(scope="module")
def partly(tmp_path_factory):
    select = ["FC108", "FC30"]
    return fc.audit(hourly(700), Two().eval(), **ARGUMENTS, select=select, store=tmp_path_factory.mktemp("store"))


def test_the_verdict_says_first_that_it_is_about_what_was_reached(partly):
    words = "This is about the attention that was reached (1 site), not about a product of two activations"
    assert partly.verdict.sentence.startswith(words)
    assert partly.verdict.attention.startswith(words)
    assert partly.verdict.worth != "not for its attention"


def test_every_finding_on_attention_says_so_and_fc108_fails(partly):
    (test,) = [finding for finding in partly.findings if finding.code == "FC108"]
    assert (test.outcome, test.title) == ("fail", "attention was reached in part")
    found = [
        finding for finding in partly.findings if finding.code[:3] == "FC3" and finding.outcome != "not applicable"
    ]
    assert found
    for finding in found:
        assert finding.title.endswith("as far as it was reached")
        assert "not about a product of two activations" in finding.meaning
    assert "every attention matrix" not in str(partly.data)


def test_a_model_that_breaks_in_a_check_does_not_end_the_audit(tmp_path):
    report = fc.audit(hourly(700), Varying().eval(), **ARGUMENTS, select=["FC108", "FC303", "FC705"], store=tmp_path)
    whys = {finding.code: finding.why for finding in report.findings if finding.outcome == "not applicable"}
    assert report.verdict.sentence
    assert all(whys.values())
