"""Every forecaster signs the contract; and every check of the contract can fail."""

import json
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from forecheck.data.windows import prepare
from forecheck.errors import UsageError
from forecheck.forecasters import registry
from forecheck.forecasters.base import FitReport, Forecaster, Task
from forecheck.testing import forecasters as contract
from forecheck.testing.forecasters import FORECASTER_CHECKS, Subject, check_forecaster, parametrize
from forecheck.trials.score import score
from panels import TINY, hourly

# Channels are numbered: their forecasts come from maps over all of them, or every channel has weights of its own.
NUMBERED = {"tsmixer", "transformer", "informer", "autoformer", "fedformer", "samovar", "lintrans", "fixedvar"}
NUMBERED |= {"anchored-net"}
CODES = {"vq_codes": 8, "vq_width": 4, "vq_updates": 5, "vq_batch": 64, "vq_revive": 0.5}
EMBEDDINGS = {"patchtst": ("mlp", "conv"), "vq-patchtst": ("vq-residual",)}
EXPECTED = {
    "conv": {"check_gradients": "more than a tenth of its rectifiers are off for a whole batch"},
    "informer": {"check_causality": "ProbSparse chooses the decoder's active queries among all steps, later ones too"},
}


def subjects():
    found = []
    for forecaster in registry.all_forecasters():
        options = {key: value for key, value in (TINY | CODES).items() if key in registry.defaults(forecaster)}
        if "per_channel" in registry.defaults(forecaster):
            found.append(Subject(forecaster.name, {"per_channel": True}, permutes=False))
            options["per_channel"] = False
        expected = EXPECTED.get(forecaster.name, {})
        found.append(Subject(forecaster.name, options, permutes=forecaster.name not in NUMBERED, expected=expected))
        found += [
            Subject(forecaster.name, options | {"embedding": name}, expected=EXPECTED.get(name, {}))
            for name in EMBEDDINGS.get(forecaster.name, ())
        ]
    return found


@parametrize(subjects())
def test_contract(subject, check):
    check(subject)


def test_names_and_ranks_are_unique():
    known = registry.all_forecasters()
    assert len({forecaster.name for forecaster in known}) == len(known)
    assert len({forecaster.rank for forecaster in known}) == len(known)
    assert [forecaster.rank for forecaster in known] == sorted(forecaster.rank for forecaster in known)


def test_a_saved_forecaster_is_found_by_its_files(tmp_path):
    Subject("nlinear").fitted.save(tmp_path)
    assert type(registry.load(tmp_path)) is registry.find("nlinear")


@dataclass(frozen=True)
class Config:
    scale: float = 1.0


class Honest(Forecaster):
    """The last value, plus the mean change of the training windows, plus a little noise by seed."""

    name = "honest"
    summary = "last value plus mean change"
    mixes = "nothing"
    source = "this test"
    rank = 99
    Config = Config
    trained = True

    @property
    def parameters(self):
        return self.task.horizon

    def fit(self, train, validation, seed=0, progress=None):
        if progress is not None:
            progress(0.5, "mean change")
            progress(1.0, "mean change")
        x, y = train.gather(slice(0, len(train)))
        noise = torch.randn(self.task.horizon, generator=torch.Generator().manual_seed(seed))
        self.change = (y - x[:, -1:]).mean(dim=(0, 2)) + 0.01 * self.config.scale * noise
        return FitReport(0.1, self.parameters, {"change": self.change.tolist()})

    def predict(self, x):
        return x[:, -1:] + self.change[None, :, None]

    def tensors(self):
        return {"change": self.change}

    def restore(self, tensors):
        if tensors["change"].shape != (self.task.horizon,):
            raise ValueError("weights of another horizon")
        self.change = tensors["change"]


def test_an_honest_forecaster_passes():
    check_forecaster(Honest, {"scale": 2})


class Nameless(Honest):
    summary = " "


class Rankless(Honest):
    rank = None


class ConfigOfArrays(Honest):
    @dataclass(frozen=True)
    class Config:
        scale: float = 1.0
        weights: set = field(default_factory=lambda: {1, 2})


class ConfigThatThaws(Honest):
    @dataclass
    class Config:
        scale: float = 1.0


