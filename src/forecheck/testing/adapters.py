"""The contract of an adapter, as small named checks that anybody can run on theirs.

In a test suite, in one call on a small model of the library that the adapter is for::

    from forecheck.testing.adapters import check_adapter

    def test_contract():
        check_adapter(MyAdapter(), tiny_model(), torch.randn(4, 96, 2), sites=3)

Give a model whose attention matters: patterns that are not flat, and forecasts that depend on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from forecheck.attention.calls.wrapped import module_of
from forecheck.attention.identity import TOLERANCE, identity_test
from forecheck.attention.patterns import OnHeads, masked_mean
from forecheck.attention.replace import POSTHOC_MODES, Mode, Replace
from forecheck.attention.sites import Adapter, Attached, Site, Subject, attach, evaluating
from forecheck.errors import UsageError
from forecheck.nn.attention import PatternEdit
from forecheck.testing.traces import difference, require, same, traces


@dataclass(frozen=True, eq=False)
class Case:
    """An adapter under check, with the model that it is checked on.

    Attributes:
        subject: the model, to be reached by this adapter alone.
        example: windows, at least two.
        sites: how many there are, if that is known.
    """

    subject: Subject
    example: Float[Tensor, "batch lookback channel"]
    sites: int | None = None

    @property
    def adapter(self) -> Adapter:
        """The adapter that is checked."""
        assert self.subject.adapter is not None
        return self.subject.adapter

    @contextmanager
    def attached(self) -> Iterator[Attached]:
        """The model, reached; for the time of a `with` block."""
        with attach(self.subject, self.example) as attached:
            require(bool(attached.sites), f"no site is found: {attached.why_not or 'and no reason is given'}")
            yield attached

    @torch.no_grad()
    def plain(self) -> Tensor:
        """The forecast around the adapter."""
        with evaluating(module_of(self.subject)):
            return self.subject(self.example).clone()


Check = Callable[[Case], None]


class Interrupted(Exception):  # noqa: N818  what goes wrong is not ours
    """Anything that goes wrong inside a block."""


class _Handed(PatternEdit):
    """Keeps what the adapter hands to an edit, and changes nothing but, on request, one head, to the masked mean."""

    def __init__(self, head: int | None = None) -> None:
        super().__init__()
        self.head = head
        self.weights: list[Tensor] = []
        self.allowed: list[Tensor] = []

    def forward(self, weights: Any, allowed: Any, like: Any) -> Any:
        """The raw pattern; the masked mean in the chosen head."""
        require(weights is not None, "an edit that needs the raw pattern is not given it")
        require(allowed.dtype == torch.bool, f"`allowed` must be boolean, got {allowed.dtype}")
        self.weights.append(weights.detach())
        self.allowed.append(allowed)
        if self.head is None:
            return weights
        mean = masked_mean(allowed, weights).expand_as(weights)
        return torch.stack([mean[:, n] if n == self.head else weights[:, n] for n in range(weights.shape[1])], dim=1)


class _Mean(PatternEdit):
    """The masked mean, by the plainest means."""

    needs_weights = False

    def forward(self, weights: Any, allowed: Any, like: Any) -> Any:
        """Needs no pattern."""
        mean = masked_mean(allowed, like)
        return mean[(None,) * (4 - mean.dim())]


def check_names_itself(case: Case) -> None:
    """It has a name, knows what is none of its library's models, and its attached model says what was found."""
    name = getattr(case.adapter, "name", None)
    require(isinstance(name, str) and bool(name.strip()), f"name must be a text, got {name!r}")
    require(case.adapter.wrap(object(), 1) is None, "wrap must give None for what is none of the library's models")
    with case.attached() as attached:
        require(bool(attached.adapter.strip()), "what is attached must name the adapter")


def check_stranger(case: Case) -> None:
    """On a model without attention it finds no site, and raises nothing."""
    with case.adapter.attach(Subject.of(nn.Identity()), case.example) as attached:
        require(attached.sites == [], f"sites are found in a model without attention: {attached.sites}")


def check_sites(case: Case) -> None:
    """Sites are there, numbered in forward order, each with a path of its own and true sizes."""
    with case.attached() as attached:
        sites = attached.sites
        require(
            [site.layer for site in sites] == list(range(len(sites))),
            f"`layer` must count sites from 0 in forward order, got {[site.layer for site in sites]}",
        )
        paths = [site.path for site in sites]
        require(all(paths) and len(set(paths)) == len(paths), f"every site needs a path of its own, got {paths}")
        for site in sites:
            require(min(site.heads, site.queries, site.keys) >= 1, f"{site.path} has a size below 1")
            lacks = [name for name in Site.__annotations__ if not hasattr(site, name)]
            lacks += [name for name in ("edit", "observe") if not callable(getattr(site, name, None))]
            # isinstance does not see what is delegated
            require(not lacks, f"{site.path} does not have all that `Site` asks for: {', '.join(lacks)}")
        if case.sites is not None:
            require(len(sites) == case.sites, f"{len(sites)} sites are found, expected {case.sites}")


