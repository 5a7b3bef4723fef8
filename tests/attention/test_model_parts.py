"""Attention sublayers and feed-forward parts, found in models of several builds."""

import pytest
import torch
from edited_models import (
    ConvolutionBlock,
    Foreign,
    HookSite,
    InlineBlock,
    Mixing,
    TorchModel,
    by_hand,
    example,
    traces_left,
    untrained,
)
from torch import nn

from forecheck.attention.parts import find_parts, token_axis
from forecheck.attention.sites import Attached, attach
from forecheck.errors import UsageError

HIDDEN = pytest.mark.parametrize("hidden", [12, 8], ids=["wide", "as wide as tokens"])


def paths(attached, name, layers=None):
    return [part.path for part in find_parts(attached, example(), name, layers)]


def test_our_own_model_has_both_parts_in_every_block():
    module = untrained().module
    with attach(module, example()) as attached:
        assert paths(attached, "attention") == [f"blocks.{i}.attention" for i in range(3)]
        assert paths(attached, "feed-forward") == [f"blocks.{i}.feed_forward" for i in range(3)]
        assert paths(attached, "feed-forward", (2, 0)) == ["blocks.0.feed_forward", "blocks.2.feed_forward"]
    assert not traces_left(module)


@HIDDEN
@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
def test_torch_encoder_layers(hidden, norm_first, batch_first):
    model = TorchModel(norm_first=norm_first, batch_first=batch_first, hidden=hidden)
    with by_hand(model, nn.MultiheadAttention) as attached:
        assert paths(attached, "attention") == [f"encoder.layers.{i}.self_attn" for i in range(2)]
        assert paths(attached, "feed-forward") == [f"encoder.layers.{i}.linear2" for i in range(2)]
        axes = {part.axis for part in find_parts(attached, example(), "feed-forward", None)}
        assert axes == {1 if batch_first else 0}


@HIDDEN
def test_convolutions_of_size_one(hidden):
    with by_hand(Foreign(ConvolutionBlock, hidden=hidden), Mixing) as attached:
        assert paths(attached, "attention") == ["layers.0.attention.out", "layers.1.attention.out"]
        assert paths(attached, "feed-forward") == ["layers.0.conv2", "layers.1.conv2"]


@HIDDEN
def test_gated_parts_among_the_other_maps_of_a_block(hidden):
    with by_hand(Foreign(InlineBlock, hidden=hidden), Mixing) as attached:
        assert paths(attached, "attention") == ["layers.0.out", "layers.1.out"]
        assert paths(attached, "feed-forward") == ["layers.0.down", "layers.1.down"]


@pytest.mark.filterwarnings("default")
def test_hugging_face_patchtst():
    from transformers import PatchTSTConfig, PatchTSTForPrediction
    from transformers.models.patchtst.modeling_patchtst import PatchTSTAttention

    sizes = {"d_model": 8, "num_attention_heads": 2, "ffn_dim": 12, "num_hidden_layers": 2}
    config = PatchTSTConfig(
        num_input_channels=2, context_length=16, patch_length=4, patch_stride=4, prediction_length=3, **sizes
    )
    model = PatchTSTForPrediction(config).eval()
    with by_hand(model, PatchTSTAttention, queries=4) as reached:
        attached = Attached("hand", reached.sites, lambda x: model(past_values=x).prediction_outputs)
        attention = find_parts(attached, example(), "attention", None)
        feed_forward = find_parts(attached, example(), "feed-forward", None)
    assert [part.path for part in attention] == [f"model.encoder.layers.{i}.self_attn" for i in range(2)]
    assert [part.path for part in feed_forward] == [f"model.encoder.layers.{i}.ff.3" for i in range(2)]
    assert {part.axis for part in (*attention, *feed_forward)} == {1}


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("form", ["relu", "gated-gelu"])
def test_t5(form):
    from transformers import T5Config, T5ForConditionalGeneration
    from transformers.models.t5.modeling_t5 import T5Attention

    config = T5Config(d_model=8, d_kv=3, num_heads=2, d_ff=12, num_layers=2, vocab_size=9, feed_forward_proj=form)
    model = T5ForConditionalGeneration(config).eval()

    def forward(x):
        tokens = (x[..., 0].abs() * 3).long() % 9
        return model(input_ids=tokens, decoder_input_ids=tokens[:, :3]).logits[..., :2]

    with by_hand(model, T5Attention) as reached:
        decoder = {"queries": 3, "keys": 3}
        sites = [
            site
            if site.path.startswith("encoder")
            else HookSite(site.path, site.layer, site.module, **decoder | ({} if "Self" in site.path else {"keys": 16}))
            for site in reached.sites
        ]
        attached = Attached("hand", sites, forward)
        assert paths(attached, "attention") == [site.path for site in sites]
        found = find_parts(attached, example(), "feed-forward", None)
        with pytest.raises(UsageError, match="after attention layer 2"):
            find_parts(attached, example(), "feed-forward", (2,))  # self-attention, followed by cross-attention
    assert [part.layer for part in found] == [0, 1, 3, 5]
    assert [part.path for part in found] == [
        *(f"encoder.block.{i}.layer.1.DenseReluDense.wo" for i in range(2)),
        *(f"decoder.block.{i}.layer.2.DenseReluDense.wo" for i in range(2)),
    ]
    assert [part.axis for part in found] == [1] * 4


