"""Position codes taken away, and tokens in another order."""

import pytest
import torch
from edited_models import (
    ConvolutionBlock,
    Failed,
    Foreign,
    HandAdapter,
    InlineBlock,
    Mixing,
    TorchModel,
    by_hand,
    example,
    subject,
    traces_left,
    untrained,
)
from torch import nn

from forecheck.attention.codes import find_codes
from forecheck.attention.encoder import find_encoder, permutation
from forecheck.attention.positions import (
    FillPositions,
    MeanPositions,
    ShufflePositions,
    ShuffleTokens,
    ZeroPositions,
)
from forecheck.attention.sites import Attached, Subject, attach
from forecheck.attention.trace import trace, two_traces
from forecheck.errors import UsageError

EDITS = [ZeroPositions(), FillPositions(), MeanPositions(), ShufflePositions(), ShuffleTokens()]
BLOCKS = pytest.mark.parametrize("block", [ConvolutionBlock, InlineBlock])
MODELS = {
    "native": lambda: untrained().module,
    "convolutions": lambda: subject(Foreign(ConvolutionBlock)),
    "inline": lambda: subject(Foreign(InlineBlock)),
}
MODEL = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)


def forecast(model, edit):
    with torch.no_grad(), edit.on(model, example()) as edited:
        return edited(example())


def plain(model):
    with torch.no_grad():
        return getattr(model, "module", model)(example())


def code_of(model):
    return model.positions.code if hasattr(model, "positions") else model.module.W_pos


@MODEL
@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.label)
def test_edits_show_and_leave_nothing(make, edit):
    model = make()
    code = code_of(model)
    module = getattr(model, "module", model)
    values, version, memory = code.detach().clone(), code._version, code.data_ptr()
    before, state = plain(model), torch.get_rng_state()
    during = forecast(model, edit)
    assert (during - before).abs().max() > 1e-4 * before.abs().max()
    torch.testing.assert_close(forecast(model, edit), during, rtol=0, atol=0)
    with pytest.raises(Failed), edit.on(model, example()):
        raise Failed
    assert torch.equal(code, values)
    assert (code._version, code.data_ptr(), code.requires_grad) == (version, memory, True)
    assert not traces_left(module)
    assert torch.equal(torch.get_rng_state(), state)
    torch.testing.assert_close(plain(model), before, rtol=0, atol=0)


def test_a_gradient_from_before_the_block_can_still_be_taken_after_it():
    module = untrained().module
    loss = module(example()).square().sum()
    with ZeroPositions().on(module, example()):
        pass
    loss.backward()
    first = module.positions.code.grad.clone()
    module.zero_grad()
    module(example()).square().sum().backward()
    torch.testing.assert_close(module.positions.code.grad, first)


def test_frozen_codes_stay_frozen():
    module = untrained().module
    module.positions.code.requires_grad_(requires_grad=False)
    with ShufflePositions().on(module, example()):
        assert not module.positions.code.requires_grad
    assert not module.positions.code.requires_grad


def test_what_codes_become():
    module = untrained().module
    code = module.positions.code.detach().clone()
    with ZeroPositions().on(module, example()):
        assert (module.positions.code == 0).all()
    with FillPositions(0.25).on(module, example()):
        assert (module.positions.code == 0.25).all()
    with MeanPositions().on(module, example()):
        torch.testing.assert_close(module.positions.code.detach(), code.mean(dim=0).expand_as(code))
    orders = []
    for draw in range(5):
        with ShufflePositions().drawn(draw).on(module, example()):
            moved = module.positions.code.detach().clone()
        orders.append([next(i for i in range(5) if torch.equal(code[i], row)) for row in moved])
        assert sorted(orders[-1]) == list(range(5))
        assert orders[-1] != list(range(5))
    assert len({tuple(order) for order in orders}) > 1


def test_the_forecaster_sees_the_edit():
    forecaster = untrained()
    with ShuffleTokens().on(forecaster.module, example()):
        during = forecaster.predict(example())
    torch.testing.assert_close(during, forecast(forecaster.module, ShuffleTokens()), rtol=0, atol=0)


def order_of(edit, model):
    """The permutation that `ShuffleTokens` uses: what the first block gets, against what it got."""
    seen = []
    with attach(model, example()) as attached:
        first = find_encoder(attached, example(), two_traces(attached, example())).first
        for each in (None, edit):
            if each is None:
                handle = first.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
                attached(example())
                handle.remove()
            else:
                with each.applied(attached, example(), ()):
                    handle = first.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
                    attached(example())
                    handle.remove()
    return seen


