r"""Attention of any way, reached by its values: what a sublayer gives is linear in them, so it can be asked for.

With all else held as it is, what comes to the output projection of a sublayer is

.. math:: o_{bth} = \sum_s A_{bhts} \, v_{bsh}

for the values v that its value projection gives. A is measured by running the sublayer again with ones in the place of
the values of a token: no matter whether it is written as sorted buckets, rolled series or the top queries.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from forecheck.attention.aside import aside, is_aside
from forecheck.attention.calls.site import CallSite
from forecheck.errors import UsageError

STYLE = "value mixing"


class Reached(BaseException):  # models that catch exceptions must not catch it
    """The output projection was reached; what comes after it need not run."""


@dataclass
class Run:
    """One run of a module: what it was given, and the random numbers that it met.

    Attributes:
        args, kwargs: its arguments; tensors are copies, as a module may write into them.
        random: state of the generator when it began.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    random: Tensor

    @classmethod
    def of(cls, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Run | None:
        """Taken down; None if anything in it may be changed by a run, as a cache is."""
        if not all(map(_plain, (*args, *kwargs.values()))):
            return None
        kept = {key: _copied(value) for key, value in kwargs.items()}
        return cls(tuple(map(_copied, args)), kept, torch.get_rng_state())

    def again(self, module: nn.Module) -> None:
        """Run the module again, on the side, up to where it is stopped."""
        with aside(), torch.random.fork_rng(devices=[]):
            torch.set_rng_state(self.random)
            try:
                module(*map(_copied, self.args), **{key: _copied(value) for key, value in self.kwargs.items()})
            except Reached:
                return


def _plain(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_plain, value))
    if isinstance(value, dict):
        return all(map(_plain, value.values()))
    return value is None or isinstance(value, Tensor | bool | int | float | str | torch.dtype | torch.device)


def _copied(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, tuple | list) and type(value) in (tuple, list):
        return type(value)(map(_copied, value))
    return {key: _copied(each) for key, each in value.items()} if isinstance(value, dict) else value


@dataclass(eq=False)
class Sublayer:
    """Where values are mixed: between a value projection and an output projection.

    Attributes:
        scope: the module that is run again.
        value: gives values, among its features from `start` to `end`.
        out: takes what is mixed.
        start, end: see `value`.
        parts: how many patterns a window has, each for its share of the features.
        causal: whether no query sees a later key.
        turned: what comes to the output projection is laid out by heads first and tokens then, as Informer's code
            hands it on.
        site: its edit and its observer.
        run: the run that is under way.
        learning: the next run on the side tells what the values are and what comes of them.
        values: of this run.
        probe: what takes the place of values in a run on the side; None while the run is none of this sublayer's.
        came: what came to the output projection on the side.
        given: what an edit gave in this run.
    """

    scope: nn.Module
    value: nn.Linear
    out: nn.Linear
    start: int
    end: int
    parts: int = 1
    causal: bool = False
    turned: bool = False
    site: CallSite | None = None
    run: Run | None = None
    learning: bool = False
    values: Tensor | None = None
    probe: Tensor | None = None
    came: Tensor | None = None
    given: Tensor | None = None

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Put hooks on the three modules for the time of a `with` block."""
        handles = [
            self.scope.register_forward_pre_hook(self._begin, with_kwargs=True),
            self.value.register_forward_hook(self._meet),
            self.out.register_forward_pre_hook(self._end),
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _begin(self, _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not is_aside() and self.active:
            self.run = Run.of(args, kwargs)

    def _meet(self, _module: nn.Module, _args: Any, output: Tensor) -> Tensor | None:
        if self.probe is not None:
            return torch.cat([output[..., : self.start], self.probe, output[..., self.end :]], dim=-1)
        if self.learning or not is_aside():
            self.values = output[..., self.start : self.end]
        return None

    def _end(self, _module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if self.probe is not None or self.learning:
            self.came = args[0]
            raise Reached
        if not self.active:
            return None
        if not is_aside():
            assert self.site is not None
            self.given = self._edited(self.site, args[0])
        return None if self.given is None else (self.given, *args[1:])

    @property
    def active(self) -> bool:
        """Whether there is an edit or an observer."""
        return self.site is not None and self.site.active

    def learn(self) -> Tensor | None:
        """Look at the values of the run; gives what comes of them."""
        self.learning = True
        try:
            return self._again()
        finally:
            self.learning = False

    def asked(self, probe: Float[Tensor, "*batch key width"]) -> Float[Tensor, "*batch query width"]:
        """What comes to the output projection if these were the values of this run."""
        self.probe = probe
        try:
            came = self._again()
        finally:
            self.probe = None
        if came is None:
            raise UsageError("a sublayer that was run again took another way")
        return came

    def _again(self) -> Tensor | None:
        """Run on the side; gives what came to the output projection."""
        assert self.run is not None
        self.came = None
        self.run.again(self.scope)
        return self.came

    def pattern(self) -> Float[Tensor, "batch part query key"]:
        """A of this run: as many tokens are asked for at once as a part has features."""
        assert self.values is not None
        *_, keys, width = self.values.shape
        size = width // self.parts
        columns = []
        for first in range(0, keys, size):
            count = min(size, keys - first)
            ones = torch.eye(keys, dtype=self.values.dtype, device=self.values.device)[:, first : first + count]
            probe = nn.functional.pad(ones, (0, size - count)).repeat(1, self.parts)
            columns.append(self.cut(self.asked(probe.expand(self.values.shape)))[..., :count])
        return torch.cat(columns, dim=-1)

    def _edited(self, site: CallSite, came: Tensor) -> Tensor | None:
        """What is to come to the output projection instead."""
        if self.run is None or self.values is None:
            raise UsageError(f"{site.path} was run in another way than on the example")
        values = self.values
        if (came.shape[-2], values.shape[-2]) != (site.queries, site.keys):
            raise UsageError(f"the pattern of {site.path} changes its size from call to call")

        def members(x: Tensor) -> Tensor:
            """Where it is not known which patterns are heads, each is a member of the batch."""
            return x if site.heads == self.parts else x.flatten(0, 1)[:, None]

        edited = site.mix(
            lambda: members(self.cut(came)),
            lambda: members(self.pattern()),
            lambda: self.allowed(site.queries, site.keys),
            members(by_part(values, self.parts)),
        )
        if site.pattern is None:
            return None
        return self.laid(edited.reshape(-1, self.parts, *edited.shape[-2:])).reshape(came.shape)

    def cut(self, came: Float[Tensor, "*batch query width"]) -> Float[Tensor, "batches part query part_width"]:
        """What comes to the output projection, by part."""
        if self.turned:
            return came.reshape(-1, self.parts, came.shape[-2], came.shape[-1] // self.parts)
        return by_part(came, self.parts)

    def laid(self, mixed: Float[Tensor, "batch part query part_width"]) -> Float[Tensor, "..."]:
        """The same laid out as the output projection takes it, but for sizes."""
        return mixed if self.turned else mixed.transpose(1, 2)

    def allowed(self, queries: int, keys: int) -> Bool[Tensor, "query key"]:
        """Where a query may look."""
        assert self.values is not None
        let = torch.ones(queries, keys, dtype=torch.bool, device=self.values.device)
        return let.tril() if self.causal else let


def by_part(x: Float[Tensor, "*batch token width"], parts: int) -> Float[Tensor, "batches part token part_width"]:
    """Features cut into parts, all windows on one axis."""
    return x.reshape(-1, x.shape[-2], parts, x.shape[-1] // parts).transpose(1, 2)