class TakesAnyOption(Honest):
    @dataclass(frozen=True)
    class Config:
        scale: float = 1.0
        no_such_option: int = 0


class Transposed(Honest):
    def predict(self, x):
        return super().predict(x).transpose(1, 2)


class Double(Honest):
    def predict(self, x):
        return super().predict(x).double()


class LooksAtTheBatch(Honest):
    def predict(self, x):
        return super().predict(x) - x.mean(dim=0, keepdim=True)[:, :1]


class WorksInPlace(Honest):
    def predict(self, x):
        x -= 1
        return super().predict(x)


class Dropout(Honest):
    def predict(self, x):
        return torch.dropout(super().predict(x), 0.5, train=True)


class Gradient(Honest):
    def predict(self, x):
        return super().predict(x) * torch.ones(1, requires_grad=True)


class DividesByTheSpread(Honest):
    def predict(self, x):
        return super().predict(x) / x.std(dim=1, keepdim=True)


class NumbersTheChannels(Honest):
    def predict(self, x):
        return super().predict(x) + torch.arange(x.shape[2])


class GlobalNoise(Honest):
    def fit(self, train, validation, seed=0, progress=None):
        return super().fit(train, validation, int(torch.randint(1000, ())), progress)


class IgnoresTheSeed(Honest):
    def fit(self, train, validation, seed=0, progress=None):
        return super().fit(train, validation, 0, progress)


class HidesItsSeed(Honest):
    trained = False


class ReadsEverything(Honest):
    def fit(self, train, validation, seed=0, progress=None):
        report = super().fit(train, validation, seed, progress)
        self.change = self.change + float(train.values.mean())
        return report


class NaNWhereHidden(Honest):
    """Not finite only where the rows are hidden, and swallows it: the fit still differs."""

    def fit(self, train, validation, seed=0, progress=None):
        report = super().fit(train, validation, seed, progress)
        self.change = self.change + float(np.nan_to_num(train.values).mean())
        return report


class ReportsArrays(Honest):
    def fit(self, train, validation, seed=0, progress=None):
        super().fit(train, validation, seed, progress)
        return FitReport(0.1, 1, {"change": self.change.numpy()})


class ReportsNaN(Honest):
    def fit(self, train, validation, seed=0, progress=None):
        super().fit(train, validation, seed, progress)
        return FitReport(0.1, 1, {"loss": float("nan")})


class ReportsNothing(Honest):
    def fit(self, train, validation, seed=0, progress=None):
        super().fit(train, validation, seed, progress)


class RunsBackwards(Honest):
    def fit(self, train, validation, seed=0, progress=None):
        report = super().fit(train, validation, seed, progress)
        if progress is not None:
            progress(0.2, "again")
        return report


class MoreThanAll(Honest):
    def fit(self, train, validation, seed=0, progress=None):
        report = super().fit(train, validation, seed, progress)
        if progress is not None:
            progress(1.5, "too far")
        return report


class Pickles(Honest):
    def save(self, folder):
        super().save(folder)
        torch.save(self.change, folder / "change.pt")


class SavesHalf(Honest):
    def tensors(self):
        return {"change": self.change.half()}

    def restore(self, tensors):
        super().restore({"change": tensors["change"].float()})


class ForgetsItsConfig(Honest):
    def described(self):
        return super().described() | {"config": {}}


class TakesAnyShape(Honest):
    def restore(self, tensors):
        self.change = tensors["change"][: self.task.horizon]


class NeedsNoWeights(Honest):
    def restore(self, tensors):
        change = tensors.get("change", torch.zeros(self.task.horizon))
        super().restore({"change": change})


class RaisesAnything(Honest):
    @classmethod
    def load(cls, folder):
        described = json.loads((folder / "forecaster.json").read_text())
        assert described["name"] == cls.name
        return super().load(folder)


