"""What is made of every table of a stream by itself, by this process or by workers: arrays, and facts as JSON types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int

from forecheck.data.scaling import scalable_among
from forecheck.data.splits import by_stamps
from forecheck.data.windows import Windows
from forecheck.forecasters import registry
from forecheck.forecasters.gram import Gram, gram_of
from forecheck.forecasters.linear import ClosedForm
from forecheck.forecasting.fit import completed
from forecheck.forecasting.fitted import Fitted
from forecheck.forecasting.forecast import make_forecast
from forecheck.forecasting.streaming.cut import Plan, Served, cut, scaler_of
from forecheck.forecasting.streaming.place import Place
from forecheck.trials.score import batch_size

Arrays = dict[str, np.ndarray[Any, np.dtype[Any]]]


@dataclass(frozen=True)
class Answer:
    """What a step made of a table.

    Attributes:
        number: of the table.
        arrays: by name.
        facts: JSON types.
    """

    number: int
    arrays: Arrays = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


@runtime_checkable
class Step(Protocol):
    """One pass over the data."""

    def run(self, served: Served) -> Answer:
        """What it makes of a table."""

    def described(self, folder: Path) -> dict[str, Any]:
        """Itself as JSON types, from which `step_of` makes it again; what is none lies in the folder then."""


@dataclass(frozen=True)
class Stamps:
    """Which stamps there are, how often, and what the series are."""

    def run(self, served: Served) -> Answer:
        """Stamps as whole numbers, and counts."""
        panel = served.panel
        facts: dict[str, Any] = {"left": len(served.aside), "aside": served.aside[:10]}
        if panel is None:
            return Answer(served.number, {}, facts)
        found, often = np.unique(panel.time, return_counts=True)
        facts |= {
            "series": len(panel.series),
            "first": str(panel.series[0]),
            "shortest": int(panel.lengths.min()),
            "channels": panel.channels,
            "frequency": asdict(panel.frequency),
            "dates": panel.time.dtype.kind == "M",
        }
        return Answer(served.number, {"stamps": found.astype(np.int64), "counts": often}, facts)

    def described(self, folder: Path) -> dict[str, Any]:
        """Nothing but its name."""
        del folder
        return {"step": "stamps"}


@dataclass(frozen=True)
class TrainingRows:
    """How many rows before the split the series have.

    Attributes:
        split: two stamps.
    """

    split: str

    def run(self, served: Served) -> Answer:
        """Of the longest, and of the shortest that has rows behind, if there is one."""
        if served.panel is None:
            return Answer(served.number)
        borders = by_stamps(self.split, served.panel)
        serving = scalable_among(served.panel, borders) & (borders.test_end > borders.train_end)
        rows = borders.train_end[serving]
        facts = {"longest": int(borders.train_end.max()), "shortest": int(rows.min()) if len(rows) else None}
        return Answer(served.number, {}, facts)

    def described(self, folder: Path) -> dict[str, Any]:
        """Its name and the split."""
        del folder
        return {"step": "rows", "split": self.split}


@dataclass(frozen=True)
class GramMatrices:
    """Gram matrices of all windows, by part and group of channels.

    Attributes:
        plan: how the data are cut.
        groups: first channel and the one after the last, None for the ends.
    """

    plan: Plan
    groups: tuple[tuple[int | None, int | None], ...]

    def run(self, served: Served) -> Answer:
        """Sums, and windows; no sums of a part without windows."""
        if served.panel is None:
            return Answer(served.number)
        arrays: Arrays = {}
        facts: dict[str, Any] = {"windows": {}, "grams": {}}
        for part, windows in cut(served.panel, self.plan).windows.items():
            facts["windows"][part] = len(windows)
            if not len(windows):
                continue
            facts["grams"][part] = []
            for number, (start, stop) in enumerate(self.groups):
                gram = gram_of(windows, slice(start, stop))
                arrays |= {f"{part} {number} {name}": getattr(gram, name) for name in _SUMS}
                facts["grams"][part].append({"count": gram.count, "floor": gram.floor})
            if part == "test":
                arrays["turns"] = turns_of(windows)
        return Answer(served.number, arrays, facts)

    def described(self, folder: Path) -> dict[str, Any]:
        """Its name, the plan and the groups."""
        del folder
        return {"step": "grams", "plan": self.plan.to_dict(), "groups": self.groups}


_SUMS = ("inputs", "cross", "input_sum", "target_sum", "target_square")


def grams_of(answer: Answer, part: str) -> list[Gram]:
    """Gram matrices of a part of a table, by group; empty if it has no windows."""
    found = []
    for number, facts in enumerate(answer.facts["grams"].get(part, ())):
        sums: dict[str, Any] = {name: answer.arrays[f"{part} {number} {name}"] for name in _SUMS}
        found.append(Gram(**sums, **facts))
    return found


def turns_of(windows: Windows) -> Int[np.ndarray, " window"]:
    """Whole steps of the calendar at every origin, as `Windows.strided` counts them."""
    return np.floor(windows.times).astype(np.int64)


@dataclass(frozen=True)
class Residuals:
    """Absolute errors of test windows.

    Attributes:
        plan: how the data are cut.
        forecaster: fitted.
        first: turn from which is counted.
        stride: of so many turns, one is taken: the same for all series.
    """

    plan: Plan
    forecaster: ClosedForm
    first: int
    stride: int

    def run(self, served: Served) -> Answer:
        """(window, horizon, channel), in four bytes."""
        if served.panel is None:
            return Answer(served.number)
        test = cut(served.panel, self.plan).windows["test"]
        test = replace(test, origins=test.origins[(turns_of(test) - self.first) % self.stride == 0])
        found = [(self.forecaster.predict(x) - y).abs().numpy() for _, x, y in test.batches(batch_size(test))]
        return Answer(served.number, {"residuals": np.concatenate(found).astype(np.float32)} if found else {})

    def described(self, folder: Path) -> dict[str, Any]:
        """Its name and numbers; the forecaster lies in the folder."""
        self.forecaster.save(folder / "forecaster")
        return {"step": "residuals", "plan": self.plan.to_dict(), "first": self.first, "stride": self.stride}


@dataclass(frozen=True)
class Forecasts:
    """Forecasts, which are written.

    Attributes:
        place: which has the fit.
        levels: of intervals, in percent.
    """

    place: Place
    levels: Sequence[float]

    def run(self, served: Served) -> Answer:
        """Nothing; the part is there then."""
        if (panel := served.panel) is not None:
            fit = self.place.saved
            scaler = scaler_of(panel, by_stamps(fit.info["split"], panel))
            names = panel.series, panel.channels, panel.frequency
            fitted = Fitted(fit.forecaster, completed(panel, scaler), *names, fit.widths, fit.info, {})
            self.place.write(served.number, make_forecast(fitted, panel, self.levels).to_arrow())
        return Answer(served.number)

    def described(self, folder: Path) -> dict[str, Any]:
        """Its name, where the fit lies, and the levels."""
        del folder
        where = {"folder": str(self.place.folder), "request": dict(self.place.request)}
        return {"step": "forecasts", **where, "levels": list(self.levels)}


def step_of(described: Mapping[str, Any], folder: Path) -> Step:
    """The step that was described."""
    kind = described["step"]
    if kind == "stamps":
        return Stamps()
    if kind == "rows":
        return TrainingRows(described["split"])
    if kind == "forecasts":
        return Forecasts(Place(Path(described["folder"]), described["request"]), described["levels"])
    plan = Plan.of(described["plan"])
    if kind == "grams":
        return GramMatrices(plan, tuple((start, stop) for start, stop in described["groups"]))
    forecaster = registry.load(folder / "forecaster")
    assert isinstance(forecaster, ClosedForm)
    return Residuals(plan, forecaster, described["first"], described["stride"])
