"""Networks that were trained elsewhere are pruned as they are called, and refused where they are no forecasters."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations
from typer.testing import CliRunner

import forecheck as fc
from forecheck.cli.main import app
from forecheck.data.windows import prepare
from forecheck.errors import UsageError
from forecheck.sparsity.prunable import prunable
from forecheck.sparsity.windows import batches_of
from panels import as_csv, hourly

L, H = 24, 6
ASKED = {"horizon": H, "lookback": L, "workers": 0, "steps": 10, "method": "magnitude", "sparsity": 0.5}


class Maps(nn.Module):
    """Two maps along time; what comes out is up to the case."""

    def __init__(self, gives=lambda y: y):
        super().__init__()
        self.maps = nn.Sequential(nn.Linear(L, 8), nn.ReLU(), nn.Linear(8, H))
        self.gives = gives

    def forward(self, x):
        return self.gives(self.maps(x.transpose(1, 2)).transpose(1, 2))


class Marked(nn.Module):
    """Called with windows and the hour of every step."""

    def __init__(self):
        super().__init__()
        self.net, self.hours = Maps(), nn.Linear(L + H, H)

    def forward(self, x, hours):
        return self.net(x), self.hours(hours)[:, :, None]


class Fails(Maps):
    def forward(self, x):
        if self.training:
            raise ValueError("not in training")
        return super().forward(x)


def lazy():
    model = Maps()
    model.maps[0] = nn.LazyLinear(8)
    return model


def with_old_norm():
    model = Maps()
    with pytest.warns(FutureWarning):
        nn.utils.weight_norm(model.maps[0])
    return model


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: Maps(lambda y: y[..., :1]), r"\(16, 6, 1\), expected \(16, 6, 2\)"),  # would be broadcast in silence
        (lambda: Maps(lambda y: y.transpose(1, 2)), r"\(16, 2, 6\), expected \(16, 6, 2\)"),
        (lambda: Maps(lambda y: (y, None)), "gives a tuple"),
        (lambda: Maps(lambda y: y + torch.rand(())), "two different forecasts"),
        (lambda: Maps(lambda y: y * torch.nan), "not finite"),
        (lambda: Maps(torch.Tensor.detach), "gives no gradient"),
        (Fails, "cannot be trained: ValueError: not in training"),
        (lambda: Maps().to("meta"), "meta device"),
        (lazy, "without a size"),
        (with_old_norm, "remove_weight_norm"),
        (lambda: torch.jit.trace(Maps(), torch.zeros(2, L, 2)), "TorchScript"),
        (lambda: lambda x: x[:, -H:], "is no network"),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.jit")
def test_what_cannot_be_pruned_is_refused(build, said, tmp_path):
    with pytest.raises(UsageError, match=said):
        fc.prune(hourly(400), model=build(), store=tmp_path, **ASKED)


def test_known_columns_are_not_left_out_in_silence(tmp_path):
    panel = hourly(400)
    pandas = pytest.importorskip("pandas")
    columns = dict(zip(panel.channels, panel.values.T, strict=True))
    frame = pandas.DataFrame({"time": panel.time, **columns, "price": range(400)})
    with pytest.raises(UsageError, match="Maps is of the channels alone and cannot use known columns"):
        fc.prune(fc.load(frame, known=["price"]), model=Maps(), store=tmp_path, **ASKED)


def test_a_network_is_called_as_its_owner_says(tmp_path):
    torch.manual_seed(0)
    network = Maps(lambda y: {"forecast": y})
    wrap = lambda model, x: model(x)["forecast"]  # noqa: E731
    pruned = fc.prune(hourly(400), model=network, wrap=wrap, pattern="units", store=tmp_path, **ASKED)
    assert type(pruned.module) is Maps
    assert [each["weight"] for each in pruned.info["weights"]] == ["maps.0.weight", "maps.2.weight"]
    x = torch.zeros(2, L, 2)
    assert pruned.module(x)["forecast"].shape == (2, H, 2)
    plain = fc.prune(hourly(400), model=_with_weights_of(network), pattern="units", store=tmp_path, **ASKED)
    assert plain.info["mse"] == pruned.info["mse"]
    with pytest.raises(UsageError, match="wrap is for networks"):
        fc.prune(hourly(400), model="patchtst", wrap=wrap, store=tmp_path, **ASKED)


def _with_weights_of(network):
    plain = Maps()
    plain.load_state_dict(network.state_dict())
    return plain


def test_a_network_is_given_the_times_of_its_windows(tmp_path):
    seen = []

    def wrap(model, x, times):
        seen.append(times[0, L])
        hours = torch.as_tensor(times.astype("datetime64[h]").astype(int) % 24).float()
        maps, hour = model(x, hours)
        return maps + hour

    pruned = fc.prune(hourly(400), model=Marked(), wrap=wrap, store=tmp_path, **ASKED)
    assert {each["weight"] for each in pruned.info["weights"]} == {
        "net.maps.0.weight",
        "net.maps.2.weight",
        "hours.weight",
    }
    assert len(set(seen)) > 10
    assert type(pruned.module) is Marked


def test_a_librarys_network_is_called_as_the_library_does(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.PatchTSTConfig(
        context_length=L, prediction_length=H, num_input_channels=2, patch_length=6, patch_stride=6, d_model=8,
        num_attention_heads=2, num_hidden_layers=1, ffn_dim=16,
    )  # fmt: skip
    network = transformers.PatchTSTForPrediction(config)
    pruned = fc.prune(hourly(400), model=network, store=tmp_path, **ASKED)
    assert type(pruned.module) is type(network)
    named = dict(pruned.module.named_parameters())
    assert all(each["weight"] in named for each in pruned.info["weights"])
    assert pruned.info["sparsity"] == pytest.approx(0.5, abs=0.01)
    assert "--set" not in " ".join(pruned.info["warnings"])  # which only forecasters by name have


@pytest.mark.parametrize("build", [lambda: Maps().double(), lambda: Maps().bfloat16(), lambda: nn.DataParallel(Maps())])
def test_other_types_and_what_runs_a_network_elsewhere(build, tmp_path):
    torch.manual_seed(0)
    given = build()
    pruned = fc.prune(hourly(400), model=given, store=tmp_path, **ASKED)
    assert type(pruned.module) is Maps
    assert pruned.module.maps[0].weight.dtype == torch.float32
    assert not any((parameter == 0).all() for parameter in given.parameters())


def test_statistics_of_a_batch_are_never_those_of_one_window():
    experiment = prepare(hourly(400), L, H)
    for batch in (1, len(experiment.train) - 1, len(experiment.train), 50):
        of_step = batches_of(experiment.train, batch)
        count = len(experiment.train)
        sizes = []
        while sum(sizes) < count:
            sizes.append(len(of_step(len(sizes))[0]))
        assert sum(sizes) == count
        assert batch == 1 or min(sizes) > 1


def test_what_is_left_alone_has_a_reason():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.up = nn.ConvTranspose1d(2, 2, 3)
            self.pair = nn.Bilinear(3, 3, 3)
            self.wave = nn.Linear(3, 3, dtype=torch.cfloat)
            self.normed = parametrizations.weight_norm(nn.Linear(3, 3))
            self.map = nn.Linear(3, 3)

    left = prunable(Odd()).left_out
    assert left["up.weight"] == "of ConvTranspose1d, which is not among the layers that are pruned"
    assert left["pair.weight"].startswith("of Bilinear")
    assert left["wave.weight"] == "complex numbers"
    assert "remove_parametrizations" in left["normed.parametrizations.weight.original1"]


MODEL = """
import torch
from torch import nn