BROKEN = [
    (contract.check_names_itself, Nameless, "summary must be a text"),
    (contract.check_names_itself, Rankless, "rank must be a whole number"),
    (contract.check_config, ConfigOfArrays, "must be JSON types"),
    (contract.check_config, ConfigThatThaws, "must be frozen"),
    (contract.check_unknown_option, TakesAnyOption, "must raise UsageError"),
    (contract.check_shape, Transposed, r"shape \(1, 3, 12\), expected \(1, 12, 3\)"),
    (contract.check_shape, Double, "float64, expected torch.float32"),
    (contract.check_batch, LooksAtTheBatch, "cutting a batch changes"),
    (contract.check_predict_is_pure, WorksInPlace, "changed its input"),
    (contract.check_predict_is_pure, Dropout, "two different forecasts"),
    (contract.check_predict_is_pure, Gradient, "must not carry a gradient"),
    (contract.check_constant_windows, DividesByTheSpread, "that are 0 throughout"),
    (contract.check_channels_permute, NumbersTheChannels, "permutes=False"),
    (contract.check_seed_repeats, GlobalNoise, "same seed forecast differently"),
    (contract.check_seed_matters, IgnoresTheSeed, "do not call it trained"),
    (contract.check_seed_matters, HidesItsSeed, "must say trained = True"),
    (contract.check_never_sees_the_test_part, ReadsEverything, "reads rows of the test part"),
    (contract.check_never_sees_the_test_part, NaNWhereHidden, "changes if the test part is hidden"),
    (contract.check_report, ReportsArrays, "JSON types"),
    (contract.check_report, ReportsNaN, "without NaN"),
    (contract.check_report, ReportsNothing, "must return a FitReport, got NoneType"),
    (contract.check_progress, RunsBackwards, "goes backwards"),
    (contract.check_progress, MoreThanAll, r"leaves \[0, 1\]"),
    (contract.check_save_and_load, Pickles, "save wrote change.pt"),
    (contract.check_save_and_load, SavesHalf, "something else than the saved one"),
    (contract.check_save_and_load, ForgetsItsConfig, "config came back as"),
    (contract.check_damaged_files, TakesAnyShape, "weights of another shape: load accepts it"),
    (contract.check_damaged_files, NeedsNoWeights, "weights without tensors: load accepts it"),
    (contract.check_damaged_files, RaisesAnything, "description cut short: load raises JSONDecodeError"),
]


@pytest.mark.parametrize(("check", "broken", "message"), BROKEN, ids=lambda value: getattr(value, "__name__", ""))
def test_the_check_can_fail(check, broken, message):
    with pytest.raises(AssertionError, match=message):
        check(Subject(broken, {"scale": 2}))


def test_every_check_is_shown_to_fail():
    assert {check for check, _, _ in BROKEN} == set(FORECASTER_CHECKS)


def test_all_failures_are_refused_at_once():
    class Twice(Double, Pickles):
        pass

    with pytest.raises(AssertionError) as caught:
        check_forecaster(Twice)
    reported = str(caught.value).splitlines()
    assert reported[0] == "Twice breaks the contract of a forecaster"
    assert [line.split(":")[0].strip() for line in reported[1:]] == ["check_shape", "check_save_and_load"]


def test_other_exceptions_fail_a_check_too():
    class Raises(Honest):
        def predict(self, x):
            raise ZeroDivisionError("by nothing")

    with pytest.raises(AssertionError, match="check_shape: ZeroDivisionError: by nothing"):
        check_forecaster(Raises)


def test_expected_failures_have_reasons_and_must_fail():
    check_forecaster(Double, expected={"check_shape": "forecasts in double precision"})
    with pytest.raises(AssertionError, match=r"expected to fail \(an old bug\), but holds"):
        check_forecaster(Honest, expected={"check_shape": "an old bug"})


@parametrize([Honest, Subject(Double, expected={"check_shape": "forecasts in double precision"})])
def test_parametrize_takes_classes_and_subjects(subject, check):
    check(subject)


class OneChannel(Honest):
    def predict(self, x):
        return super().predict(x)[..., :1]


class OfNumpy(Honest):
    def predict(self, x):
        return super().predict(x).numpy()


@pytest.mark.parametrize("kind", [OneChannel, OfNumpy, Transposed])
def test_a_forecast_of_another_shape_is_no_loss(kind):
    """It would be broadcast against the targets, to a loss that looks like one."""
    windows = prepare(hourly(200), 12, 4)
    forecaster = kind(Task(12, 4, 2))
    forecaster.fit(windows.train, windows.validation)
    with pytest.raises(UsageError, match=r"honest turns windows \(\d+, 12, 2\) into"):
        score(forecaster, windows.test)
