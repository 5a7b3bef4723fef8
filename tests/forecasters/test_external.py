"""Models that were trained elsewhere: what is taken, what is refused, and what tells two of them apart."""

import warnings

import pytest
import torch

from forecheck.errors import UsageError
from forecheck.forecasters.base import Task
from forecheck.forecasters.external import external

TASK = Task(12, 4, 3)


def probe(seed=0):
    return torch.randn(5, 12, 3, generator=torch.Generator().manual_seed(seed))


class Linear(torch.nn.Module):
    def __init__(self, seed=0, drop=0.0):
        super().__init__()
        self.map = torch.nn.Linear(12, 4)
        self.drop = torch.nn.Dropout(drop)
        with torch.no_grad():
            for weight in self.parameters():
                weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(seed)))

    def forward(self, x):
        return self.map(self.drop(x.mT)).mT


class Wrapped(Linear):
    def forward(self, past):
        return {"mean": super().forward(past)}


def last(x):
    return x[:, -1:].expand(-1, 4, -1)


def test_modules_and_functions_forecast_as_they_do_by_themselves():
    module = Linear(drop=0.5)
    forecaster = external(module, TASK, probe())
    assert forecaster.config.model == "Linear"
    torch.testing.assert_close(forecaster.predict(probe(1)), module.eval()(probe(1)).detach())
    assert external(last, TASK, probe()).config.model == "last"
    assert external(last, TASK, probe(), name="naive").config.model == "naive"


def test_the_mode_of_every_submodule_stays_as_it_was():
    module = Linear(drop=0.5)
    module.drop.eval()
    external(module, TASK, probe()).predict(probe())
    assert module.training
    assert module.map.training
    assert not module.drop.training


def test_code_whose_file_is_another_by_now_is_called_all_the_same(tmp_path):
    """As a script that was saved anew while it runs, or a cell: its source cannot be taken apart."""
    file, names = tmp_path / "script.py", {}
    file.write_text("x = (\n")
    exec(compile("wrap = lambda model, x: model(x)['mean']", str(file), "exec"), names)
    assert external(Wrapped(), TASK, probe(), wrap=names["wrap"]).predict(probe()).shape == (5, 4, 3)


def test_a_model_that_is_called_otherwise_is_wrapped():
    module = Wrapped()
    with pytest.raises(UsageError, match="gives a dict, not a tensor"):
        external(module, TASK, probe())
    forecaster = external(module, TASK, probe(), wrap=lambda model, x: model(past=x)["mean"])
    torch.testing.assert_close(forecaster.predict(probe()), Linear()(probe()).detach())
    assert forecaster.subject.module is module


def test_windows_come_in_the_type_of_the_weights():
    forecast = external(Linear().double(), TASK, probe()).predict(probe())
    assert forecast.dtype == torch.float32
    torch.testing.assert_close(forecast, Linear()(probe()).detach())


def test_real_units_go_in_and_come_out():
    mean, scale = torch.tensor([[[5.0, -3.0, 100.0]]]), torch.tensor([[[2.0, 10.0, 0.5]]])

    def real(x):
        torch.testing.assert_close(x, probe() * scale + mean)
        return x[:, -1:].expand(-1, 4, -1) + scale

    forecaster = external(real, TASK, probe(), units=(mean, scale))
    torch.testing.assert_close(forecaster.predict(probe()), last(probe()) + 1)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (3, "int cannot be called"),
        (lambda x: x, r"turns windows \(5, 12, 3\) into \(5, 12, 3\), expected \(5, 4, 3\)"),
        (lambda x: last(x) / 0, "forecasts that are not finite"),
        (lambda x: x.numpy(), "gives a ndarray, not a tensor"),
        (lambda x: last(x) + torch.randn(1), "gives two different forecasts for the same windows"),
    ],
)
def test_what_is_no_forecaster_is_refused(model, message):
    with pytest.raises(UsageError, match=message):
        external(model, TASK, probe())


def fingerprint(model, **kw):
    return external(model, TASK, probe(), **kw).config.fingerprint


def test_equal_models_have_equal_fingerprints_and_others_do_not():
    assert fingerprint(Linear()) == fingerprint(Linear())
    assert fingerprint(Linear()) != fingerprint(Linear(seed=1))
    assert fingerprint(Linear(drop=0.1)) != fingerprint(Linear())
    assert fingerprint(last) != fingerprint(lambda x: last(x) + 1)
    # What a closure holds cannot be seen, but it shows in the forecasts.
    assert fingerprint(*[lambda x, c=1: last(x) * c]) != fingerprint(*[lambda x, c=2: last(x) * c])
    assert fingerprint(Linear(), wrap=lambda m, x: m(x)) != fingerprint(Linear(), wrap=lambda m, x: 2 * m(x))


def test_saving_is_refused(tmp_path):
    with pytest.raises(UsageError, match="was trained elsewhere"):
        external(last, TASK, probe()).save(tmp_path)


class Marks(Linear):
    def forward(self, x, marks):
        return super().forward(x + marks)


# https://github.com/thuml/Time-Series-Library/issues/672
def test_a_wrong_call_is_a_usage_error_with_the_way_out():
    with pytest.raises(UsageError, match="missing 1 required positional argument: 'marks'") as error:
        external(Marks(), TASK, probe())
    assert "wrap=lambda" in error.value.remedy
    external(Marks(), TASK, probe(), wrap=lambda model, x: model(x, 0.0))


# https://github.com/pytorch/pytorch/issues/150089 and 151726: no mode, and none that can be changed
def test_frozen_and_exported_modules_forecast():
    with warnings.catch_warnings(action="ignore"):
        frozen = torch.jit.freeze(torch.jit.script(torch.nn.Sequential(torch.nn.Linear(3, 3)).eval()))
    batch = ({0: torch.export.Dim("batch", min=2, max=64)},)
    exported = torch.export.export(Linear().eval(), (probe(),), dynamic_shapes=batch).module()
    for module in (frozen, exported):
        forecaster = external(module, TASK, probe(), wrap=lambda model, x: model(x)[:, :4])
        assert forecaster.predict(probe()).shape == (5, 4, 3)


class InPlace(Linear):
    def forward(self, x):
        x -= x.mean(1, keepdim=True)
        return super().forward(x)


def test_a_model_that_writes_into_its_input_gets_a_copy():
    x = probe()
    external(InPlace(), TASK, x)
    assert torch.equal(x, probe())


class Several:
    def __init__(self, *models):
        self.models = list(models)


def test_an_object_that_holds_models_gives_its_only_one():
    assert external(Several(Linear()), TASK, probe()).config.model == "Several"
    with pytest.raises(UsageError, match="holds 2 models") as error:
        external(Several(Linear(), Marks()), TASK, probe())
    assert ".models[1] (Marks)" in error.value.remedy


class Optioned(Linear):
    way = "one"

    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Identity()


def test_the_fingerprint_covers_options_of_every_module():
    one, two = Optioned(), Optioned()
    two.inner.way = "another"
    assert external(one, TASK, probe()).config.fingerprint == external(Optioned(), TASK, probe()).config.fingerprint
    assert external(one, TASK, probe()).config.fingerprint != external(two, TASK, probe()).config.fingerprint
