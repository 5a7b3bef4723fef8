"""A model that was trained elsewhere, as a forecaster: it predicts, and is never fitted here."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from tokenize import TokenError
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from forecheck.attention.sites import Adapter, Forward, Subject, adapters, evaluating
from forecheck.data.stamped import Times, plain, times_of
from forecheck.data.windows import Experiment, Windows
from forecheck.errors import ForecheckError, UsageError
from forecheck.forecasters.base import FitReport, Forecaster, Task
from forecheck.progress import Progress

Wrap = Callable[..., Tensor]
"""`wrap(model, x)`, or `wrap(model, x, times)`, gives the forecast of windows x."""

_PROBES = 16
_WITH_TIMES = 3
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True)
class ExternalConfig:
    """What stands for a model that only lives in memory.

    Attributes:
        model: what people call it.
        fingerprint: of its weights, its code and some of its forecasts.
    """

    model: str = "external"
    fingerprint: str = ""


class External(Forecaster):
    """A model that was trained elsewhere.

    Args:
        task: the shapes that it was made for.
        config: name and fingerprint.
        subject: how it forecasts.

        timed: whether it asks for the times of its windows.

    Attributes:
        subject: how it forecasts windows in standardised units, and the module inside.
        timed: as given.
    """

    name = "external"
    summary = "a model that was trained elsewhere"
    mixes = "unknown"
    source = "the user"
    rank = 1000
    Config = ExternalConfig
    trained = True

    def __init__(self, task: Task, config: ExternalConfig, subject: Subject, *, timed: bool = False) -> None:
        super().__init__(task, config)
        self.subject, self.timed = subject, timed

    @property
    def parameters(self) -> int:
        """Weights of the module, if it is known."""
        module = self.subject.module
        return sum(p.numel() for p in module.parameters()) if module is not None else 0

    def fit(self, train: Windows, validation: Windows, seed: int = 0, progress: Progress | None = None) -> FitReport:
        """Count parameters; nothing is fitted.

        Args:
            train, validation, seed, progress: as in `Forecaster.fit`; not looked at.
        """
        return FitReport(0.0, self.parameters)

    @torch.no_grad()
    def predict(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch horizon channel"]:
        """Forecast in evaluation mode."""
        with evaluating(self.subject.module):
            return self.subject(x)

    def tensors(self) -> dict[str, Tensor]:
        """Nothing was fitted."""
        raise UsageError(f"{self.config.model} was trained elsewhere: save it where it was made")

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Nothing can be restored."""
        raise UsageError(f"{self.config.model} was trained elsewhere: load it where it was made")


def external(
    model: Any,
    task: Task,
    probe: Float[Tensor, "batch lookback channel"],
    *,
    wrap: Wrap | None = None,
    adapter: Adapter | None = None,
    units: tuple[Tensor, Tensor] | None = None,
    name: str | None = None,
) -> External:
    """A model from elsewhere as a forecaster, tried on a few windows.

    Args:
        model: a module, a pipeline of a library with an adapter, or any callable.
        task: shapes.
        probe: windows in standardised units that it must be able to forecast; stamped ones for a wrap of three.
        wrap: `wrap(model, x)` gives the forecast of windows x, for models that are called otherwise;
            `wrap(model, x, times)` is given the stamps of windows and horizons (batch, lookback + horizon) as well.
        adapter: reaches its attention; None for the first of ours that does.
        units: mean and scale (1, 1, channel) of the data, for models that expect real units.
        name: what to call it; None for the name of its class or function.

    Raises:
        UsageError: if it cannot be called, gives something else than (batch, horizon, channel), or NaN, or does not
            repeat its forecasts.
    """
    called = name or getattr(model, "__name__", None) or type(unwrapped(model)).__name__
    model = _one_of(model, called)
    bare = unwrapped(model)
    # A library's model forecasts as that library does, in whatever it was put.
    if bare is not model and wrap is None and any(each.wrap(bare, 1) is not None for each in adapters()):
        model = bare
    module = model if isinstance(model, nn.Module) else _inner_module(model)
    subject = Subject(_whole(model, task, wrap, adapter, called, units, module), module, adapter)
    try:
        with torch.no_grad(), evaluating(module):
            forecast, again = subject(probe), subject(probe)
    except ForecheckError:
        raise
    except Exception as error:
        raise UsageError(
            f"{called} cannot forecast windows {tuple(probe.shape)}: {type(error).__name__}: {error}",
            _how_to_call(module),
        ) from error
    if not torch.isfinite(forecast).all():
        raise UsageError(f"{called} gives forecasts that are not finite on windows of these data")
    if not torch.allclose(forecast, again, rtol=1e-4, atol=1e-5):
        raise UsageError(
            f"{called} gives two different forecasts for the same windows",
            "Put the module inside it into evaluation mode (dropout), or seed what it draws.",
        )
    config = ExternalConfig(called, _fingerprint(model, module, wrap, forecast))
    return External(task, config, subject, timed=takes_times(wrap))