@BLOCKS
def test_shuffled_tokens_without_codes_forecast_the_same(block):
    model = subject(Foreign(block, codes=False))
    before, after = order_of(ShuffleTokens(), model)
    assert not torch.allclose(before, after)
    assert torch.equal(before.sort(dim=1).values, after.sort(dim=1).values)  # the same tokens in another order
    torch.testing.assert_close(forecast(model, ShuffleTokens()), plain(model), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch_first", [True, False])
def test_shuffled_tokens_in_torch_encoders_forecast_the_same(batch_first):
    model = TorchModel(batch_first=batch_first)
    with by_hand(model, nn.MultiheadAttention) as attached, torch.no_grad():
        before = attached(example())
        with ShuffleTokens().applied(attached, example(), ()):
            torch.testing.assert_close(attached(example()), before, rtol=1e-4, atol=1e-5)
    assert not traces_left(model)


@MODEL
def test_shuffled_tokens_forecast_as_permuted_codes(make):
    """f(P z + p) put back in order is f(z + p permuted the other way) where blocks see no order."""
    model = make()
    code = code_of(model)
    during = forecast(model, ShuffleTokens(seed=2))
    with ShuffleTokens(seed=2).on(model, example()):
        permuted = code.detach().clone()
    assert not torch.equal(permuted, code)
    assert torch.equal(permuted.sort(dim=0).values, code.detach().sort(dim=0).values)
    with torch.no_grad():
        code.copy_(permuted)
    torch.testing.assert_close(during, plain(model), rtol=1e-4, atol=1e-5)


def test_first_block_meets_shuffled_content_with_codes_in_order():
    """P z + p, by hand."""
    model = Foreign(InlineBlock)
    seen = order_of(ShuffleTokens(seed=1), subject(model))
    before, after = (each - model.W_pos for each in seen)
    content = model.embed(example())
    torch.testing.assert_close(before, content)
    distance = torch.cdist(after, content)
    order = distance.argmin(dim=-1)
    assert distance.min(dim=-1).values.max() < 1e-5
    assert (order == order[0]).all()
    assert sorted(order[0].tolist()) == list(range(16))


@BLOCKS
def test_with_a_causal_mask_the_order_matters_without_codes(block):
    model = subject(Foreign(block, codes=False, causal=True))
    before = plain(model)
    assert (forecast(model, ShuffleTokens()) - before).abs().max() > 1e-3 * before.abs().max()


@pytest.mark.parametrize("edit", EDITS[:3], ids=lambda edit: edit.label)
def test_models_without_codes_are_told(edit):
    with (
        pytest.raises(UsageError, match="Foreign stores no position codes: they are computed"),
        edit.on(subject(Foreign(InlineBlock, codes=False)), example()),
    ):
        pass


def test_blocks_that_mix_tokens_outside_of_attention_are_refused():
    class Leaky(InlineBlock):
        def forward(self, x):
            return super().forward(x) + x.roll(1, dims=1)

    model = subject(Foreign(Leaky))
    with pytest.raises(UsageError, match="only attention mixes tokens"), ShuffleTokens().on(model, example()):
        pass
    assert not traces_left(model.module)
    assert all(layer.inner.pattern is None for layer in model.module.layers)


def test_residuals_outside_of_the_listed_modules_are_refused():
    """Order can be changed at the ends of a block only if the residual stream runs inside it."""

    class Loose(Foreign):
        def forward(self, x):
            z = self.embed(x) + self.W_pos
            for layer in self.layers:
                z = z + layer.out(layer.inner(layer.query(z), layer.key(z), layer.value(z)))
            return self.head(z.flatten(1)).view(len(x), 3, 2)

    model = subject(Loose(InlineBlock, layers=1))
    with pytest.raises(UsageError, match="only attention mixes tokens"), ShuffleTokens().on(model, example()):
        pass


@pytest.mark.parametrize("layers", [1, 2])
def test_blocks_need_not_be_in_a_list(layers):
    class Unlisted(Foreign):
        def __init__(self):
            super().__init__(InlineBlock, codes=False, layers=layers)
            for i, layer in enumerate(self.layers):
                setattr(self, f"layer{i}", layer)
            del self.layers

        def forward(self, x):
            z = self.embed(x)
            for i in range(layers):
                z = getattr(self, f"layer{i}")(z)
            return self.head(z.flatten(1)).view(len(x), 3, 2)

    model = Unlisted()
    with attach(subject(model), example()) as attached:
        encoder = find_encoder(attached, example(), two_traces(attached, example()))
    assert (encoder.first, encoder.last) == (model.layer0, getattr(model, f"layer{layers - 1}"))
    torch.testing.assert_close(forecast(subject(model), ShuffleTokens()), plain(model), rtol=1e-4, atol=1e-5)


class Stored(nn.Module):
    """Attention over 16 steps, with whatever tables a test gives it."""

    def __init__(self, **tables):
        super().__init__()
        self.attention = Mixing(1)
        for name, table in tables.items():
            setattr(self, name, table)

    def forward(self, x):
        return self.attention(x, x, x)[:, :3]


def codes_of(**tables):
    model = Stored(**tables)
    with attach(Subject(model, model, HandAdapter()), example()) as attached:
        return find_codes(trace(attached, example()))


def holder(name, table):
    module = nn.Module()
    module.register_buffer(name, table)
    return module


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ({"W_pos": nn.Parameter(torch.rand(16, 4))}, ("W_pos", 0, 16, False)),
        ({"pos_encoder": holder("pe", torch.rand(50, 1, 4))}, ("pos_encoder.pe", 0, 16, False)),
        ({"position_embedding": holder("pe", torch.rand(1, 50, 4))}, ("position_embedding.pe", 1, 16, False)),
        ({"embed_positions": nn.Embedding(20, 4)}, ("embed_positions.weight", 0, 16, False)),
        ({"encoder": holder("position_enc", torch.rand(16, 4))}, ("encoder.position_enc", 0, 16, False)),
        ({"relative_attention_bias": nn.Embedding(8, 2)}, ("relative_attention_bias.weight", 0, 8, True)),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_tables_are_known_by_name_and_shape(tables, expected):
    (found,) = codes_of(**tables)
    assert (found.name, found.axis, found.tokens, found.relative) == expected


@pytest.mark.parametrize(
    "tables",
    [
        {"decomposition": holder("weight", torch.rand(16, 4))},
        {"post": nn.Parameter(torch.rand(16, 4))},
        {"pos_proj": nn.Linear(4, 16)},
        {"position_ids": holder("position_ids", torch.arange(16)[None])},
        {"pos_scale": nn.Parameter(torch.rand(16))},
        {"positions": nn.Embedding(9, 4)},  # fewer than tokens
    ],
    ids=lambda tables: next(iter(tables)),
)
def test_other_tables_are_let_alone(tables):
    with pytest.raises(UsageError, match="stores no position codes"):
        codes_of(**tables)


def test_the_mean_is_over_the_rows_in_use():
    """Of a long table, tokens use the first rows."""
    table = torch.rand(50, 1, 4)
    model = Stored(pos_encoder=holder("pe", table.clone()))
    with MeanPositions().on(subject(model), example()):
        torch.testing.assert_close(model.pos_encoder.pe, table[:16].mean(dim=0, keepdim=True).expand_as(table))
    with ShufflePositions().on(subject(model), example()):
        assert torch.equal(model.pos_encoder.pe[16:], table[16:])
        assert not torch.equal(model.pos_encoder.pe[:16], table[:16])
    assert torch.equal(model.pos_encoder.pe, table)


def test_relative_biases_are_not_permuted_with_tokens():
    model = Foreign(InlineBlock)
    model.relative_attention_bias = nn.Embedding(16, 2)
    before = model.relative_attention_bias.weight.detach().clone()
    with ShuffleTokens().on(subject(model), example()):
        assert torch.equal(model.relative_attention_bias.weight, before)
    with ShufflePositions().on(subject(model), example()):
        assert not torch.equal(model.relative_attention_bias.weight, before)


def test_a_permutation_moves_something_if_it_can():
    assert permutation(1, torch.Generator()).tolist() == [0]
    assert {tuple(permutation(2, torch.Generator().manual_seed(i)).tolist()) for i in range(20)} == {(1, 0)}


@pytest.mark.filterwarnings("default")
def test_hugging_face_models():
    from transformers import PatchTSTConfig, PatchTSTForPrediction
    from transformers.models.patchtst.modeling_patchtst import PatchTSTAttention

    sizes = {"d_model": 8, "num_attention_heads": 2, "ffn_dim": 12, "num_hidden_layers": 2}
    config = PatchTSTConfig(
        num_input_channels=2,
        context_length=16,
        patch_length=4,
        patch_stride=4,
        prediction_length=3,
        pooling_type=None,
        **sizes,
    )
    model = PatchTSTForPrediction(config).eval()
    with by_hand(model, PatchTSTAttention, queries=4) as reached, torch.no_grad():
        attached = Attached("hand", reached.sites, lambda x: model(past_values=x).prediction_outputs)
        (code,) = find_codes(trace(attached, example()))
        assert code.name == "model.encoder.positional_encoder.position_enc"
        code.tensor.mul_(100)
        with ShuffleTokens().applied(attached, example(), ()):
            during = attached(example())
            permuted = code.tensor.detach().clone()
        before = attached(example())
        code.tensor.copy_(permuted)
        torch.testing.assert_close(during, attached(example()), rtol=1e-4, atol=1e-5)
        assert not torch.allclose(before, during)
