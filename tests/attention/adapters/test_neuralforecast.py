"""Models of neuralforecast, untrained and tiny."""

import numpy as np
import pandas as pd
import pytest
import torch
from adapted import AdapterSuite, C, H, L, check_wrap, drawn, subject_of, windows

from forecheck.attention.adapters.neuralforecast import ADAPTER
from forecheck.attention.replace import Replace
from forecheck.attention.sites import Subject, attach
from forecheck.errors import UsageError

COMMON = {"h": H, "input_size": L, "max_steps": 1}
PATCHTST = {"patch_len": 6, "stride": 6, "hidden_size": 8, "n_heads": 2, "encoder_layers": 2, "linear_hidden_size": 16}
ITRANSFORMER = {"n_series": C, "hidden_size": 8, "n_heads": 2, "e_layers": 2, "d_ff": 16}
VANILLA = {"hidden_size": 8, "n_head": 2, "encoder_layers": 1, "decoder_layers": 1, "conv_hidden_size": 8}


def build(name, **options):
    from neuralforecast import models

    with torch.random.fork_rng():
        return drawn(getattr(models, name)(**COMMON | options), "W_Q", "query_projection", by=6)


def patchtst(loss=None, **options):
    from neuralforecast.losses import pytorch as losses

    kinds = {None: {}, "StudentT": {"loss": losses.DistributionLoss("StudentT")}, "GMM": {"loss": losses.GMM(2)}}
    kinds["quantiles"] = {"loss": losses.MQLoss(level=[80])}
    return build("PatchTST", **PATCHTST, **kinds[loss], **options)


PATCHTST_SITES = [(2, 5, 5)] * 2
MODELS = {
    "patchtst": (patchtst, PATCHTST_SITES),
    "patchtst-scores-passed-on": (lambda: patchtst(res_attention=True), PATCHTST_SITES),
    "patchtst-distribution": (lambda: patchtst("StudentT", scaler_type="standard"), PATCHTST_SITES),
    "patchtst-mixture": (lambda: patchtst("GMM", scaler_type="robust"), PATCHTST_SITES),
    "patchtst-quantiles": (lambda: patchtst("quantiles", scaler_type="minmax"), PATCHTST_SITES),
    "itransformer": (lambda: build("iTransformer", **ITRANSFORMER), [(2, C, C)] * 2),
    # The encoder; the decoder's own, over half the window and the horizon; across.
    "vanilla": (
        lambda: build("VanillaTransformer", **VANILLA),
        [(2, L, L), (2, L // 2 + H, L // 2 + H), (2, L // 2 + H, L)],
    ),
}


@pytest.fixture(autouse=True)
def _same_weights():
    torch.manual_seed(0)


class TestAdapter(AdapterSuite):
    adapter, models = ADAPTER, MODELS

    def check_sites(self, model, sites):
        with ADAPTER.attach(subject_of(ADAPTER, model), windows()) as attached:
            assert [(site.heads, site.queries, site.keys) for site in attached.sites] == sites
            assert attached.adapter.startswith("neuralforecast: ")
            inside = {path for path, _ in model.named_modules()}
            assert all(site.path.split("#")[0] in inside for site in attached.sites)

    def state(self, model):
        return sorted(model.loss.__dict__)


@pytest.mark.parametrize("loss", [None, "quantiles"])
@pytest.mark.parametrize("scaler", ["identity", "standard", "robust"])
def test_the_forecast_is_the_models_own_prediction_step(loss, scaler):
    """The step that the library predicts with, around a batch as its data sets make it."""
    model = patchtst(loss, scaler_type=scaler)
    x = windows()
    series = x.transpose(1, 2).reshape(-1, L)
    temporal = torch.stack([series, torch.ones_like(series)], dim=1)
    batch = {
        "temporal": torch.cat([temporal, torch.zeros(len(series), 2, H)], dim=2),
        "temporal_cols": pd.Index(["y", "available_mask"]),
        "y_idx": 0,
        "static": None,
        "static_cols": None,
    }
    model.predict_step_size, model.test_size, model.n_predicts = 1, H, 1
    with torch.no_grad():
        expected = model.predict_step(batch, 0)
        found = ADAPTER.wrap(model, H)(x).transpose(1, 2).reshape(-1, H)
    # The median comes first of the quantiles.
    torch.testing.assert_close(found, expected.reshape(len(series), H, -1)[..., 0])


def test_a_distribution_is_forecast_by_its_mean():
    model = patchtst("StudentT", scaler_type="standard")
    forward, x = ADAPTER.wrap(model, H), windows()
    scaled = forward(10 * x + 3)
    torch.testing.assert_close(scaled, 10 * forward(x) + 3, rtol=1e-4, atol=1e-4)
    assert np.isfinite(scaled.detach().numpy()).all()


def test_channels_of_a_univariate_model_are_forecast_alone():
    forward, x = ADAPTER.wrap(patchtst(), H), windows()
    torch.testing.assert_close(forward(x[..., :1]), forward(x)[..., :1])


def test_under_zero_a_multivariate_model_does_not_mix_its_channels():
    subject = subject_of(ADAPTER, build("iTransformer", **ITRANSFORMER))
    x = windows()
    other = x.clone()
    other[..., 1] = windows(seed=3)[..., 1]
    with torch.no_grad():
        assert not torch.allclose(subject(x)[..., 0], subject(other)[..., 0])
    with Replace("zero").on(subject, x) as edited, torch.no_grad():
        torch.testing.assert_close(edited(x)[..., 0], edited(other)[..., 0])


def test_the_right_adapter_is_asked():
    with attach(subject_of(ADAPTER, patchtst()), windows()) as attached:
        assert attached.adapter.startswith("neuralforecast: ")


def test_what_cannot_be_forecast_is_refused():
    with pytest.raises(UsageError, match="forecasts 4 steps, not 5"):
        ADAPTER.wrap(patchtst(), 5)
    with pytest.raises(UsageError, match="looks back 24 steps, but the window has 23"):
        ADAPTER.wrap(patchtst(), H)(windows()[:, 1:])
    with pytest.raises(UsageError, match="built for 3 series, but the data have 2 channels"):
        ADAPTER.wrap(build("iTransformer", **ITRANSFORMER | {"n_series": 3}), H)(windows())
    with pytest.raises(UsageError, match="exogenous"):
        ADAPTER.wrap(build("VanillaTransformer", **VANILLA, futr_exog_list=["holiday"]), H)
    with pytest.raises(UsageError, match="step by step"):
        ADAPTER.wrap(build("LSTM", recurrent=True, encoder_hidden_size=4, decoder_hidden_size=4), H)


def test_a_model_without_attention_says_so():
    subject = subject_of(ADAPTER, build("NHITS", mlp_units=[[8, 8]] * 3))
    check_wrap(subject)
    with attach(subject, windows()) as attached:
        assert not attached.sites
        assert attached.why_not.startswith("no attention was found in NHITS")


def test_another_librarys_model_is_left_alone():
    other = torch.nn.Linear(2, 2)
    assert ADAPTER.wrap(other, H) is None
    with ADAPTER.attach(Subject.of(other), windows()) as attached:
        assert not attached.sites
        assert not attached.why_not