def calling(model: Any, task: Task, wrap: Wrap | None = None) -> Callable[[Any], Forward] | None:
    """What turns a model, or a copy of it, into a function of windows; None if it is called with them as it is.

    That function leaves windows and forecasts where they are, so that gradients flow.

    Args:
        model: the model.
        task: shapes that its forecasts have to have.
        wrap: as in `external`.
    """
    called = type(model).__name__
    if _forward(model, task, wrap, None, called) is model:
        return None
    return lambda each: _whole(each, task, wrap, None, called)


def external_on(
    model: Any,
    experiment: Experiment,
    period: int,
    wrap: Wrap | None,
    units: str,
    adapter: Adapter | None,
    name: str | None,
) -> External:
    """A model that was trained elsewhere, tried on a few test windows of an experiment.

    Args:
        model, wrap, adapter, name: as in `external`.
        experiment: whose lookback, horizon and channels it is made for.
        period: steps a season.
        units: `standardised` by the training rows, or `real`: what it expects and gives.

    Raises:
        UsageError: if the units are neither, or real on a panel of several series; and as `external`.
    """
    if units not in ("standardised", "real"):
        raise UsageError(f"units are standardised or real, not {units!r}")
    test = experiment.stamped().test if takes_times(wrap) else experiment.test
    task = Task(test.lookback, test.horizon, test.channels, period)
    scale = None
    if units == "real":
        if len(experiment.panel.series) > 1:
            raise UsageError(
                "a model in real units can be audited on a panel of one series only: every series has its own scale",
                "Audit it series by series, or give a model in standardised units.",
            )
        scaler = experiment.scaler
        mean, std = (torch.from_numpy(part[:1, None]).float() for part in (scaler.mean, scaler.std))
        scale = (mean, std)
    index = torch.linspace(0, len(test) - 1, min(len(test), _PROBES)).round().long()
    return external(model, task, test.gather(index)[0], wrap=wrap, adapter=adapter, units=scale, name=name)


def takes_times(wrap: Wrap | None) -> bool:
    """Whether a wrap has a third argument that it must be given, or one that is called times."""
    if wrap is None:
        return False
    try:
        given = inspect.signature(wrap).parameters.values()
    except (TypeError, ValueError):  # of a built-in nothing is known
        return False
    needed = [each for each in given if each.default is each.empty and each.kind in _POSITIONAL]
    return len(needed) == _WITH_TIMES or any(each.name == "times" for each in given)


def unwrapped(model: Any) -> Any:
    """The module inside what runs it on several devices, or compiled."""
    while isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel) or hasattr(model, "_orig_mod"):
        model = model._orig_mod if hasattr(model, "_orig_mod") else model.module  # noqa: SLF001  there is no other name
    return model


def _how_to_call(module: nn.Module | None) -> str:
    """What to do about a model that cannot be called with a window alone."""
    if module is not None and "x_mark_enc" in inspect.signature(unwrapped(module).forward).parameters:
        return 'It is called as Time-Series-Library calls its models with wrap="tslib" (--call tslib).'
    return (
        "Give lookback and horizon as the model has them, or pass wrap=lambda model, x: ... that calls it as it has "
        "to be called (--call my_model.py:call)."
    )


def _one_of(model: Any, called: str) -> Any:
    """The only model of an object that holds several, as that of neuralforecast does."""
    held = getattr(model, "models", None)
    if callable(model) or not isinstance(held, list) or not all(isinstance(each, nn.Module) for each in held):
        return model
    if len(held) == 1:
        return held[0]
    names = ", ".join(f".models[{number}] ({type(each).__name__})" for number, each in enumerate(held))
    raise UsageError(f"{called} holds {len(held)} models", f"Give one of them: {names}.")


def _whole(
    model: Any,
    task: Task,
    wrap: Wrap | None,
    adapter: Adapter | None,
    called: str,
    units: tuple[Tensor, Tensor] | None = None,
    module: nn.Module | None = None,
) -> Forward:
    """All that is done around a model's own call; without a module windows stay where they are."""
    timed = _Timed(model, wrap, task, called) if wrap is not None and takes_times(wrap) else None
    forward = timed.called if timed is not None else _forward(model, task, wrap, adapter, called)
    if units is not None:
        forward = _in_real_units(forward, *units)
    forward = _where_it_lives(_checked(forward, task, called), module)
    return forward if timed is None else timed.through(forward)


