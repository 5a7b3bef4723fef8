"""Models of libraries on PyPI, audited as they are: attention sites that are found, and that there are.

    python benchmarks/gallery.py

Writes the table of docs/gallery.md. Models are tiny, with random weights. Asserted of each: the sites that are found,
their heads and tokens, that the adapter passes its identity test, that the plain mean in every site changes the
forecast, and whether anything else mixes by weights that depend on the window. The true numbers are those of the
attention modules in each model's source. A library that is not installed is left out, and said to be.
"""

from __future__ import annotations

import importlib.metadata
import logging
import platform
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

import forecheck
from forecheck.attention.identity import identity_test
from forecheck.attention.replace import Replace
from forecheck.attention.sites import attach
from forecheck.forecasters.base import Task
from forecheck.forecasters.external import external

PAGE = Path(__file__).parents[1] / "docs" / "gallery.md"
TABLE = "## The table\n"
L, H, C = 48, 12, 2


@dataclass(frozen=True)
class Entry:
    """A model of the gallery.

    Attributes:
        library, model: names; the library's is that of its package.
        build: gives the model, and how it is called if not with a window.
        sites: attention modules or calls that are found.
        shape: heads, queries and keys of each, as the report says them, several separated by `, `.
        beside: attention that mixes and is not reached, in words; empty if all is.
    """

    library: str
    model: str
    build: Callable[[], Any]
    sites: int
    shape: str
    beside: str = ""

    @property
    def true(self) -> str:
        """Sites that there are, and what kind those are that are not found."""
        return f"{self.sites}" if not self.beside else f"{self.sites} + {self.beside}"


GALLERY: list[Entry] = []


def entry(library: str, model: str, sites: int, shape: str, beside: str = "") -> Callable[[Any], Any]:
    """Decorator: put a model into the gallery."""

    def put(build: Callable[[], Any]) -> Callable[[], Any]:
        GALLERY.append(Entry(library, model, build, sites, shape, beside))
        return build

    return put


