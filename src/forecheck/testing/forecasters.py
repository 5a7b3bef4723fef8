"""The contract of a forecaster, as small named checks that anybody can run on theirs.

In a test suite, one test a check::

    from forecheck.testing.forecasters import Subject, parametrize

    @parametrize([Subject(MyForecaster, {"epochs": 2})])
    def test_contract(subject, check):
        check(subject)

or, in one call, `check_forecaster(MyForecaster, {"epochs": 2})`.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any

import torch

from forecheck.errors import DataError, UsageError
from forecheck.forecasters import registry
from forecheck.forecasters.base import FitReport, Forecaster
from forecheck.testing.damage import DAMAGES
from forecheck.testing.networks import NETWORK_CHECKS, is_network
from forecheck.testing.subject import WINDOWS, Check, Subject, require
from forecheck.trials.run import blind


def check_names_itself(subject: Subject) -> None:
    """Name, summary, what it mixes, source, rank and `trained` are there: lists and `auto` live on them."""
    kind = subject.kind
    for attribute in ("name", "summary", "mixes", "source"):
        text = getattr(kind, attribute, None)
        require(isinstance(text, str) and bool(text.strip()), f"{attribute} must be a text, got {text!r}")
    require(isinstance(getattr(kind, "rank", None), int), "rank must be a whole number: the order of simplicity")
    require(isinstance(kind.trained, bool), f"trained must be a bool, got {kind.trained!r}")


def check_config(subject: Subject) -> None:
    """The config is a frozen dataclass of JSON types with defaults: it is part of a trial's address."""
    kind = subject.kind
    require(is_dataclass(kind.Config), "Config must be a dataclass")
    config = kind.Config()
    require(not fields(config) or _is_frozen(config), "Config must be frozen: dataclass(frozen=True)")
    try:
        again = kind.Config(**json.loads(json.dumps(asdict(config), allow_nan=False)))
    except (TypeError, ValueError) as error:
        raise AssertionError(f"the defaults of Config must be JSON types: {error}") from error
    require(again == config, f"Config does not come back from JSON: {again} is not {config}")


def _is_frozen(config: Any) -> bool:
    try:
        setattr(config, fields(config)[0].name, None)
    except AttributeError:
        return True
    return False


def check_unknown_option(subject: Subject) -> None:
    """An option that does not exist is refused by name."""
    try:
        registry.read_config(subject.kind, {"no_such_option": 1})
    except UsageError as error:
        require("no_such_option" in str(error), f"the error must name the option, but says: {error}")
    else:
        raise AssertionError("an unknown option must raise UsageError")


def check_shape(subject: Subject) -> None:
    """Forecasts are float32 of shape (batch, horizon, channel), for one window as for many."""
    for batch in (1, WINDOWS):
        try:
            y = subject.fitted.predict(subject.x[:batch])
        except UsageError as error:  # of another shape
            raise AssertionError(str(error)) from error
        require(y.dtype == torch.float32, f"a forecast has type {y.dtype}, expected torch.float32")


def check_batch(subject: Subject) -> None:
    """The forecast of a window does not depend on the other windows of its batch."""
    whole = subject.fitted.predict(subject.x)
    parts = torch.cat([subject.fitted.predict(part) for part in torch.split(subject.x, 4)])
    require(
        torch.allclose(whole, parts, rtol=1e-4, atol=1e-5),
        f"cutting a batch changes its forecasts by up to {float((whole - parts).abs().max()):.2g}",
    )


def check_predict_is_pure(subject: Subject) -> None:
    """`predict` leaves its input alone, keeps no state, gives no gradient, and says the same thing twice."""
    x = subject.x
    first = subject.fitted.predict(x)
    require(torch.equal(x, subject.x), "predict changed its input")
    require(not first.requires_grad, "a forecast must not carry a gradient: use torch.no_grad")
    subject.fitted.predict(x.flip(0))
    require(torch.equal(first, subject.fitted.predict(x)), "the same window got two different forecasts")


def check_constant_windows(subject: Subject) -> None:
    """Windows without any variation get finite forecasts."""
    for value in (0.0, 3.0, -1e4):
        y = subject.fitted.predict(torch.full_like(subject.x, value))
        require(
            bool(torch.isfinite(y).all()), f"windows that are {value:g} throughout get a forecast that is not finite"
        )


def check_channels_permute(subject: Subject) -> None:
    """Exchanging channels exchanges forecasts, where channels share their weights."""
    if subject.permutes:
        order = torch.arange(subject.channels).roll(1)
        y = subject.fitted.predict(subject.x)[:, :, order]
        exchanged = subject.fitted.predict(subject.x[:, :, order])
        require(
            torch.allclose(y, exchanged, rtol=1e-4, atol=1e-5),
            "exchanging channels does not exchange forecasts; if that is meant, say permutes=False",
        )