def check_identity(case: Case) -> None:
    """Through the adapter with nothing changed the forecast is the untouched one; at one token edits equal raw."""
    with case.attached() as attached:
        found = identity_test(case.subject, attached, case.example)
        require(found.passed, f"the identity test fails, relative differences above {TOLERANCE}: {found}")


def check_observe(case: Case) -> None:
    """Observers get raw patterns, in order: (batch, head, query, key), rows that sum to 1, or 0 if all is hidden."""
    with case.attached() as attached, torch.no_grad():
        seen: list[tuple[int, Tensor]] = []
        for site in attached.sites:
            site.observe(lambda weights, layer=site.layer: seen.append((layer, weights)))  # type: ignore[misc]
        attached(case.example)
        require({layer for layer, _ in seen} == set(range(len(attached.sites))), "not every site is observed")
        for site in attached.sites:
            first = next(weights for layer, weights in seen if layer == site.layer)
            expected = (site.heads, site.queries, site.keys)
            require(
                tuple(first.shape[1:]) == expected and first.shape[0] >= 1,
                f"{site.path} promises (batch, {', '.join(map(str, expected))}), gives {tuple(first.shape)}",
            )
        for layer, weights in seen:
            sums = weights.double().sum(dim=-1)
            off = torch.minimum((sums - 1).abs(), sums.abs()).max()
            require(bool(off < 1e-2), f"rows of the pattern of site {layer} sum to 1 or 0 only up to {float(off):.2g}")
            require(bool((weights >= 0).all()), f"the pattern of site {layer} has negative weights")
        count = len(seen)
        for site in attached.sites:
            site.observe(None)
        attached(case.example)
        require(len(seen) == count, "an observer that was taken off is still called")


def check_edits_see_what_observers_see(case: Case) -> None:
    """An edit is handed the raw pattern and what the mask allows: hidden keys have no weight."""
    with case.attached() as attached, torch.no_grad():
        for site in attached.sites:
            edit, seen = _Handed(), list[Tensor]()
            site.edit(edit)
            site.observe(seen.append)
            attached(case.example)
            site.edit(None)
            site.observe(None)
            # A decoder that grows step by step is edited at every step, and observed once it has its full size.
            require(len(edit.weights) >= len(seen) > 0, f"{site.path} is observed in passes that are not edited")
            full = slice(len(edit.weights) - len(seen), None)
            for handed, observed, allowed in zip(edit.weights[full], seen, edit.allowed[full], strict=True):
                require(torch.allclose(handed, observed, atol=1e-6), f"{site.path}: edit and observer differ")
                hidden = handed.masked_fill(allowed.expand_as(handed), 0.0)
                require(float(hidden.abs().max()) < 1e-6, f"{site.path}: keys that `allowed` hides have weight")


def check_replacements(case: Case) -> None:
    """Every replacement changes the forecast, keeps its shape and leaves nothing; with one key it equals raw."""
    plain = case.plain()
    with case.attached() as attached:
        square = all(site.queries == site.keys for site in attached.sites)
        one = all(site.keys == 1 for site in attached.sites)
        for mode in POSTHOC_MODES:
            if mode == "identity" and not square:
                continue
            found = _replaced(case, attached, mode)
            if found is None:
                continue
            require(found.shape == plain.shape, f"{mode} changes the shape of the forecast to {tuple(found.shape)}")
            require(bool(torch.isfinite(found).all()), f"the forecast under {mode} is not finite")
            same = difference(found, plain) < TOLERANCE
            if one and mode != "zero":
                require(same, f"{mode} changes the forecast though there is but one key")
            else:
                require(not same, f"{mode} does not change the forecast")
            with torch.no_grad():
                after = attached(case.example)
            require(difference(after, plain) < TOLERANCE, f"{mode} is taken off, but the forecast stays changed")


def _replaced(case: Case, attached: Attached, mode: Mode) -> Tensor | None:
    """The edited forecast; None for a mean over patterns that change their size, which has to be refused."""
    try:
        with Replace(mode).applied(attached, case.example, [case.example]) as edited, torch.no_grad():
            return edited(case.example)
    except UsageError:
        if mode != "frozen-mean":
            raise
        return None


def check_heads(case: Case) -> None:
    """An edit of one head is that of this head of the pattern, and of no other."""
    plain = case.plain()
    with case.attached() as attached, torch.no_grad():
        for site in attached.sites:
            for head in range(site.heads):
                site.edit(OnHeads(_Mean(), (head,)))
                found = attached(case.example)
                site.edit(_Handed(head))
                expected = attached(case.example)
                site.edit(None)
                require(
                    difference(found, expected) < TOLERANCE,
                    f"{site.path}: an edit of head {head} is not what replacing this head of the whole pattern gives",
                )
            site.edit(OnHeads(_Handed(), tuple(range(site.heads))))
            unchanged = attached(case.example)
            site.edit(None)
            require(difference(unchanged, plain) < TOLERANCE, f"{site.path}: raw heads in all heads are not raw")


