"""What is true of every adapter, on any model of its library."""

import pytest
import torch

from forecheck.attention.edits import Edit
from forecheck.attention.identity import identity_test
from forecheck.attention.replace import Replace
from forecheck.attention.sites import Subject
from forecheck.testing.adapters import check_adapter

L, H, C = 24, 4, 2


class Failed(Exception):  # noqa: N818
    """Anything that goes wrong inside the block."""


def windows(batch=4, seed=0):
    return torch.randn(batch, L, C, generator=torch.Generator().manual_seed(seed)).cumsum(dim=1)


def drawn(model, *sharper, by=8.0):
    """The model with its own initial weights, drawn again; queries are longer, so that patterns are not flat."""
    with torch.no_grad():
        for path, parameter in model.named_parameters():
            if any(each in path for each in sharper):
                parameter.mul_(by)
    return model.eval()


def subject_of(adapter, model):
    forward = adapter.wrap(model, H)
    assert forward is not None
    return Subject(forward, model if isinstance(model, torch.nn.Module) else None)


def sites_of(adapter, subject):
    """(path, heads, queries, keys) of every site, in the order of the forward pass."""
    with adapter.attach(subject, windows()) as attached:
        assert [site.layer for site in attached.sites] == list(range(len(attached.sites)))
        return [(site.path, site.heads, site.queries, site.keys) for site in attached.sites]


def modes_of(adapter, subject):
    """Replacement modes that the model's sites allow."""
    square = all(queries == keys for _, _, queries, keys in sites_of(adapter, subject))
    return ["zero", "mean", "frozen-mean", "shuffled", *(["identity"] if square else [])]


def edited(adapter, subject, edit: Edit, x=None):
    x = windows() if x is None else x
    with adapter.attach(subject, x) as attached, edit.applied(attached, x, [windows(seed=1)]), torch.no_grad():
        return attached(x)


def check_wrap(subject):
    """The forecast has its shape, repeats, and leaves random numbers and modes alone."""
    x, state = windows(), torch.get_rng_state()
    with torch.no_grad():
        first = subject(x)
        torch.manual_seed(7)
        torch.testing.assert_close(subject(x), first, rtol=0, atol=0)
    torch.set_rng_state(state)
    with torch.no_grad():
        subject(x)
    assert first.shape == (len(x), H, C)
    assert first.isfinite().all()
    assert torch.equal(torch.get_rng_state(), state)


def check_identity(adapter, subject):
    with adapter.attach(subject, windows()) as attached:
        found = identity_test(subject, attached, windows(seed=2))
    assert found.passed, found


def check_modes(adapter, subject):
    """Every replacement changes the forecast, and the edited forecast repeats."""
    with torch.no_grad():
        raw = subject(windows())
    forecasts = [raw]
    for mode in modes_of(adapter, subject):
        forecast = edited(adapter, subject, Replace(mode))
        torch.testing.assert_close(edited(adapter, subject, Replace(mode)), forecast, rtol=0, atol=0)
        for other in forecasts:
            assert (forecast - other).abs().max() > 1e-6 * raw.abs().max(), mode
        forecasts.append(forecast)


def check_no_trace(adapter, subject, module, state):
    """Nothing is left: outputs, hooks, attributes, what `state` reads, random numbers; nor after an exception."""
    x = windows()

    def snapshot():
        hooks = [len(each._forward_hooks) + len(each._forward_pre_hooks) for each in module.modules()]
        return hooks, [sorted(each.__dict__) for each in module.modules()], state()

    with torch.no_grad():
        output = subject(x)  # some layers keep what they last saw
        before, rng = snapshot(), torch.get_rng_state()
    edited(adapter, subject, Replace("zero"))
    assert snapshot() == before
    with pytest.raises(Failed):
        _fail_inside(adapter, subject)
    with pytest.raises(Failed), adapter.attach(subject, x):
        raise Failed
    assert snapshot() == before
    assert torch.equal(torch.get_rng_state(), rng)
    with torch.no_grad():
        torch.testing.assert_close(subject(x), output, rtol=0, atol=0)


def _fail_inside(adapter, subject):
    """Fail in the middle of a forecast."""

    def fail(_):
        raise Failed

    with adapter.attach(subject, windows()) as attached:
        attached.sites[0].observe(fail)
        attached(windows())


class AdapterSuite:
    """The tests of a library's adapter: a subclass names it, and its models by name.

    Attributes:
        adapter: of the library.
        models: by name, a function that makes a tiny model, and its sites.
    """

    def test_contract(self, name):
        make, sites = self.models[name]
        check_adapter(self.adapter, make(), windows(), sites=len(sites), horizon=H)

    def test_sites(self, name):
        make, sites = self.models[name]
        self.check_sites(make(), sites)

    def check_sites(self, model, sites):
        subject = subject_of(self.adapter, model)
        assert sites_of(self.adapter, subject) == sites
        with self.adapter.attach(subject, windows()) as attached:
            for site in attached.sites:
                assert site.module is model.get_submodule(site.path)
                assert site.projected

    def test_forecasts_repeat(self, name):
        model = self.models[name][0]().train()
        check_wrap(subject_of(self.adapter, model))
        assert model.training

    def test_identity(self, name):
        check_identity(self.adapter, subject_of(self.adapter, self.models[name][0]()))

    def test_modes(self, name):
        check_modes(self.adapter, subject_of(self.adapter, self.models[name][0]()))

    def test_no_trace(self, name):
        model = self.models[name][0]()
        check_no_trace(self.adapter, subject_of(self.adapter, model), model, lambda: self.state(model))

    def state(self, model):
        """What the library keeps that an adapter might leave changed."""
        raise NotImplementedError