class AttentionOnly(nn.Module):
    """No output projection, no feed-forward part: the next map goes to another width."""

    def __init__(self, width, heads, hidden, causal):
        super().__init__()
        self.query, self.inner = nn.Linear(width, width), Mixing(heads)

    def forward(self, x):
        return x + self.inner(self.query(x), x, x)


def test_what_is_not_there_is_said():
    with by_hand(Foreign(AttentionOnly, layers=1), Mixing) as attached:
        with pytest.raises(UsageError, match=r"no output projection was found after layers\.0\.inner"):
            find_parts(attached, example(), "attention", None)
        with pytest.raises(UsageError, match=r"end of the attention sublayer of layers\.0\.inner was not found"):
            find_parts(attached, example(), "feed-forward", None)
    with attach(untrained().module, example()) as attached, pytest.raises(UsageError, match="layers 0 to 2, not 3"):
        find_parts(attached, example(), "attention", (0, 3))


def test_sublayers_without_feed_forward_parts_are_said():
    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention, self.head = nn.MultiheadAttention(2, 1, batch_first=True), nn.Linear(2, 2)

        def forward(self, x):
            return self.head(x + self.attention(x, x, x)[0])[:, :3]

    with (
        by_hand(Bare(), nn.MultiheadAttention) as attached,
        pytest.raises(UsageError, match=r"no feed-forward part .* was found"),
    ):
        find_parts(attached, example(), "feed-forward", None)


def test_layers_that_share_their_modules_cannot_be_told_apart():
    model = TorchModel()
    model.encoder.layers[1] = model.encoder.layers[0]
    shared = model.encoder.layers[0].self_attn
    attached = Attached("hand", [HookSite("first", 0, shared), HookSite("second", 1, shared)], model.eval())
    with pytest.raises(UsageError, match="share their modules"):
        find_parts(attached, example(), "attention", None)


def test_a_site_that_is_never_met_is_named():
    model = TorchModel()
    attached = Attached("hand", [HookSite("elsewhere", 0, nn.MultiheadAttention(8, 2))], model.eval())
    with pytest.raises(UsageError, match="elsewhere was not met"):
        find_parts(attached, example(), "attention", None)
    assert not traces_left(model)


@pytest.mark.parametrize(
    ("few", "many", "axis"),
    [
        ((2, 16, 8), (4, 16, 8), 1),
        ((16, 2, 8), (16, 4, 8), 0),
        ((2, 3, 16, 8), (4, 3, 16, 8), 2),
        ((32, 8), (64, 8), None),
    ],
)
def test_the_axis_of_tokens_is_not_the_one_that_grows(few, many, axis):
    assert token_axis(few, many, 16) == axis


def test_tracing_leaves_the_random_state():
    model = TorchModel()
    state = torch.get_rng_state()
    with by_hand(model, nn.MultiheadAttention) as attached:
        find_parts(attached, example(), "feed-forward", None)
    assert torch.equal(torch.get_rng_state(), state)
    assert not traces_left(model)