def check_seed_repeats(subject: Subject) -> None:
    """Two fits with one seed are the same, whatever random numbers were drawn before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        first = subject.fit(seed=3).predict(subject.x)
        torch.manual_seed(2)
        again = subject.fit(seed=3).predict(subject.x)
    require(torch.equal(first, again), "two fits with the same seed forecast differently")


def check_seed_matters(subject: Subject) -> None:
    """A forecaster that is `trained` differs from seed to seed, any other does not."""
    same = torch.equal(subject.fitted.predict(subject.x), subject.fit(seed=1).predict(subject.x))
    if subject.kind.trained:
        require(not same, "two seeds give the same fit: either use the seed or do not call it trained")
    else:
        require(same, "two seeds give different fits: what draws random numbers must say trained = True")


def check_never_sees_the_test_part(subject: Subject) -> None:
    """A fit is the same if the rows of the test part are not there (NaN)."""
    hidden = subject.new()
    train, validation = blind(subject.experiment)
    hidden.fit(train, validation, 0)
    y = hidden.predict(subject.x)
    require(bool(torch.isfinite(y).all()), "the fit reads rows of the test part: without them it is not finite")
    require(torch.equal(y, subject.fitted.predict(subject.x)), "the fit changes if the test part is hidden")


def check_report(subject: Subject) -> None:
    """The fit's report is strict JSON, and its numbers make sense."""
    report = subject.first_fit[1]
    require(isinstance(report, FitReport), f"fit must return a FitReport, got {type(report).__name__}")
    try:
        json.dumps(asdict(report), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise AssertionError(f"the report of a fit must be of JSON types, without NaN: {error}") from error
    require(report.seconds >= 0, f"seconds must not be negative, got {report.seconds}")
    require(
        report.parameters == subject.fitted.parameters >= 0,
        f"the fit reports {report.parameters} parameters, the forecaster's property says {subject.fitted.parameters}",
    )


def check_progress(subject: Subject) -> None:
    """Progress is reported as fractions from 0 to 1 that never fall, with a word."""
    progress = subject.first_fit[2]
    fractions = [fraction for fraction, _ in progress]
    require(all(0 <= fraction <= 1 for fraction in fractions), f"progress leaves [0, 1]: {fractions}")
    require(fractions == sorted(fractions), f"progress goes backwards: {fractions}")
    require(all(isinstance(word, str) for _, word in progress), "progress comes with a word on what is going on")


def check_save_and_load(subject: Subject) -> None:
    """What was saved forecasts the same after loading, bit by bit; files are JSON and safetensors, never pickles."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "model"
        subject.fitted.save(folder)
        files = sorted(path.name for path in folder.rglob("*") if path.is_file())
        foreign = [file for file in files if not file.endswith((".json", ".safetensors"))]
        require(not foreign, f"save wrote {', '.join(foreign)}; only .json and .safetensors are safe to load")
        loaded = subject.kind.load(folder)
    require(loaded.task == subject.task, f"the task came back as {loaded.task}")
    require(loaded.config == subject.fitted.config, f"the config came back as {loaded.config}")
    same = torch.equal(loaded.predict(subject.x), subject.fitted.predict(subject.x))
    require(same, "the loaded forecaster forecasts something else than the saved one")


def check_damaged_files(subject: Subject) -> None:
    """Files that are missing, cut short, or of something else raise DataError, and nothing else."""
    for damage, spoil in DAMAGES.items():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "model"
            subject.fitted.save(folder)
            if not spoil(folder):
                continue
            try:
                subject.kind.load(folder)
            except DataError:
                continue
            except Exception as error:
                raise AssertionError(f"{damage}: load raises {type(error).__name__}, not DataError") from error
        raise AssertionError(f"{damage}: load accepts it")


FORECASTER_CHECKS: tuple[Check, ...] = (
    check_names_itself,
    check_config,
    check_unknown_option,
    check_shape,
    check_batch,
    check_predict_is_pure,
    check_constant_windows,
    check_channels_permute,
    check_seed_repeats,
    check_seed_matters,
    check_never_sees_the_test_part,
    check_report,
    check_progress,
    check_save_and_load,
    check_damaged_files,
)
"""What every forecaster signs, in the order in which failures are best read."""


def checks_of(subject: Subject) -> tuple[Check, ...]:
    """The contract of a forecaster: that of networks, too, if it is one."""
    return FORECASTER_CHECKS + NETWORK_CHECKS if is_network(subject) else FORECASTER_CHECKS


def check_forecaster(
    forecaster: type[Forecaster] | str,
    options: Mapping[str, Any] | None = None,
    *,
    permutes: bool = True,
    expected: Mapping[str, str] | None = None,
) -> None:
    """Run the whole contract.

    Args:
        forecaster: class, or name in the registry.
        options: that differ from the defaults; make training short.
        permutes: see `Subject`, as for the next.
        expected: by name of a check, why it is known to fail.

    Raises:
        AssertionError: naming every check that failed and why, or that was expected to fail and did not.
    """
    subject = Subject(forecaster, options or {}, permutes=permutes, expected=expected or {})
    failures = []
    for check in checks_of(subject):
        name = check.__name__
        try:
            check(subject)
        except Exception as error:  # noqa: BLE001  whatever a forecaster raises is a failed check
            if name not in subject.expected:
                kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
                failures.append(f"{name}: {kind}{error}")
        else:
            if name in subject.expected:
                failures.append(f"{name}: was expected to fail ({subject.expected[name]}), but holds")
    require(not failures, f"{subject} breaks the contract of a forecaster\n  " + "\n  ".join(failures))


def parametrize(subjects: Iterable[Subject | type[Forecaster] | str]) -> Any:
    """A pytest decorator: one test a subject and check, for a test function that takes `subject` and `check`.

    Expected failures become strict xfails with their reason.
    """
    import pytest

    cases = []
    for given in subjects:
        subject = given if isinstance(given, Subject) else Subject(given)
        for check in checks_of(subject):
            reason = subject.expected.get(check.__name__)
            marks = () if reason is None else (pytest.mark.xfail(reason=reason, strict=True),)
            name = f"{subject}-{check.__name__.removeprefix('check_')}"
            cases.append(pytest.param(subject, check, marks=marks, id=name))
    return pytest.mark.parametrize(("subject", "check"), cases)
