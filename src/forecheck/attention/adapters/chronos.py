"""chronos-forecasting: Chronos (T5 on tokens), Chronos-Bolt (T5 on patches) and Chronos-2.

The first two are T5 models of transformers and are reached there. Chronos-2 has attention of its own: over time, which
is reached here, and over the series of a group. The latter is no site: its tokens are the series of a batch, so its
size changes from batch to batch, and as every series is forecast alone its pattern is the identity matrix.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from forecheck.attention.adapters.transformers import ADAPTER as TRANSFORMERS
from forecheck.attention.calls.editable import EditableSite
from forecheck.attention.calls.wrapped import (
    SAMPLES,
    Wrapped,
    check_horizon,
    classes_of,
    contains,
    module_of,
    one_by_one,
    seeded,
)
from forecheck.attention.sites import Attached, Forward, Subject, evaluating
from forecheck.errors import UsageError


class ChronosAdapter:
    """Takes the pipelines and the models inside them."""

    name = "chronos"

    def wrap(self, model: object, horizon: int) -> Forward | None:
        """The median forecast of a Chronos model or pipeline; None for anything else. Channels are forecast alone.

        Raises:
            UsageError: if the model forecasts fewer steps.
        """
        inner: Any = model
        if "BaseChronosPipeline" in classes_of(model, "chronos"):
            inner = inner.inner_model
        names = classes_of(inner, "chronos")
        if "ChronosBoltModelForForecasting" in names:
            return Wrapped(inner, one_by_one(_bolt(inner, horizon)))
        if "Chronos2Model" in names:
            return Wrapped(inner, one_by_one(_chronos2(inner, horizon)))
        if "ChronosModel" in names:
            inner = inner.model
        if hasattr(getattr(inner, "config", None), "chronos_config") and classes_of(inner, "transformers"):
            return Wrapped(inner, one_by_one(_tokens(inner, horizon)))
        return None

    @contextmanager
    def attach(self, subject: Subject, example: Tensor) -> Iterator[Attached]:
        """Reach T5's attention, or the time attention of Chronos-2."""
        module = module_of(subject)
        if module is not None and contains(module, "chronos"):
            time = [
                (f"{path}.self_attention", each.self_attention)
                for path, each in module.named_modules()
                if "TimeSelfAttention" in classes_of(each, "chronos")
            ]
            if time:
                with _attach_time(replace(subject, module=module), example, time) as attached:
                    yield attached
                return
        if module is not None and (contains(module, "chronos") or _is_chronos_t5(module)):
            with TRANSFORMERS.attach(replace(subject, module=module), example) as attached:
                yield replace(attached, adapter=self.name)
            return
        with evaluating(module):
            yield Attached(self.name, [], subject.forward)


def _is_chronos_t5(module: nn.Module) -> bool:
    return contains(module, "transformers") and any(
        hasattr(getattr(each, "config", None), "chronos_config") for each in module.modules()
    )


@contextmanager
def _attach_time(subject: Subject, example: Tensor, modules: list[tuple[str, Any]]) -> Iterator[Attached]:
    """Chronos-2: its attention functions are methods, ours stand in front of them during a forecast."""
    sites = [EditableSite(path, layer, each.n_heads, 0, 0, each) for layer, (path, each) in enumerate(modules)]
    recording = True

    def attend(site: EditableSite, usual: Callable[..., Any], q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Any:
        if recording:
            site.grow(q.shape[2], k.shape[2])
        return site.attend(q, k, v, mask, scaling=1.0) if site.touched else usual(q, k, v, mask)

    def forward(x: Tensor) -> Tensor:
        try:
            for site, (_, module) in zip(sites, modules, strict=True):
                for name in _METHODS:
                    setattr(module, name, partial(attend, site, getattr(module, name)))
            return subject.forward(x)
        finally:
            for _, module in modules:
                for name in _METHODS:
                    module.__dict__.pop(name, None)

    with evaluating(subject.module):
        with torch.no_grad():
            forward(example)
        recording = False
        yield Attached(ChronosAdapter.name, [*sites], forward)


_METHODS = ("_eager_attention", "_sdpa_attention")


def _median(quantiles: list[float], model: object) -> int:
    """Place of the median among the quantiles that a model forecasts."""
    if 0.5 not in quantiles:
        raise UsageError(f"{type(model).__name__} does not forecast the median, only quantiles {quantiles}")
    return quantiles.index(0.5)


def _bolt(model: Any, horizon: int) -> Callable[[Tensor], Tensor]:
    config = model.chronos_config
    check_horizon(horizon, config.prediction_length, model)
    median = _median(list(config.quantiles), model)
    return lambda x: model(context=x[:, -config.context_length :]).quantile_preds[:, median, :horizon]


def _chronos2(model: Any, horizon: int) -> Callable[[Tensor], Tensor]:
    """Every series is a group of its own, which is what the model assumes by default."""
    config = model.chronos_config
    check_horizon(horizon, config.max_output_patches * config.output_patch_size, model)
    median = _median(list(config.quantiles), model)
    patches = math.ceil(horizon / config.output_patch_size)

    def forecast(x: Tensor) -> Tensor:
        groups = torch.arange(len(x), device=x.device)
        out = model(context=x[:, -config.context_length :], group_ids=groups, num_output_patches=patches)
        return out.quantile_preds[:, median, :horizon]

    return forecast


def _tokens(model: Any, horizon: int) -> Callable[[Tensor], Tensor]:
    """The median of at most `SAMPLES` sample paths, always the same ones.

    Without a cache of keys: every step's pattern is then part of one causal pattern, so edits mean the same as in
    a model that forecasts at once.
    """
    from chronos.chronos import ChronosConfig, ChronosModel, ChronosPipeline

    config = ChronosConfig(**model.config.chronos_config)
    check_horizon(horizon, config.prediction_length, model)
    pipeline = ChronosPipeline(config.create_tokenizer(), ChronosModel(config, model))
    samples = min(config.num_samples, SAMPLES)

    def forecast(x: Tensor) -> Tensor:
        cached, model.generation_config.use_cache = model.generation_config.use_cache, False
        try:
            with seeded():
                paths = pipeline.predict(x.cpu(), prediction_length=horizon, num_samples=samples)
        finally:
            model.generation_config.use_cache = cached
        return paths.median(dim=1).values.to(x)

    return forecast


ADAPTER = ChronosAdapter()
