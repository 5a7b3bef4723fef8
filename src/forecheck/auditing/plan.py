"""The plan of an audit, before anything has been trained: its folds, its trials, and what they can resolve."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from forecheck.attention.identity import identity_test
from forecheck.attention.sites import Site, Subject, attach, why_no_pattern
from forecheck.auditing.budget import Budget
from forecheck.auditing.catalogue import Selection
from forecheck.auditing.check import Check
from forecheck.auditing.evidence import LINEAR, NAIVE, Arm
from forecheck.auditing.remedies import treatments
from forecheck.auditing.setting import Family, Place, Request, Setting
from forecheck.data.splits import most_folds
from forecheck.data.windows import Experiment
from forecheck.errors import UsageError
from forecheck.forecasters import registry
from forecheck.forecasters.base import Task
from forecheck.forecasters.external import External
from forecheck.forecasters.neural import NeuralForecaster
from forecheck.forecasting.selection import usable
from forecheck.statistics.inference import MINIMUM_BLOCKS, mean_over_windows
from forecheck.statistics.metrics import loss_by_time
from forecheck.trials.trial import EXTERNAL, Trial


@dataclass(frozen=True)
class PlannedArm:
    """An arm before it is run.

    Attributes:
        family: of arms that are tested together.
        label: unique in its family.
        trial: of the first seed; the others differ from it by their seed alone.
        seeds: fits in the first round.
    """

    family: Family
    label: str
    trial: Trial
    seeds: int = 1

    @property
    def decides(self) -> bool:
        """Whether it is trained for the verdict, so that further seeds may be asked for."""
        return self.family in ("raw", "retrained")

    def trials(self, seeds: int | None = None, split: str | None = None) -> tuple[Trial, ...]:
        """A trial a seed; those of the first round if there is no number, on another split if there is one."""
        first = self.trial if split is None else replace(self.trial, split=split)
        return tuple(replace(first, seed=seed) for seed in range(self.seeds if seeds is None else seeds))


@dataclass(frozen=True)
class Plan:
    """The trials of an audit, by arm and by measure.

    Attributes:
        setting: what was known when planning.
        checks: those that will look at the results.
        skipped: those that will not, with the reason.
        arms: the references first, then the raw model, then what the checks request.
        measures: by name and label of the arm that is measured.
        treated: by remedy and what attention is replaced by.
    """

    setting: Setting
    checks: tuple[Check, ...]
    skipped: tuple[dict[str, Any], ...]
    arms: tuple[PlannedArm, ...]
    measures: tuple[tuple[str, PlannedArm], ...] = ()
    treated: tuple[tuple[str, str, PlannedArm], ...] = ()

    @property
    def trials(self) -> list[Trial]:
        """All trials of the first round, the references first: they are done in seconds."""
        arms = (*self.arms, *(arm for _, arm in self.measures), *(arm for *_, arm in self.treated))
        return [trial for arm in arms for trial in arm.trials()]

    def of(self, *families: Family) -> list[PlannedArm]:
        """The arms of some families, in order."""
        return [arm for arm in self.arms if arm.family in families]


def plan(
    experiment: Experiment,
    model: str | External,
    budget: Budget,
    options: Mapping[str, Mapping[str, Any]],
    period: int,
    selection: Selection | None = None,
    remedies: Sequence[str] = (),
    tuned: Mapping[str, Mapping[str, Any]] | None = None,
    device: str = "cpu",
) -> Plan:
    """Which trials an audit of `model` consists of: the raw model, the references, what the checks request, remedies.

    Args:
        experiment: the data as cut; their training windows decide how long a budget trains.
        model: name of a forecaster, or a model that was trained elsewhere.
        budget: seeds, training, slow checks.
        options: by forecaster, what the user chose.
        period: season of the task.
        selection: which checks; None for all that the budget has time for.
        remedies: names.
        tuned: by label of an arm (`raw` for the raw model), training options that a search chose.
        device: where networks are run; a model that was trained elsewhere stays where it is.

    Raises:
        UsageError: if the model is unknown, has no attention, or cannot take a remedy, or an option is wrong.
    """
    test = experiment.test
    task = Task(test.lookback, test.horizon, test.channels, period)
    names = usable((*NAIVE, *LINEAR), period, test.lookback)
    tuned = tuned or {}
    setting = _setting(model, task, budget, options, experiment, tuned.get("raw", {}))
    treated = treatments(setting, remedies, options)
    if stray := set(options) - {setting.model, *names, *(each.model for each in treated)}:
        raise UsageError(f"options are set for {', '.join(sorted(stray))}, which this audit does not run")
    checks, skipped = (selection or Selection()).split(setting)
    forecaster = EXTERNAL if setting.external else setting.model
    seeds = 1 if setting.external else budget.seeds

    def arm(family: Family, label: str, name: str, config: Mapping[str, Any], **kw: Any) -> PlannedArm:
        data, split = experiment.panel.fingerprint, experiment.split
        where = "cpu" if name == EXTERNAL or name in names else device
        trial = Trial(
            data, split, test.lookback, test.horizon, name, dict(config), period, test.step, device=where, **kw
        )
        return PlannedArm(family, label, trial, 1 if name in names else seeds)

    chosen = {name: asdict(registry.create(name, task, options.get(name, {})).config) for name in names}
    arms = [arm("reference", name, name, config) for name, config in chosen.items()]
    arms.append(arm("raw", setting.model, forecaster, setting.config))
    measures: dict[tuple[str, str], PlannedArm] = {}
    requested: dict[tuple[Family, str], Request] = {}
    for check in checks:
        for request in () if check.why_not(setting) else check.requests(setting):
            if request.measure is None:
                requested.setdefault((request.family, request.label), request)
                continue
            of = request.label if request.label in chosen else setting.model
            name, config = (of, chosen[of]) if of in chosen else (forecaster, setting.config)
            measures[request.measure, of] = arm("raw", of, name, config, measure=request.measure)
    for (family, label), request in requested.items():
        edit = request.edit.to_dict() if request.edit else None
        config = dict(setting.config)
        if family == "retrained":
            config |= tuned.get(label, {})
        if request.options:
            config = asdict(registry.create(forecaster, task, {**config, **request.options}).config)
        arms.append(arm(family, label, forecaster, config, edit=edit, posthoc=request.posthoc))
    return Plan(
        setting,
        tuple(checks),
        tuple(skipped),
        tuple(arms),
        tuple((name, each) for (name, _), each in measures.items()),
        tuple(
            (
                each.remedy,
                each.mode,
                arm(
                    "remedy",
                    each.remedy,
                    each.model,
                    each.config,
                    edit=each.edit.to_dict() if each.edit else None,
                ),
            )
            for each in treated
        ),
    )


def _setting(
    model: str | External,
    task: Task,
    budget: Budget,
    options: Mapping[str, Mapping[str, Any]],
    experiment: Experiment,
    tuned: Mapping[str, Any],
) -> Setting:
    """What can be known of the model without training it; what cannot be built is refused before the work."""
    if isinstance(model, External):
        name, config, subject = model.config.model, asdict(model.config), model.subject
    else:
        audited = registry.find(model)
        if not issubclass(audited, NeuralForecaster):
            raise UsageError(f"{model} has no attention to audit", "Audit patchtst, or compare models with backtest.")
        chosen = dict(options.get(model, {}))
        training = budget.options(audited, task, experiment.train, chosen | dict(tuned))
        with torch.random.fork_rng(devices=[]):  # the same weights every time, so that FC108 says the same
            torch.manual_seed(0)
            forecaster = registry.create(model, task, training)
        assert isinstance(forecaster, NeuralForecaster)
        name, config, subject = model, asdict(forecaster.config), Subject.of(forecaster.module)
    external = isinstance(model, External)
    timed = isinstance(model, External) and model.timed
    example, _ = (experiment.stamped() if timed else experiment).train.gather(slice(0, 2))
    try:
        reach = _reach(subject, example)
    except Exception as error:
        if not external or isinstance(error, MemoryError):
            raise
        reach = _Reach(why_not=f"its attention could not be looked for: {type(error).__name__}: {error}")
    found = {field.name: getattr(reach, field.name) for field in fields(reach)}
    return Setting(name, task, budget, config, external=external, chosen=options, **found)


@dataclass(frozen=True)
class _Reach:
    """What of `Setting` says how a model's attention is reached."""

    places: tuple[Place, ...] = ()
    why_not: str = ""
    native: bool = False
    identity: float | None = None
    beside: str = ""


