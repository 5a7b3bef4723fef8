"""Models that are given the times of their windows, and those of Time-Series-Library."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import forecheck as fc
from forecheck.data.marks import scaled_marks
from forecheck.data.windows import prepare
from forecheck.errors import UsageError
from forecheck.forecasters.calling import named_call, tslib
from forecheck.forecasters.external import takes_times
from panels import hourly, ragged

L, H = 24, 6
ASKED = {"lookback": L, "horizon": H, "workers": 0}


def outcomes(report):
    return {finding.code: finding.outcome for finding in report.findings}


def mse(report):
    return next(arm["mse"] for arm in report.data["arms"] if arm["family"] == "raw")


class Oracle(nn.Module):
    """Looks the future up by its stamps: right only if every window is given its own."""

    def __init__(self, panel):
        super().__init__()
        scaler = prepare(panel, L, H).scaler
        self.known = dict(zip(panel.time.tolist(), scaler.scale(panel), strict=True))

    def forward(self, x, future):
        return torch.tensor(np.array([[self.known[stamp] for stamp in row] for row in future.tolist()])).to(x) + 0.01


def test_every_window_is_forecast_with_its_own_times(tmp_path):
    panel = hourly(400)
    report = fc.audit(
        panel,
        Oracle(panel),
        wrap=lambda model, x, times: model(x, times[:, L:]),
        **ASKED,
        store=tmp_path,
        select=["FC1", "FC9"],
    )
    assert mse(report) == pytest.approx(1e-4, rel=1e-3)
    found = outcomes(report)
    assert found["FC104"] == found["FC101"] == "pass"
    assert [found[code] for code in ("FC901", "FC902", "FC904")] != ["not applicable"] * 3
    assert found["FC902"] == "no difference"  # it does not look at the window
    independent = next(each for each in report.findings if each.code == "FC903")
    assert "its own past alone" in independent.meaning


def test_series_have_their_own_times(tmp_path):
    panel = ragged()
    seen = []

    def wrap(model, x, times):
        seen.append((x, times))
        return x[:, -1:].expand(-1, 4, -1)

    fc.audit(panel, nn.Identity(), wrap=wrap, lookback=12, horizon=4, workers=0, select=["FC201"], store=tmp_path)
    steps = [panel.time[panel.series_rows(s)] for s in range(3)]
    shapes = {times.shape[1] for _, times in seen}
    assert shapes == {16}
    for x, times in seen:
        assert type(x) is torch.Tensor
        for row in times:
            assert any((own[np.searchsorted(own, row[0]) :][:16] == row).all() for own in steps if row[-1] <= own[-1])


class TimeFeatureEmbedding(nn.Module):
    """Named and built as that of the library."""

    def __init__(self, marks):
        super().__init__()
        self.embed = nn.Linear(marks, 8, bias=False)

    def forward(self, marks):
        return self.embed(marks)


class TemporalEmbedding(nn.Module):
    def __init__(self):
        super().__init__()
        self.month_embed, self.day_embed = nn.Embedding(13, 8), nn.Embedding(32, 8)
        self.weekday_embed, self.hour_embed = nn.Embedding(7, 8), nn.Embedding(24, 8)

    def forward(self, marks):
        month, day, weekday, hour = marks.long().unbind(-1)
        return self.month_embed(month) + self.day_embed(day) + self.weekday_embed(weekday) + self.hour_embed(hour)


class FourArguments(nn.Module):
    """An encoder and decoder that is called as the library calls its models."""

    def __init__(self, embedding, label_len=12, whole=False):
        super().__init__()
        self.seq_len, self.pred_len, self.label_len, self.whole = L, H, label_len, whole
        self.value, self.marks = nn.Linear(2, 8), embedding
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.out = nn.Linear(8, 2)
        self.given = None

    def forward(self, x_enc, x_mark_enc, x_dec, x_mark_dec, mask=None):
        self.given = [each.clone() for each in (x_enc, x_mark_enc, x_dec, x_mark_dec)]
        past, future = self.value(x_enc) + self.marks(x_mark_enc), self.value(x_dec) + self.marks(x_mark_dec)
        y = self.out(future + self.attention(future, past, past, need_weights=False)[0])
        return y if self.whole else (y[:, -self.pred_len :], None)


def times_at(start, count=3, step="h"):
    first = np.datetime64(start, "us") + np.arange(count).astype("timedelta64[h]")
    return first[:, None] + np.arange(L + H).astype(f"timedelta64[{step}]")


@pytest.mark.parametrize("whole", [False, True])
def test_the_library_s_call(whole):
    model = FourArguments(TimeFeatureEmbedding(4), whole=whole)
    x, times = torch.randn(3, L, 2), times_at("2024-02-28")
    y = tslib(model, x, times)
    x_enc, mark_enc, x_dec, mark_dec = model.given
    marks = torch.tensor(scaled_marks(times, "h"), dtype=torch.float32)
    assert y.shape == (3, H, 2)
    assert torch.equal(x_enc, x)
    assert torch.equal(x_dec, torch.cat([x[:, -12:], torch.zeros(3, H, 2)], dim=1))
    assert torch.equal(mark_enc, marks[:, :L])
    assert torch.equal(mark_dec, marks[:, L - 12 :])


def test_marks_are_those_that_the_embedding_takes():
    x, times = torch.randn(3, L, 2), times_at("2024-02-28", step="m")
    for size in (1, 2, 3, 4, 5, 6):
        model = FourArguments(TimeFeatureEmbedding(size))
        tslib(model, x, times)
        assert model.given[1].shape == (3, L, size)
    model = FourArguments(TemporalEmbedding())
    tslib(model, x, times_at("2024-12-31"))
    assert model.given[1][0, 0].tolist() == [12, 31, 1, 0]
    plain = FourArguments(nn.LazyLinear(8))  # tells nothing: the data's own step, minutes
    tslib(plain, x, times)
    assert plain.given[1].shape[-1] == 5
    by_name = FourArguments(nn.LazyLinear(8))
    named_call("tslib:h")(by_name, x, times)
    assert by_name.given[1].shape[-1] == 4


def test_an_audit_by_name(tmp_path):
    panel = hourly(400)
    report = fc.audit(
        panel,
        FourArguments(TemporalEmbedding()),
        wrap="tslib",
        **ASKED,
        store=tmp_path,
        select=["FC108", "FC3", "FC601"],
    )
    found = outcomes(report)
    assert report.data["protocol"]["adapter"].startswith("1 attention sites through the torch.nn.MultiheadAttention")
    assert found["FC108"] == "pass"
    assert "not applicable" not in [found[code] for code in ("FC302", "FC303", "FC304", "FC305", "FC601")]


def test_what_cannot_be_called_says_how(tmp_path):
    panel, model = hourly(400), FourArguments(TimeFeatureEmbedding(4))
    with pytest.raises(UsageError, match=r'missing 3 required(.|\n)*wrap="tslib" \(--call tslib\)'):
        fc.audit(panel, model, **ASKED)
    with pytest.raises(UsageError, match=r"built with seq_len=24, and is asked for lookback 20(.|\n)*lookback 24"):
        fc.audit(panel, model, wrap="tslib", lookback=20, horizon=H, workers=0)
    with pytest.raises(UsageError, match=r"pred_len=6, and is asked for horizon 3(.|\n)*horizon 6"):
        fc.audit(panel, model, wrap="tslib", lookback=L, horizon=3, workers=0)
    with pytest.raises(UsageError, match="label_len=99"):
        fc.audit(panel, FourArguments(TimeFeatureEmbedding(4), label_len=99), wrap="tslib", **ASKED)
    rows = {"values": np.sin(np.arange(300) / 7).tolist(), "others": np.cos(np.arange(300) / 5).tolist()}
    with pytest.raises(UsageError, match="made of dates, and these data have none"):
        fc.audit(fc.Panel.from_frame(pd.DataFrame(rows)), model, wrap="tslib", **ASKED)
    for wrong in ("tslip", "tslib:x", "tslib:"):
        with pytest.raises(UsageError, match="no way of calling a model is called"):
            named_call(wrong)


def test_which_functions_ask_for_times():
    assert takes_times(lambda model, x, times: x)
    assert takes_times(lambda model, x, t: x)
    assert takes_times(lambda model, x, *, times: x)
    assert not takes_times(lambda model, x: x)
    assert not takes_times(lambda model, x, scale=2.0: x)
    assert not takes_times(max)
    assert not takes_times(None)
