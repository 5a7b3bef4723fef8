"""Audits of models that were trained elsewhere."""

import pytest
import torch

import forecheck as fc
from forecheck.attention.adapters.native import NativeAdapter
from forecheck.attention.sites import Attached
from forecheck.errors import UsageError
from forecheck.forecasters import registry
from forecheck.forecasters.base import Task
from panels import TINY, hourly, ragged

L, H = 48, 12
ARGUMENTS = {"lookback": L, "horizon": H, "workers": 0}


def patchtst(channels=2):
    return registry.create("patchtst", Task(L, H, channels), TINY).module


class Encoder(torch.nn.Module):
    """A forecaster that nobody has heard of."""

    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Linear(8, 16)
        self.position = torch.nn.Parameter(torch.randn(6, 16))
        layer = torch.nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.encoder = torch.nn.TransformerEncoder(layer, 2)
        self.head = torch.nn.Linear(96, H)

    def forward(self, x):
        patches = x.mT.reshape(-1, 6, 8)
        z = self.encoder(self.embed(patches) + self.position)
        return self.head(z.flatten(1)).reshape(len(x), -1, H).mT


def outcomes(report):
    return {finding.code: finding.outcome for finding in report.findings}


@pytest.fixture(scope="module")
def encoder():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Encoder()


@pytest.fixture(scope="module")
def report(encoder, tmp_path_factory):
    return fc.audit(hourly(700), encoder, **ARGUMENTS, store=tmp_path_factory.mktemp("store"))


def test_any_torch_model_is_audited_after_training(report):
    assert report.verdict.question == "checkpoint"
    assert report.verdict.outcome in ("helps", "hurts", "no difference", "undecided")
    assert report.data["protocol"]["model"] == "Encoder"
    assert report.data["protocol"]["adapter"].startswith("2 attention sites through the torch.nn.MultiheadAttention")
    assert [site["path"] for site in report.data["sites"]] == [f"encoder.layers.{i}.self_attn" for i in range(2)]
    assert len(report.data["attention"]) == 4
    found = outcomes(report)
    assert found["FC108"] == "pass"
    assert all(found[code] == "not applicable" for code in found if code.startswith("FC4"))
    assert all(
        found[code] != "not applicable" for code in found if code.startswith(("FC3", "FC50")) and code != "FC505"
    )
    assert {each["why"].split(",")[0] for each in report.data["skipped"]} <= {"run with --prune"}


def test_one_checkpoint_is_compared_without_a_claim_about_seeds(report):
    references = [f for f in report.findings if f.family == "references" and f.effect is not None]
    assert references
    assert not any("seed" in f.why for f in report.findings if f.outcome == "undecided")


def test_the_same_model_is_not_run_again_and_another_one_is(encoder, tmp_path):
    panel, asked = hourly(700), {**ARGUMENTS, "select": ["FC301"], "store": tmp_path}
    first = fc.audit(panel, encoder, **asked)
    again = fc.audit(panel, encoder, **asked)
    other = fc.audit(panel, Encoder(), **asked)
    total = first.data["protocol"]["trials"]["total"]
    assert first.data["protocol"]["trials"] == {"total": total, "from store": 0}
    assert again.data["protocol"]["trials"] == {"total": total, "from store": total}
    assert other.data["protocol"]["trials"] == {"total": total, "from store": total - 2}
    assert again.data["verdict"] == first.data["verdict"]


def test_a_function_without_attention_gets_what_can_be_said_of_it(tmp_path):
    report = fc.audit(hourly(700), lambda x: x[:, -1:].expand(-1, H, -1), **ARGUMENTS, store=tmp_path, name="repeat")
    assert report.verdict.outcome == "not applicable"
    assert "no attention was found" in report.verdict.sentence
    found = outcomes(report)
    assert found["FC301"] == found["FC108"] == "not applicable"
    assert found["FC204"] == "no difference"  # it is the last value
    assert report.to_html()
    assert report.to_text()
    assert report.to_markdown()


def test_real_units_give_the_same_losses(tmp_path):
    panel = hourly(700)
    values = torch.from_numpy(panel.values[:490]).float()
    mean, std = values.mean(dim=0), values.std(dim=0, correction=0)
    standard = patchtst().eval()
    asked = {**ARGUMENTS, "store": tmp_path, "select": ["FC201"]}
    first = fc.audit(panel, standard, **asked)
    real = fc.audit(panel, lambda x: standard((x - mean) / std) * std + mean, **asked, units="real")
    mse = [next(arm["mse"] for arm in r.data["arms"] if arm["family"] == "raw") for r in (first, real)]
    assert mse[1] == pytest.approx(mse[0], rel=1e-4)
    with pytest.raises(UsageError, match="one series only"):
        fc.audit(ragged(), lambda x: x, lookback=12, horizon=4, units="real")
    with pytest.raises(UsageError, match="units are standardised or real"):
        fc.audit(panel, standard, **asked, units="celsius")


class Wrong(NativeAdapter):
    """Reaches the sites, but forecasts something else."""

    name = "wrong"

    def attach(self, subject, example):
        inner = super().attach(subject, example)

        class Off:
            def __enter__(self):
                attached = inner.__enter__()
                return Attached("wrong", attached.sites, lambda x: 1.01 * attached(x))

            def __exit__(self, *error):
                return inner.__exit__(*error)

        return Off()


def test_an_adapter_that_fails_its_identity_test_is_not_believed(tmp_path):
    report = fc.audit(hourly(700), patchtst(), **ARGUMENTS, adapter=Wrong(), store=tmp_path)
    found = outcomes(report)
    assert found["FC108"] == "fail"
    assert found["FC301"] == "not applicable"
    assert "failed its identity test" in report.verdict.sentence
    assert not [arm for arm in report.data["arms"] if arm["family"] not in ("raw", "reference")]


def test_options_of_a_given_model_are_refused():
    with pytest.raises(UsageError, match="options are set for patchtst"):
        fc.audit(hourly(700), patchtst(), **ARGUMENTS, options={"patchtst": {"epochs": 3}})