class Pair(nn.Module):
    def __init__(self, lookback, horizon):
        super().__init__()
        self.map = nn.Linear(lookback, horizon)

    def forward(self, x):
        return self.map(x.transpose(1, 2)).transpose(1, 2), None

def build(lookback, horizon, channels):
    torch.manual_seed(0)
    return Pair(lookback, horizon)

def call(model, x):
    return model(x)[0]
"""


def test_call_on_the_command_line(tmp_path):
    (tmp_path / "pair.py").write_text(MODEL)
    (tmp_path / "data.csv").write_text(as_csv(hourly(400)))
    line = ["prune", str(tmp_path / "data.csv"), "--horizon", "6", "--lookback", "24", "--workers", "0", "--quiet"]
    line += ["--steps", "5", "--store", str(tmp_path / "store")]
    own = ["--model", f"{tmp_path / 'pair.py'}:build"]
    assert "gives a tuple" in str(CliRunner().invoke(app, [*line, *own]).exception)
    done = CliRunner().invoke(app, [*line, *own, "--call", f"{tmp_path / 'pair.py'}:call"])
    assert done.exit_code == 0, done.output
    assert "prunable weights are zero" in done.output
    refused = CliRunner().invoke(app, [*line, "--call", f"{tmp_path / 'pair.py'}:call"])
    assert "models of yours" in str(refused.exception)