def _reach(subject: Subject, example: Tensor) -> _Reach:
    with torch.no_grad(), attach(subject, example) as attached:
        native = attached.adapter == "native"
        if not attached.sites:
            return _Reach((), attached.why_not, native)
        test = identity_test(subject, attached, example)
        places = tuple(_place(site, test.not_tokens) for site in attached.sites)
        if test.passed:
            return _Reach(places, attached.why_not, native, test.worst, test.unreached)
        why_not = (
            f"the {attached.adapter} adapter failed its identity test on this model: {test.fault}, so no edit "
            "through it can be believed"
        )
        return _Reach((), why_not, native, test.worst, test.unreached)


def _place(site: Site, not_tokens: Sequence[str]) -> Place:
    known = bool(getattr(site, "heads_known", True))
    tokens, no_pattern = site.path not in not_tokens, why_no_pattern(site)
    return Place(site.layer, site.path, site.heads, site.queries, site.keys, known, tokens, no_pattern)


_ENOUGH = 30
"""Independent blocks from which on one test part is left alone."""
_PLENTY = 100
"""From here on folds are not worth a word."""
_MOST = 4
_LEFT = 0.25
_CHEAP = 500_000
"""Numbers that an epoch reads (windows x lookback x channels), below which further folds cost little."""


def independent_blocks(experiment: Experiment) -> float:
    """N / H: independent blocks of the test part."""
    times = experiment.panel.time[experiment.test.origins]
    return len(np.unique(times)) / experiment.test.overlap