class Tokens(nn.Module):
    """A library's encoder of tokens as a forecaster: patches in, a linear map of all tokens out."""

    def __init__(self, encoder: nn.Module, width: int = 16, patch: int = 4) -> None:
        super().__init__()
        self.patch = patch
        self.embed, self.encoder = nn.Linear(patch, width), encoder
        self.position = nn.Parameter(torch.randn(L // patch, width))
        self.head = nn.Linear(L // patch * width, H)

    def forward(self, x: Tensor) -> Tensor:
        """The forecast."""
        z = self.embed(x.mT.reshape(-1, L // self.patch, self.patch)) + self.position
        y = self.encoder(z)
        y = y[0] if isinstance(y, tuple) else y
        return self.head(y.flatten(1)).view(len(x), -1, H).mT


HF = {
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
}
HF |= {
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "context_length": 40,
    "prediction_length": H,
    "num_time_features": 1,
}
HF |= {"lags_sequence": [1, 2, 8], "num_parallel_samples": 4, "dropout": 0.0, "init_std": 0.5}
PATCHTST = {"d_model": 16, "num_attention_heads": 2, "num_hidden_layers": 2, "ffn_dim": 32, "num_input_channels": C}
PATCHTST |= {"context_length": L, "prediction_length": H, "init_std": 0.15, "patch_length": 8, "patch_stride": 8}


@entry("transformers", "PatchTST", 2, "2 heads x 6 tokens")
def _() -> Any:
    from transformers import PatchTSTConfig, PatchTSTForPrediction

    return PatchTSTForPrediction(PatchTSTConfig(**PATCHTST))


@entry("transformers", "PatchTST, channel attention", 4, "2 heads x 2 tokens, 2 heads x 6 tokens")
def _() -> Any:
    from transformers import PatchTSTConfig, PatchTSTForPrediction

    return PatchTSTForPrediction(PatchTSTConfig(**PATCHTST, channel_attention=True))


@entry(
    "transformers",
    "TimeSeriesTransformer",
    4,
    "2 heads x 12 tokens, 2 heads x 12 tokens looking at 40, 2 heads x 40 tokens",
)
def _() -> Any:
    from transformers import TimeSeriesTransformerConfig, TimeSeriesTransformerForPrediction

    return TimeSeriesTransformerForPrediction(TimeSeriesTransformerConfig(**HF, input_size=1))


@entry(
    "transformers",
    "Informer",
    3,
    "2 heads x 12 tokens looking at 20, 2 heads x 20 tokens, 2 heads x 40 tokens",
    "1 ProbSparse, whose decoder grows step by step",
)
def _() -> Any:
    from transformers import InformerConfig, InformerForPrediction

    return InformerForPrediction(InformerConfig(**HF, input_size=1, attention_type="prob"))


@entry(
    "transformers", "Autoformer", 4, "1 heads x 22 tokens, 1 heads x 22 tokens looking at 40, unknown heads x 40 tokens"
)
def _() -> Any:
    from transformers import AutoformerConfig, AutoformerForPrediction

    return AutoformerForPrediction(AutoformerConfig(**HF, input_size=1, moving_average=5))


@entry("transformers", "PatchTSMixer, self-attention", 2, "2 heads x 6 tokens")
def _() -> Any:
    from transformers import PatchTSMixerConfig, PatchTSMixerForPrediction

    sizes = {"context_length": L, "prediction_length": H, "patch_length": 8, "patch_stride": 8, "d_model": 16}
    model = PatchTSMixerForPrediction(
        PatchTSMixerConfig(**sizes, num_input_channels=C, num_layers=2, self_attn=True, self_attn_heads=2)
    )
    return model, lambda model, x: model(past_values=x).prediction_outputs


@entry("transformers", "TimesFM", 2, "2 heads x 3 tokens")
def _() -> Any:
    from transformers import TimesFmConfig, TimesFmModelForPrediction

    sizes = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "head_dim": 8,
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
    }
    return TimesFmModelForPrediction(
        TimesFmConfig(
            **sizes,
            patch_length=16,
            context_length=L,
            horizon_length=H,
            use_positional_embedding=True,
            initializer_range=0.5,
        )
    )


T5 = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_decoder_layers": 1, "num_heads": 2}
T5 |= {"feed_forward_proj": "relu", "pad_token_id": 0, "decoder_start_token_id": 0}


@entry(
    "chronos-forecasting", "Chronos-Bolt", 4, "2 heads x 1 tokens, 2 heads x 1 tokens looking at 6, 2 heads x 6 tokens"
)
def _() -> Any:
    from chronos import ChronosBoltPipeline
    from chronos.chronos_bolt import ChronosBoltModelForForecasting
    from transformers import T5Config

    patches = {"context_length": L, "prediction_length": H, "input_patch_size": 8, "input_patch_stride": 8}
    config = T5Config(**T5, chronos_config=patches | {"quantiles": [0.1, 0.5, 0.9]})
    return ChronosBoltPipeline(ChronosBoltModelForForecasting(config))


def _nixtla(name: str, **sizes: Any) -> Callable[[], Any]:
    def build() -> Any:
        from neuralforecast import models

        return getattr(models, name)(h=H, input_size=L, **sizes)

    return build


SMALL = {"hidden_size": 16, "n_head": 2}
ENCODER = SMALL | {"encoder_layers": 2, "decoder_layers": 1, "conv_hidden_size": 16}
entry("neuralforecast", "PatchTST", 2, "2 heads x 7 tokens")(
    _nixtla("PatchTST", hidden_size=16, n_heads=2, encoder_layers=2, linear_hidden_size=32, patch_len=8, stride=8)
)
entry("neuralforecast", "iTransformer", 2, "2 heads x 2 tokens")(
    _nixtla("iTransformer", n_series=C, hidden_size=16, n_heads=2, e_layers=2, d_layers=1, d_ff=32)
)
entry(
    "neuralforecast",
    "VanillaTransformer",
    4,
    "2 heads x 36 tokens, 2 heads x 36 tokens looking at 48, 2 heads x 48 tokens",
)(_nixtla("VanillaTransformer", **ENCODER))
entry(
    "neuralforecast",
    "Informer",
    4,
    "2 heads x 25 tokens, 2 heads x 36 tokens looking at 25, 2 heads x 36 tokens, 2 heads x 48 tokens",
)(_nixtla("Informer", **ENCODER))
entry(
    "neuralforecast",
    "Autoformer",
    4,
    "1 heads x 36 tokens, 1 heads x 36 tokens looking at 48, 1 heads x 48 tokens",
)(_nixtla("Autoformer", **ENCODER))
entry("neuralforecast", "FEDformer", 0, "", "3 Fourier blocks (one in two layers)")(
    _nixtla("FEDformer", **ENCODER | {"modes": 8, "n_head": 8})
)
entry("neuralforecast", "TFT", 1, "2 heads x 60 tokens", "variable selection, LSTM")(
    _nixtla("TFT", hidden_size=16, n_head=2)
)
entry("neuralforecast", "TimeXer", 4, "2 heads x 2 tokens, 2 heads x 7 tokens")(
    _nixtla("TimeXer", n_series=C, patch_len=8, hidden_size=16, n_heads=2, e_layers=2, d_ff=32)
)
entry("neuralforecast", "NLinear", 0, "")(_nixtla("NLinear"))


def _frame() -> pd.DataFrame:
    t = np.arange(200)
    return pd.DataFrame({"t": t, "y": np.sin(t / 3), "group": "a"})


def _pytorch_forecasting(name: str, **sizes: Any) -> Callable[[], Any]:
    def build() -> Any:
        import pytorch_forecasting as pf

        data = pf.TimeSeriesDataSet(
            _frame(),
            "t",
            "y",
            ["group"],
            max_encoder_length=L,
            max_prediction_length=H,
            time_varying_unknown_reals=["y"],
        )
        first, _ = next(iter(data.to_dataloader(train=False, batch_size=1)))
        model = getattr(pf, name).from_dataset(data, loss=pf.RMSE(), **sizes)

        def call(model: Any, x: Tensor) -> Tensor:
            y = x.mT.reshape(-1, L, 1)
            many = {
                key: value.expand(len(y), *value.shape[1:]) if isinstance(value, Tensor) else value
                for key, value in first.items()
            }
            many |= {"encoder_cont": y, "target_scale": torch.tensor([[0.0, 1.0]]).expand(len(y), 2)}
            many |= {"encoder_target": y[..., 0]}
            return model(many).prediction[..., 0].view(len(x), -1, H).mT

        return model, call

    return build


entry("pytorch-forecasting", "TemporalFusionTransformer", 2, "1 heads x 12 tokens looking at 60", "LSTM")(
    _pytorch_forecasting("TemporalFusionTransformer", hidden_size=16, attention_head_size=2, hidden_continuous_size=8)
)


def _darts(name: str, **sizes: Any) -> Callable[[], Any]:
    def build() -> Any:
        import darts
        from darts import models

        quiet = {"accelerator": "cpu", "enable_progress_bar": False, "enable_model_summary": False, "logger": False}
        model = getattr(models, name)(L, H, n_epochs=1, batch_size=64, pl_trainer_kwargs=quiet, **sizes)
        t = np.arange(100.0)
        model.fit(darts.TimeSeries.from_values(np.stack([np.sin(t / 3), np.cos(t / 5)], 1).astype(np.float32)))
        from darts.utils.data.torch_datasets.utils import PLModuleInput

        return model.model.float(), lambda module, x: module(PLModuleInput(x)).prediction[..., 0]

    return build


entry("darts", "TransformerModel", 4, "2 heads x 1 tokens, 2 heads x 1 tokens looking at 48, 2 heads x 48 tokens")(
    _darts("TransformerModel", d_model=16, nhead=2, num_encoder_layers=2, num_decoder_layers=1, dim_feedforward=32)
)
entry("darts", "TFTModel", 2, "1 heads x 12 tokens looking at 60", "variable selection, LSTM")(
    _darts(
        "TFTModel",
        hidden_size=16,
        num_attention_heads=2,
        add_relative_index=True,
        likelihood=None,
        loss_fn=nn.MSELoss(),
    )
)


@entry("gluonts", "PatchTST", 2, "2 heads x 6 tokens")
def _() -> Any:
    from gluonts.torch.model.patch_tst.module import PatchTSTModel

    model = PatchTSTModel(
        H,
        L,
        8,
        8,
        "none",
        d_model=16,
        nhead=2,
        dim_feedforward=32,
        scaling="mean",
        dropout=0.0,
        activation="relu",
        norm_first=False,
        num_encoder_layers=2,
        num_feat_dynamic_real=0,
    )

    def call(model: Any, x: Tensor) -> Tensor:
        past = x.mT.reshape(-1, L)
        (loc, *_), _, scale = model(past, torch.ones_like(past))
        return (loc * scale).view(len(x), -1, H).mT

    return model, call


@entry("gluonts", "iTransformer", 2, "2 heads x 2 tokens")
def _() -> Any:
    from gluonts.torch.model.i_transformer.module import ITransformerModel

    model = ITransformerModel(H, L, 16, 2, 32, 0.0, "relu", False, 2, "mean")

    def call(model: Any, x: Tensor) -> Tensor:
        (loc, *_), _, scale = model(x, torch.ones_like(x))
        return loc * scale

    return model, call


@entry("x-transformers", "Encoder", 2, "2 heads x 12 tokens")
def _() -> Any:
    from x_transformers import Encoder

    return Tokens(Encoder(dim=16, depth=2, heads=2, attn_dim_head=8))


@entry("x-transformers", "Encoder, flash and rotary", 2, "2 heads x 12 tokens")
def _() -> Any:
    from x_transformers import Encoder

    return Tokens(Encoder(dim=16, depth=2, heads=2, attn_dim_head=8, attn_flash=True, rotary_pos_emb=True))


@entry("linear-attention-transformer", "LinearAttentionTransformer", 2, "2 heads x 12 tokens")
def _() -> Any:
    from linear_attention_transformer import LinearAttentionTransformer

    return Tokens(LinearAttentionTransformer(16, 2, 12, heads=2, dim_head=8))


@entry("performer-pytorch", "Performer", 2, "2 heads x 12 tokens")
def _() -> Any:
    from performer_pytorch import Performer

    return Tokens(Performer(dim=16, depth=2, heads=2, dim_head=8))


@entry("performer-pytorch", "Performer, generalised attention", 2, "2 heads x 12 tokens")
def _() -> Any:
    from performer_pytorch import Performer

    return Tokens(Performer(dim=16, depth=2, heads=2, dim_head=8, generalized_attention=True))


@entry("linformer", "Linformer", 2, "2 heads x 12 tokens looking at 6")
def _() -> Any:
    from linformer import Linformer

    return Tokens(Linformer(dim=16, seq_len=12, depth=2, heads=2, k=6))


def _seeded(model: Any, x: Tensor) -> Tensor:
    """Hashing draws its projections anew at every pass."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return model(x)


@entry("reformer-pytorch", "LSHSelfAttention", 1, "2 heads x 12 tokens")
def _() -> Any:
    from reformer_pytorch import LSHSelfAttention

    return Tokens(LSHSelfAttention(16, heads=2, bucket_size=3, n_hashes=2, causal=False)), _seeded


@entry("routing-transformer", "RoutingTransformer", 2, "2 heads x 12 tokens")
def _() -> Any:
    from routing_transformer import RoutingTransformer

    return Tokens(RoutingTransformer(16, 2, 12, heads=2, window_size=3)), _seeded


@entry("local-attention", "LocalTransformer's attention", 1, "unknown heads x 4 tokens looking at 12")
def _() -> Any:
    from local_attention.transformer import LocalMHA

    return Tokens(LocalMHA(dim=16, window_size=4, causal=False, heads=2, dim_head=8))


@entry("torch", "TransformerEncoder", 2, "2 heads x 12 tokens")
def _() -> Any:
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    return Tokens(nn.TransformerEncoder(layer, 2, enable_nested_tensor=False))


def windows(count: int = 4) -> Tensor:
    """Waves, each channel of its own, with noise."""
    t = torch.arange(float(L))[None, :, None]
    waves = torch.sin(t / 3 + torch.arange(float(C)) + torch.arange(float(count))[:, None, None])
    return waves + 0.3 * torch.randn(count, L, C, generator=torch.Generator().manual_seed(0))


@dataclass(frozen=True)
class Seen:
    """What was found of a model.

    Attributes:
        sites, shape, adapter: as the report describes them.
        unreached: what else mixes by weights that depend on the window.
        moved: how far the plain mean in every site moves the forecast.
    """

    sites: int
    shape: str
    adapter: str
    unreached: str
    moved: float


def look(one: Entry) -> Seen:
    """Find a model's attention, test the adapter, and edit it.

    Raises:
        AssertionError: if the adapter fails its identity test.
    """
    torch.manual_seed(0)
    built = one.build()
    model, wrap = built if isinstance(built, tuple) else (built, None)
    x = windows()
    subject = external(model, Task(L, H, C), x, wrap=wrap, name=one.model).subject
    with attach(subject, x) as attached:
        if not attached.sites:
            return Seen(0, "", "", attached.why_not, 0.0)
        test = identity_test(subject, attached, x)
        assert test.passed, test.fault
        shape = attached.describe().partition(" adapter (")[2].removesuffix(")")
        count, adapter = len(attached.sites), attached.adapter
    with torch.no_grad(), Replace("mean").on(subject, x) as edited:
        moved = float((edited(x) - subject(x)).abs().max())
    return Seen(count, shape, adapter, test.unreached, moved)


def check(one: Entry, seen: Seen) -> None:
    """Compare with what is true.

    Raises:
        AssertionError: if anything is otherwise.
    """
    named = f"{one.library} {one.model}: {seen}"
    assert (seen.sites, seen.shape) == (one.sites, one.shape), named
    assert seen.moved > 0 or not one.sites, named
    quiet = not seen.unreached or "nothing in it was seen to mix" in seen.unreached
    assert quiet == (not one.beside), named


def row(one: Entry, version: str, seen: Seen) -> str:
    """A line of the table."""
    cells = (f"{one.library} {version}", one.model, one.true, f"{seen.sites}", seen.shape, seen.adapter)
    return f"| {' | '.join(cells)} |"


HEAD = """| library | model | attention sites that there are | found | sizes | adapter |
| --- | --- | --- | --- | --- | --- |"""


def main() -> None:
    """Look at every model whose library is installed, assert, and write the table."""
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    lines, missing = [], set()
    for one in GALLERY:
        try:
            version = importlib.metadata.version(one.library).partition("+")[0]
        except importlib.metadata.PackageNotFoundError:
            missing.add(one.library)
            continue
        seen = look(one)
        check(one, seen)
        lines.append(row(one, version, seen))
        print(lines[-1], flush=True)
    environment = f"Python {platform.python_version()}, torch {torch.__version__}, forecheck {forecheck.__version__}."
    left_out = f" Not installed and left out: {', '.join(sorted(missing))}." if missing else ""
    before = PAGE.read_text().partition(TABLE)[0]
    PAGE.write_text("\n".join([before + TABLE, HEAD, *lines, "", environment + left_out, ""]))


if __name__ == "__main__":
    main()
