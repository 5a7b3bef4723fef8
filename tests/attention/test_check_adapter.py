"""The contract suite for adapters: right ones pass, ones that are wrong on purpose fail by name."""

from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from site_proxy import SiteProxy
from torch import nn

from forecheck.attention.adapters import native
from forecheck.attention.adapters.calls import CallsAdapter
from forecheck.attention.identity import identity_test
from forecheck.attention.sites import Subject, attach
from forecheck.errors import UsageError
from forecheck.forecasters.base import Task
from forecheck.forecasters.patchtst import PatchTST, PatchTSTConfig
from forecheck.testing.adapters import ADAPTER_CHECKS, Case, check_adapter

L, C, WIDTH, HEADS = 8, 2, 8, 2


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Linear(C, WIDTH)
        self.layers = nn.ModuleList(nn.MultiheadAttention(WIDTH, HEADS, batch_first=True) for _ in range(2))
        self.head = nn.Linear(WIDTH, C)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape) * 0.7)

    def forward(self, x):
        z = self.embed(x)
        for layer in self.layers:
            z = z + layer(z, z, z)[0]
        return self.head(z)


def example(batch=4):
    return torch.randn(batch, L, C, generator=torch.Generator().manual_seed(1))


def test_the_adapter_for_any_model_passes():
    check_adapter(CallsAdapter(), Model(), example(), sites=2)


def test_our_own_models_pass():
    options = {"patch": 4, "stride": 4, "width": 8, "heads": 2, "hidden": 12, "layers": 2}
    module = PatchTST(Task(16, 3, 2), PatchTSTConfig(**options)).module
    with torch.no_grad():
        for block in module.blocks:
            block.attention.project.weight.mul_(5)
    check_adapter(native.ADAPTER, module, torch.randn(4, 16, 2), sites=2)


def test_a_model_that_is_called_otherwise_is_wrapped():
    class Other(Model):
        def forward(self, window):
            return {"forecast": super().forward(window["past"])}

    check_adapter(CallsAdapter(), Other(), example(), wrap=lambda model, x: model({"past": x})["forecast"])


class Broken(CallsAdapter):
    """Does one thing wrong."""

    name = "broken"

    @contextmanager
    def attach(self, subject, example):
        with super().attach(subject, example) as attached:
            yield self.spoil(attached, subject)

    def spoil(self, attached, subject):
        return attached


class Forecasts(Broken):
    """The forecast through it is another one."""

    def spoil(self, attached, subject):
        return replace(attached, forward=lambda x: attached.forward(x) + 1)


def through(proxy):
    """An adapter whose sites are all proxies."""

    class Proxied(Broken):
        def spoil(self, attached, subject):
            return replace(attached, sites=[proxy(site) for site in attached.sites])

    return Proxied


class IgnoresEdits(SiteProxy):
    def edit(self, pattern):
        pass


class FirstHeadOnly(SiteProxy):
    """Takes every edit of one head for one of the first head."""

    def edit(self, pattern):
        if hasattr(pattern, "chosen"):
            pattern.chosen = [0]
        self.site.edit(pattern)


class NeverObserves(SiteProxy):
    def observe(self, callback):
        pass


class ObservesScores(SiteProxy):
    """Not a pattern: rows do not sum to one."""

    def observe(self, callback):
        self.site.observe(None if callback is None else lambda weights: callback(weights * 3))


class Transposed(SiteProxy):
    def observe(self, callback):
        self.site.observe(None if callback is None else lambda weights: callback(weights[:, :1]))


class SameLayer(SiteProxy):
    layer = 0


class LeavesTrace(Broken):
    """A hook that stays."""

    def spoil(self, attached, subject):
        if subject.module is not None:
            subject.module.register_forward_hook(lambda *_: None)
        return attached


class DrawsNumbers(Broken):
    def spoil(self, attached, subject):
        torch.rand(1)
        return attached


class NoGradient(Broken):
    def spoil(self, attached, subject):
        return replace(attached, forward=torch.no_grad()(attached.forward))


class Trains(Broken):
    """Leaves the module in evaluation mode."""

    def spoil(self, attached, subject):
        for each in subject.module.modules() if subject.module is not None else ():
            each.training = True
        return attached


class FindsNothing(Broken):
    def spoil(self, attached, subject):
        return replace(attached, sites=[])


class Swallows(Broken):
    @contextmanager
    def attach(self, subject, example):
        with super().attach(subject, example) as attached:
            yield replace(attached, forward=lambda x: self.safely(attached, x))

    @staticmethod
    def safely(attached, x):
        try:
            return attached.forward(x)
        except Exception:  # noqa: BLE001
            return torch.zeros(len(x), L, C)


class WrapsAnything(Broken):
    def wrap(self, model, horizon):
        return model if isinstance(model, nn.Module) else (lambda x: x)


@pytest.mark.parametrize(
    ("adapter", "names"),
    [
        (Forecasts, {"check_identity"}),
        (through(IgnoresEdits), {"check_edits_see_what_observers_see", "check_replacements"}),
        (through(FirstHeadOnly), {"check_heads"}),
        (through(NeverObserves), {"check_observe"}),
        (through(ObservesScores), {"check_observe"}),
        (through(Transposed), {"check_observe"}),
        (through(SameLayer), {"check_sites"}),
        (LeavesTrace, {"check_no_trace"}),
        (DrawsNumbers, {"check_no_trace"}),
        (NoGradient, {"check_gradient"}),
        (Trains, {"check_training_mode"}),
        (FindsNothing, {"check_sites", "check_identity"}),
        (Swallows, {"check_no_trace"}),
        (WrapsAnything, {"check_names_itself"}),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_what_is_wrong_is_named(adapter, names):
    with pytest.raises(AssertionError, match="broken breaks the contract of an adapter") as failure:
        check_adapter(adapter(), Model(), example())
    assert all(f"\n  {name}: " in str(failure.value) for name in names)


def test_a_wrong_number_of_sites_is_named():
    with pytest.raises(AssertionError, match="check_sites: 2 sites are found, expected 3"):
        check_adapter(CallsAdapter(), Model(), example(), sites=3)


def test_one_window_is_too_few():
    with pytest.raises(UsageError, match="at least two windows"):
        check_adapter(CallsAdapter(), Model(), example(1))


class MovesOneKeyOn(SiteProxy):
    """Mixes the wrong values: the pattern is off by one key, but only where it is edited."""

    def edit(self, pattern):
        if pattern is not None:
            forward = pattern.forward
            pattern.forward = lambda *args: forward(*args).roll(1, -1)
            pattern.mix = lambda weights, allowed, values: torch.matmul(pattern(weights, allowed, values), values)
        self.site.edit(pattern)


def test_the_identity_test_fails_for_an_adapter_that_is_wrong():
    subject = Subject(model := Model().eval(), model, through(MovesOneKeyOn)())
    with attach(subject, example()) as attached:
        found = identity_test(subject, attached, example())
    assert found.attached < 1e-5
    assert found.passing > 1e-3
    assert not found.passed
    subject = Subject(model, model, CallsAdapter())
    with attach(subject, example()) as attached:
        assert identity_test(subject, attached, example()).passed


def test_checks_can_be_run_one_by_one():
    model = Model()
    case = Case(Subject(model, model, CallsAdapter()), example(), 2)
    assert len({check.__name__ for check in ADAPTER_CHECKS}) == len(ADAPTER_CHECKS)
    for check in ADAPTER_CHECKS:
        assert check.__doc__
    ADAPTER_CHECKS[2](case)
