"""Hugging Face transformers, through its attention interface.

A model of this library looks its attention function up by a name in its configuration, and the function that makes its
masks by the same name. For the time of a forecast both names are ours; models, configurations and registries are
otherwise untouched. Attention that does not go through the interface (Informer's ProbSparse layers, Autoformer's
AutoCorrelation, Reformer's hashing) is no site of this adapter; `forecheck.attention.completed` looks for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn

from forecheck.attention.calls import transformers_wrap
from forecheck.attention.calls.editable import EditableSite
from forecheck.attention.calls.wrapped import contains, module_of
from forecheck.attention.sites import Attached, Forward, Subject, evaluating

_NAMES = (f"forecheck-{number}" for number in count())
_WITHOUT_PATTERN = {
    "InformerProbSparseAttention": "ProbSparse layers do not go through the interface",
    "AutoformerAttention": "AutoCorrelation does not go through the interface",
}


class TransformersAdapter:
    """Finds every module that calls the attention interface."""

    name = "transformers"

    def wrap(self, model: object, horizon: int) -> Forward | None:
        """How PatchTST, TimeSeriesTransformer, Informer, Autoformer and TimesFM forecast; None for anything else.

        Raises:
            UsageError: if the model forecasts fewer steps; when called, if the window is too short for it.
        """
        return transformers_wrap.wrap(model, horizon)

    @contextmanager
    def attach(self, subject: Subject, example: Tensor) -> Iterator[Attached]:
        """Reach every attention module that a forecast of `example` takes through the interface.

        An encoder's and a decoder's attention are sites; so is cross-attention. A decoder that grows step by step is
        one site a module, of its full size.
        """
        module = module_of(subject)
        if module is None or not contains(module, "transformers"):
            with evaluating(module):
                yield Attached(self.name, [], subject.forward)
            return
        with evaluating(module):
            hook = _Hook(module)
            forward = partial(_through, hook, subject.forward)
            with torch.no_grad():
                forward(example)
            hook.recording = False
            classes = {type(each).__name__ for each in module.modules()}
            reasons = [reason for name, reason in _WITHOUT_PATTERN.items() if name in classes]
            yield Attached(self.name, [*hook.sites], forward, "; ".join(reasons))


class _Hook:
    """The attention function of one attached model.

    Attributes:
        sites: in the order of the forward pass. A module that is called twice on the same tokens, laid out in batches
            of other sizes, is one a layout: it looks along two axes (PatchTST's channel attention).
        recording: whether modules met are taken down as sites.
    """

    def __init__(self, module: nn.Module) -> None:
        self.sites: list[EditableSite] = []
        self.recording = True
        self._called: dict[int, list[EditableSite]] = {}  # by module, in the order of its calls
        self._layouts: dict[int, dict[tuple[int, int, int], EditableSite]] = {}  # by module: batch, queries, keys
        self._calls: dict[int, int] = {}  # of the pass that runs
        self.configs = _configs(module)
        # Which attention each configuration names now; ours computes the same.
        self.usual = {key: config._attn_implementation for key, config in self.configs.items()}  # noqa: SLF001
        self._paths = {id(each): path for path, each in module.named_modules()}

    def begin(self) -> None:
        """A pass begins: calls are counted anew."""
        self._calls.clear()

    def _record(self, module: nn.Module, query: Tensor, key: Tensor) -> None:
        before = self._called.setdefault(id(module), [])
        layouts = self._layouts.setdefault(id(module), {})
        shape = (len(query), query.shape[2], key.shape[2])
        site = layouts.get(shape)
        if site is None:
            turned = any(_turned(shape, each) for each in layouts)
            site = None if turned else next(iter(layouts.values()), None)
        if site is None:
            axis = f", axis {len(set(map(id, before)))}" if before else ""
            path = self._paths.get(id(module), type(module).__name__) + axis
            site = EditableSite(path, len(self.sites), query.shape[1], 0, 0, module)
            self.sites.append(site)
        layouts[shape] = site
        site.grow(query.shape[2], key.shape[2])
        before.append(site)

    def _met(self, module: nn.Module) -> EditableSite | None:
        """The site of this call of a module; calls come in the order of the pass that was recorded."""
        known, call = self._called.get(id(module)), self._calls.get(id(module), 0)
        self._calls[id(module)] = call + 1
        return None if not known else known[min(call, len(known) - 1)]

    def attend(
        self,
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        *,
        scaling: float | None = None,
        dropout: float = 0.0,
        is_causal: bool | None = None,
        position_bias: Tensor | None = None,
        **others: Any,
    ) -> tuple[Tensor, Tensor | None]:
        """What the attention interface asks of a function: mixed values (batch, query, head, width), and weights."""
        from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

        usual = self.usual.get(id(getattr(module, "config", None)))
        if self.recording:
            self._record(module, query, key)
        known = self._met(module)
        plain = ALL_ATTENTION_FUNCTIONS.get(usual) if usual not in (None, "eager") else None
        if plain is not None and (known is None or not known.touched):
            return plain(
                module,
                query,
                key,
                value,
                attention_mask,
                scaling=scaling,
                dropout=dropout,
                is_causal=is_causal,
                position_bias=position_bias,
                **others,
            )
        site = known or EditableSite("", 0, query.shape[1], query.shape[2], key.shape[2], module)
        if attention_mask is None and plain is not None:
            attention_mask = _causal(module, query, key, is_causal)
        out, weights = site.attend(
            query, key, value, attention_mask, scaling=scaling, bias=position_bias, dropout=dropout
        )
        return out.transpose(1, 2).contiguous(), weights

    def mask(self, *arguments: Any, config: Any, **options: Any) -> Tensor | None:
        """The mask that the usual attention gets: layers that are not on the interface may add it to their scores.

        Causal masks are always written out: where the usual function takes none, keys to come would be seen.
        """
        from transformers.masking_utils import eager_mask, sdpa_mask

        make = eager_mask if self.usual.get(id(config)) in (None, "eager") else sdpa_mask
        return make(*arguments, config=config, **(options | {"allow_is_causal_skip": False}))


def _turned(shape: tuple[int, int, int], other: tuple[int, int, int]) -> bool:
    """Whether two calls look among themselves at the same number of tokens in batches of other sizes."""
    square = shape[1] == shape[2] and other[1] == other[2]
    return square and shape[0] != other[0] and shape[0] * shape[1] == other[0] * other[1]


def _through(hook: _Hook, forward: Forward, x: Tensor) -> Tensor:
    hook.begin()
    with _switched(hook):
        return forward(x)


@contextmanager
def _switched(hook: _Hook) -> Iterator[None]:
    """Every configuration names our function; all is as before when the block ends."""
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    name = next(_NAMES)
    before = {key: config._attn_implementation_internal for key, config in hook.configs.items()}  # noqa: SLF001
    try:
        ALL_ATTENTION_FUNCTIONS.register(name, hook.attend)
        ALL_MASK_ATTENTION_FUNCTIONS.register(name, hook.mask)
        for config in hook.configs.values():
            config._attn_implementation_internal = name  # noqa: SLF001  # the public setter also sets sub-configurations
        yield
    finally:
        for key, config in hook.configs.items():
            config._attn_implementation_internal = before[key]  # noqa: SLF001
        # Names can be registered publicly, but not taken back.
        ALL_ATTENTION_FUNCTIONS._global_mapping.pop(name, None)  # noqa: SLF001
        ALL_MASK_ATTENTION_FUNCTIONS._global_mapping.pop(name, None)  # noqa: SLF001


def _configs(module: nn.Module) -> dict[int, Any]:
    """Every configuration in a model, by identity: a stack may have a copy of its own."""
    from transformers.configuration_utils import PreTrainedConfig

    found: dict[int, Any] = {}
    for each in module.modules():
        config = getattr(each, "config", None)
        if isinstance(config, PreTrainedConfig):
            found[id(config)] = config
    return found


def _causal(module: nn.Module, query: Tensor, key: Tensor, is_causal: bool | None) -> Tensor | None:
    """The mask that the library's fused attention takes on without being given one."""
    causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    if not causal or query.shape[2] <= 1:
        return None
    return query.new_ones(1, 1, query.shape[2], key.shape[2], dtype=torch.bool).tril()


ADAPTER = TransformersAdapter()