def choose_folds(experiment: Experiment, budget: Budget, model: str | External) -> int:
    """Rolling origins chosen unasked: as many as make enough blocks, where fits are cheap; else one.

    A model that was trained elsewhere has one test part: it may have seen the rows before.

    Args:
        experiment: the data as cut by the standard split.
        budget: one without a fixed number of windows (`Budget.windows`) trains too long for more folds.
        model: name of a forecaster, or the external model.
    """
    if isinstance(model, External) or budget.windows is None or not issubclass(registry.find(model), NeuralForecaster):
        return 1
    test = experiment.test
    enough = math.ceil(_ENOUGH / max(1.0, independent_blocks(experiment)))
    if enough == 1 or min(len(experiment.train), 4096) * test.lookback * test.channels > _CHEAP:
        return 1
    return max(1, min(enough, _MOST, most_folds(experiment.panel, experiment.split, test.lookback, test.horizon)))


def resolution(experiments: Sequence[Experiment], references: Sequence[Arm]) -> str:
    r"""What the test parts can show: a guess before anything is trained, in words.

    Half the 95 % interval of the mean loss of the best reference, times what is left of it in a difference of losses:

    .. math:: \sqrt{2 (1 - \rho)} \approx 1/4 \quad \text{for losses that are correlated by } \rho = .97,

    as those of similar models are. More test parts narrow it by the root of their number.

    Args:
        experiments: the folds.
        references: fitted; the one that validation prefers is used.
    """
    last, folds = experiments[-1], len(experiments)
    times = last.panel.time[last.test.origins]
    windows, count = len(np.unique(times)), sum(map(independent_blocks, experiments))
    said = f"{windows:,} windows" if folds == 1 else f"{folds} folds of about {windows:,} windows"
    said += f" are {count:.0f} independent stretches"
    best = min(references, key=Arm.chosen_by)
    loss = loss_by_time(best.results[0].arrays["mse"], times)
    if count < MINIMUM_BLOCKS or len(loss) < MINIMUM_BLOCKS or not loss.mean() > 0:
        return f"{said}, fewer than the {MINIMUM_BLOCKS} that a verdict needs."
    low, high = mean_over_windows(loss, last.test.overlap).interval()
    half = _LEFT * 50 * (high - low) / float(loss.mean()) / folds**0.5
    said += f": differences above about ±{half:.2g} % will show"
    most = min(_MOST, most_folds(last.panel, last.split, last.test.lookback, last.test.horizon))
    if folds == 1 and most > 1 and count < _PLENTY:
        said += f"; with --folds {most} above ±{half / most**0.5:.2g} %"
    return f"{said}. The spread between seeds comes on top."