def check_gradient(case: Case) -> None:
    """Where the model's forecast has a gradient, the edited one has."""
    x = case.example.clone().requires_grad_()
    with evaluating(module_of(case.subject)):
        plain = case.subject(x)
        if not plain.requires_grad:
            return
        try:
            torch.autograd.grad(plain.square().sum(), x)
        except RuntimeError:  # what the library does in place has no gradient
            return
    with case.attached() as attached:
        for edit in (_Handed, _Mean, None):
            for site in attached.sites:
                site.edit(edit() if edit else None)
            y = attached(x)
            require(y.requires_grad, "the edited forecast has no gradient, though the plain one has")
            (gradient,) = torch.autograd.grad(y.square().sum(), x)
            require(bool(torch.isfinite(gradient).all()), "a gradient through an edit is not finite")
            require(bool(gradient.any()), "the gradient through an edit is zero")


def check_repeats(case: Case) -> None:
    """Attached again, the same is found, and the same forecast."""
    found, forecasts = [], []
    for _ in range(2):
        with case.attached() as attached, torch.no_grad():
            found.append([(site.path, site.heads, site.queries, site.keys) for site in attached.sites])
            forecasts.append(attached(case.example))
            with Replace("shuffled").applied(attached, case.example, ()) as edited:
                require(torch.equal(edited(case.example), edited(case.example)), "an edited forecast does not repeat")
    require(found[0] == found[1], f"attached again, other sites are found: {found[0]}, then {found[1]}")
    require(torch.equal(forecasts[0], forecasts[1]), "attached again, the forecast is another one")


def check_no_trace(case: Case) -> None:
    """After the block nothing has changed, whether it ended well or by an exception."""
    module = module_of(case.subject)
    for fails in (False, True):
        before, plain = traces(module), case.plain()
        modes = [each.training for each in module.modules()] if module is not None else []
        try:
            with case.attached() as attached, torch.no_grad():
                for site in attached.sites:
                    site.edit(_Mean())
                    site.observe(lambda _: None)
                attached(case.example)
                if fails:
                    attached.sites[-1].observe(_interrupt)
                    attached(case.example)
        except Interrupted:
            pass
        else:
            require(not fails, "an exception of an observer is swallowed")
        when = "after an exception" if fails else "after the block"
        for what, value in traces(module).items():
            require(same(before[what], value), f"{when} the {what} are not what they were")
        now = [each.training for each in module.modules()] if module is not None else []
        require(modes == now, f"{when} training and evaluation modes are not what they were")
        require(torch.equal(case.plain(), plain), f"{when} the forecast is another one")


def check_training_mode(case: Case) -> None:
    """A model that is handed over in training mode is in evaluation mode inside, and in its own afterwards."""
    module = module_of(case.subject)
    if module is None:
        return
    modes = {each: each.training for each in module.modules()}
    try:
        module.train()
        with case.attached():
            require(not any(each.training for each in module.modules()), "inside the block a module is in training")
        require(all(each.training for each in module.modules()), "after the block a module is no longer in training")
    finally:
        for each, training in modes.items():
            each.training = training


def _interrupt(_: Tensor) -> None:
    raise Interrupted


ADAPTER_CHECKS: tuple[Check, ...] = (
    check_names_itself,
    check_stranger,
    check_sites,
    check_identity,
    check_observe,
    check_edits_see_what_observers_see,
    check_replacements,
    check_heads,
    check_gradient,
    check_repeats,
    check_training_mode,
    check_no_trace,
)
"""The contract, in the order in which failures are best read."""


def check_adapter(
    adapter: Adapter,
    model: Any,
    example: Float[Tensor, "batch lookback channel"],
    *,
    sites: int | None = None,
    wrap: Callable[[Any, Tensor], Tensor] | None = None,
    horizon: int = 1,
) -> None:
    """Run the whole contract on one model.

    Args:
        adapter: under check.
        model: a small model of its library, with attention that matters to its forecasts.
        example: windows, at least two.
        sites: how many sites there are, if that is known.
        wrap: `wrap(model, x)` gives the forecast of windows x; None for the adapter's own, or the model as it is.
        horizon: handed to the adapter's own `wrap`.

    Raises:
        AssertionError: naming every check that failed and why.
        UsageError: if there is only one window.
    """
    if len(example) < 2:
        raise UsageError("the contract of an adapter is checked on at least two windows, got one")
    forward = (lambda x: wrap(model, x)) if wrap is not None else adapter.wrap(model, horizon) or model
    case = Case(Subject(forward, model if isinstance(model, nn.Module) else None, adapter), example, sites)
    failures = []
    for check in ADAPTER_CHECKS:
        try:
            check(case)
        except Exception as error:  # noqa: BLE001  whatever an adapter raises is a failed check
            kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
            failures.append(f"{check.__name__}: {kind}{error}")
    name = getattr(adapter, "name", type(adapter).__name__)
    require(not failures, f"{name} breaks the contract of an adapter\n  " + "\n  ".join(failures))