def _forward(model: Any, task: Task, wrap: Wrap | None, adapter: Adapter | None, called: str) -> Forward:
    if wrap is not None:
        return lambda x: wrap(model, x)
    for each in [adapter] if adapter is not None else adapters():
        forward = each.wrap(model, task.horizon)
        if forward is not None:
            return forward
    if not callable(model):
        raise UsageError(
            f"{called} cannot be called",
            "Give a module or a function from (batch, lookback, channel) to (batch, horizon, channel), or pass wrap=.",
        )
    return model


def _inner_module(model: Any) -> nn.Module | None:
    """The module inside a pipeline or a bound method."""
    for holder in (model, getattr(model, "__self__", None)):
        for attribute in ("inner_model", "model", "module"):
            found = getattr(holder, attribute, None)
            if isinstance(found, nn.Module):
                return found
        if isinstance(holder, nn.Module):
            return holder
    return None


class _Timed:
    """A wrap that is given the times of the windows at hand, read off them before anything is done to them."""

    def __init__(self, model: Any, wrap: Wrap, task: Task, called: str) -> None:
        self._model, self._wrap, self._task, self._name = model, wrap, task, called
        self._times: Times | None = None

    def called(self, x: Tensor) -> Tensor:
        """The model's own call."""
        return self._wrap(self._model, x, self._times)

    def through(self, forward: Forward) -> Forward:
        """All that is done around that call, for windows with their times."""

        def timed(x: Tensor) -> Tensor:
            self._times = times_of(x, self._task.lookback, self._task.horizon, self._name)
            return forward(plain(x))

        return timed


def _in_real_units(forward: Forward, mean: Tensor, scale: Tensor) -> Forward:
    def real(x: Tensor) -> Tensor:
        mean_, scale_ = mean.to(x), scale.to(x)
        return (forward(x * scale_ + mean_) - mean_) / scale_

    return real


def _where_it_lives(forward: Forward, module: nn.Module | None) -> Forward:
    """Windows go to the device and type of the module's weights, and forecasts come back."""
    weights = [p for p in module.parameters() if p.is_floating_point()] if module is not None else []
    if not weights:
        return forward
    device, dtype = weights[0].device, weights[0].dtype

    def there(x: Tensor) -> Tensor:
        return forward(x.to(device, dtype)).cpu()

    return there


def _checked(forward: Forward, task: Task, called: str) -> Forward:
    """The forecast, or an error that says what came instead."""

    def checked(x: Tensor) -> Tensor:
        y = forward(x.clone())  # a model may write into what it is given
        expected = (len(x), task.horizon, task.channels)
        if not isinstance(y, Tensor):
            raise UsageError(
                f"{called} gives a {type(y).__name__}, not a tensor",
                "Pass wrap=lambda model, x: ... that takes the forecast (batch, horizon, channel) out of it.",
            )
        if tuple(y.shape) != expected:
            raise UsageError(
                f"{called} turns windows {tuple(x.shape)} into {tuple(y.shape)}, expected {expected}",
                "Give lookback and horizon as the model has them, or pass wrap= to bring its output into that shape.",
            )
        return y.float()

    return checked


def _fingerprint(model: Any, module: nn.Module | None, wrap: Any, forecast: Tensor) -> str:
    """What tells two models apart: weights, structure, code as far as it can be seen, and what they forecast."""
    digest = hashlib.sha256()
    if module is not None:
        digest.update(repr(module).encode())
        for key, value in module.state_dict().items():
            if isinstance(value, Tensor):
                digest.update(key.encode())
                digest.update(str((value.dtype, tuple(value.shape))).encode())
                digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    held = [] if module is None else list(module.modules())
    for each in held:  # options that are no weights, and the code of every part
        plain = {key: value for key, value in vars(each).items() if isinstance(value, str | int | float | bool | tuple)}
        digest.update(repr(sorted((k, v) for k, v in plain.items() if k != "training")).encode())
    files = {type(each).__module__ for each in held}
    for name in sorted(name for name in files if name.split(".")[0] != "torch"):
        digest.update(_source(sys.modules.get(name)))
    for code in (type(model), model, wrap):
        digest.update(f"{getattr(code, '__module__', '')}.{getattr(code, '__qualname__', '')}".encode())
        digest.update(_source(code))
    digest.update(forecast.double().numpy().tobytes())
    return digest.hexdigest()[:32]


def _source(code: Any) -> bytes:
    try:
        return inspect.getsource(code).encode()
    except (TypeError, OSError, SyntaxError, TokenError):  # what was typed or executed may lie in no file as it is
        return b""
