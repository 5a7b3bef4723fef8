"""A trial: everything that decides a result, and nothing else."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from forecheck.devices import kind_of
from forecheck.trials.named import code_of, edit_label, source_of
from forecheck.trials.record import Key, address_of

EXTERNAL = "external"
"""Forecaster of trials on a model that was trained elsewhere."""


@dataclass(frozen=True)
class Trial:
    """One fit, or one post-hoc edit of a fit, and its score; equal trials have equal addresses.

    Attributes:
        data: fingerprint of the panel.
        split: notation of the split.
        lookback: L.
        horizon: H.
        step: rows between two forecast origins.
        forecaster: name.
        config: all its options, defaults included.
        period: season of the task.
        seed: of all random streams.
        edit: the intervention (`Edit.to_dict`), or None for the raw forecaster.
        posthoc: the edit is made on the trained raw forecaster instead of before training.
        refit: rows after which a closed form is refitted in the test part (`forecheck.trials.rolling`), 0 for never.
        measure: what is measured on the trained raw forecaster (`forecheck.probes`), None for a score.
        device: where it is run; the kind alone decides the result, so that `cuda:1` finds what `cuda:0` made.
    """

    data: str
    split: str
    lookback: int
    horizon: int
    forecaster: str
    config: dict[str, Any] = field(default_factory=dict)
    period: int = 1
    step: int = 1
    seed: int = 0
    edit: dict[str, Any] | None = None
    posthoc: bool = False
    measure: str | None = None
    refit: int = 0
    device: str = "cpu"

    @property
    def address(self) -> str:
        """SHA-256 of the canonical description and of the code that makes the result (`forecheck.trials.named`)."""
        return address_of(self._described, self._code)

    @property
    def key(self) -> Key:
        """What its result is stored under."""
        what = f"{self.label}; lookback {self.lookback}, horizon {self.horizon}"
        return Key("trial", self.address, what, self._described, source_of(self.forecaster), self._code)

    @property
    def _described(self) -> dict[str, Any]:
        return asdict(self) | {"device": kind_of(self.device)}

    @property
    def _code(self) -> str:
        return code_of(self.forecaster, self.edit, self.measure, refit=bool(self.refit))

    @property
    def parent(self) -> Trial | None:
        """The fit whose checkpoint a post-hoc trial edits or measures."""
        return replace(self, edit=None, posthoc=False, measure=None) if self.posthoc or self.measure else None

    @property
    def name(self) -> str:
        """What people call the forecaster: its name, or that of a model which was trained elsewhere."""
        return str(self.config["model"]) if self.forecaster == EXTERNAL else self.forecaster

    @property
    def label(self) -> str:
        """What a person calls it."""
        if self.measure is not None:
            return f"{self.measure} of {self.name}, seed {self.seed}"
        if self.edit is None:
            return f"{self.name}, seed {self.seed}"
        how = "edited" if self.posthoc else "retrained"
        return f"{self.name} {how}: {edit_label(self.edit)}, seed {self.seed}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)
