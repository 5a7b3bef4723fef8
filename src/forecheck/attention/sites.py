"""Where attention sits in a model: sites, reached by an adapter for the time of a `with` block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

from forecheck.errors import UsageError
from forecheck.nn.attention import PatternEdit

Forward = Callable[[Tensor], Tensor]
"""Maps (batch, lookback, channel) to (batch, horizon, channel)."""

_ADAPTERS = ("native", "neuralforecast", "chronos", "transformers", "calls")


@dataclass(frozen=True)
class Subject:
    """What is looked into: how it forecasts, and the module inside it.

    Attributes:
        forward: forecasts a batch of windows.
        module: the module whose submodules do the work; None for a plain function.
        adapter: only this adapter is asked, if not None (a user's own).
    """

    forward: Forward
    module: nn.Module | None = None
    adapter: Adapter | None = None

    @classmethod
    def of(cls, model: Subject | nn.Module | Forward) -> Subject:
        """A module or function as a subject; a subject stays itself."""
        if isinstance(model, Subject):
            return model
        return cls(model, model if isinstance(model, nn.Module) else None)

    def __call__(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch horizon channel"]:
        """The forecast."""
        return self.forward(x)


@runtime_checkable
class Site(Protocol):
    """One attention operation of a model.

    Attributes:
        path: module path, or whatever names the place.
        layer: its place in the order of the forward pass, 0-based.
        heads: number of heads.
        queries: tokens that look.
        keys: tokens that are looked at.
        module: the innermost module in whose forward pass it happens, if known.
        projected: whether the output of `module` is that of the whole attention sublayer, output projection included.

    Some sites have more: `stochastic` and `across` as in `forecheck.nn.mixing.Mixing`, `heads_known` (whether it is
    known which patterns are heads), and `no_pattern`: why there is none, so that a sublayer is edited as a whole.
    """

    path: str
    layer: int
    heads: int
    queries: int
    keys: int
    module: nn.Module | None
    projected: bool

    def edit(self, pattern: PatternEdit | None) -> None:
        """Put an edit on the pattern, or take it off."""

    def observe(self, callback: Callable[[Tensor], None] | None) -> None:
        """Have the raw pattern (batch, head, query, key) of every pass handed to `callback`, or stop that."""


def why_no_pattern(site: Site) -> str:
    """Why a site has no pattern; empty if it has one, as sites that say nothing do."""
    return str(getattr(site, "no_pattern", ""))


@dataclass(frozen=True)
class Attached:
    """A model whose attention can be edited, while the `with` block of `attach` lasts.

    Attributes:
        adapter: name of the adapter that reached it.
        sites: in the order of the forward pass; empty if the adapter reaches nothing.
        forward: forecasts with the edits that the sites hold.
        why_not: why there are no sites.
    """

    adapter: str
    sites: list[Site]
    forward: Forward
    why_not: str = ""

    def __call__(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch horizon channel"]:
        """The forecast with the edits that the sites hold."""
        return self.forward(x)

    def describe(self) -> str:
        """One line for reports: adapter, number of sites, shapes."""
        shapes = {
            (
                f"{site.heads} heads" if getattr(site, "heads_known", True) else "unknown heads",
                site.queries,
                site.keys,
                " without a pattern" if why_no_pattern(site) else "",
            )
            for site in self.sites
        }
        shape = ", ".join(
            f"{heads} x {queries} tokens" + (f" looking at {keys}" if keys != queries else "") + without
            for heads, queries, keys, without in sorted(shapes)
        )
        return f"{len(self.sites)} attention sites through the {self.adapter} adapter ({shape})"

    def clear(self) -> None:
        """Take every edit and every observer off."""
        for site in self.sites:
            site.edit(None)
            site.observe(None)


@runtime_checkable
class Adapter(Protocol):
    """How attention is reached in the models of one library.

    Checked by `forecheck.testing.adapters.check_adapter`.
    """

    name: str

    def wrap(self, model: object, horizon: int) -> Forward | None:
        """How a model of this library forecasts, or None if it is not one or is called with a window as it is."""

    def attach(self, subject: Subject, example: Tensor) -> AbstractContextManager[Attached]:
        """Reach the sites that a forward pass of `example` goes through; leaves no trace when the block ends.

        Inside the block the module is in evaluation mode. No sites if the model is none of this library's.
        """


def adapters() -> list[Adapter]:
    """Every adapter, the most particular first."""
    return [import_module(f"forecheck.attention.adapters.{name}").ADAPTER for name in _ADAPTERS]


@contextmanager
def attach(model: Subject | nn.Module | Forward, example: Tensor) -> Iterator[Attached]:
    """Reach a model's attention by the first adapter that finds any.

    Without any site the block runs all the same: `sites` is empty and `why_not` says why.

    Args:
        model: any torch forecaster.
        example: an input batch (batch, lookback, channel), for shapes.
    """
    subject = Subject.of(model)
    tried = [subject.adapter] if subject.adapter is not None else adapters()
    reasons = []
    for adapter in tried:
        with adapter.attach(subject, example) as attached:
            if attached.sites:
                with _whole(subject, attached, example) as whole:
                    try:
                        yield whole
                    finally:
                        whole.clear()
                return
            if attached.why_not:
                reasons.append(attached.why_not)
    name = type(subject.module if subject.module is not None else subject.forward).__name__
    why_not = f"no attention was found in {name}"
    with evaluating(subject.module), _whole(subject, Attached("", [], subject.forward), example) as plain:
        try:
            said = [] if plain.sites else [why_not, *reasons, *_seen(subject, plain, example)]
            yield replace(plain, why_not="; ".join(said))
        finally:
            plain.clear()


@contextmanager
def _whole(subject: Subject, attached: Attached, example: Tensor) -> Iterator[Attached]:
    """With what the adapter did not reach; all of our own models is known, and a user's adapter speaks for itself."""
    ours = type(subject.module).__module__.startswith("forecheck.")
    if subject.adapter is not None or attached.adapter == "native" or ours:
        yield attached
        return
    from forecheck.attention.completed import completed

    with completed(subject, attached, example) as whole:
        yield whole


def _seen(subject: Subject, plain: Attached, example: Tensor) -> list[str]:
    """What a model without any site mixes by, in words."""
    from forecheck.attention.beside import listed, unreached

    try:
        places = unreached(subject, plain, example)
    except Exception:  # noqa: BLE001  the reasons that are known do without it
        return []
    if places:
        known = "what mixes by weights that depend on the window is written in a way that is not known"
        return [f"{known}: {listed(places)}"]
    return ["nothing in it was seen to mix by weights that depend on the window"]


@contextmanager
def attach_sites(model: Subject | nn.Module | Forward, example: Tensor) -> Iterator[Attached]:
    """As `attach`, for those who cannot do without sites.

    Raises:
        UsageError: if no adapter finds attention.
    """
    with attach(model, example) as attached:
        if not attached.sites:
            names = ", ".join(adapter.name for adapter in adapters())
            raise UsageError(attached.why_not, f"Adapters tried: {names}.")
        yield attached


@contextmanager
def evaluating(module: nn.Module | None) -> Iterator[None]:
    """Evaluation mode for the time of a `with` block; every submodule gets its own mode back."""
    if module is None:
        yield
        return
    # Frozen modules have no mode, exported ones refuse to change theirs.
    training = [each for each in module.modules() if getattr(each, "training", False)]
    with suppress(NotImplementedError, AttributeError):
        module.eval()
    try:
        yield
    finally:
        for each in training:
            each.training = True
