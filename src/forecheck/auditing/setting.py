"""What is known of an audit before anything has been run: checks plan by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from forecheck.attention.edits import Edit
from forecheck.auditing.budget import Budget
from forecheck.forecasters.base import Task

Family = Literal["raw", "retrained", "post-hoc", "perturbation", "positions", "patches", "heads", "reference", "remedy"]
"""Arms that are tested together. Only `retrained` and `post-hoc` arms decide the verdict."""


@dataclass(frozen=True)
class Place:
    """A site as the plan knows it; see `forecheck.attention.sites.Site`.

    Attributes:
        layer, path, heads, queries, keys: of the site.
        heads_known: whether it is known which patterns of a batch are heads.
        tokens: whether row i and column i of a pattern are of the same token, where there are as many of both.
        no_pattern: why it has no pattern, so that it can only be edited as a whole; empty if it has one.
    """

    layer: int
    path: str
    heads: int
    queries: int
    keys: int
    heads_known: bool = True
    tokens: bool = True
    no_pattern: str = ""


@dataclass(frozen=True)
class Setting:
    """What is audited, on what, and with which means.

    Attributes:
        model: what people call it.
        task: shapes.
        budget: seeds, training, retrained arms.
        config: options of the audited forecaster.
        places: where attention sits; empty if no adapter reached any, or the one that did is not to be believed.
        why_not: why there are no places.
        external: the model was trained elsewhere, so that it cannot be retrained.
        native: the attention is forecheck's own, which alone can be edited before training.
        identity: largest difference of the adapter's identity test, None if no adapter reached anything.
        beside: what mixes by weights that depend on the window and was not reached, in words; empty if nothing does.
        chosen: by forecaster, the options that the user chose.
    """

    model: str
    task: Task
    budget: Budget
    config: Mapping[str, Any]
    places: tuple[Place, ...] = ()
    why_not: str = ""
    external: bool = False
    native: bool = True
    identity: float | None = None
    beside: str = ""
    chosen: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def slow(self) -> bool:
        """Whether slow checks are run unasked: as the budget says, and always if nothing has to be trained."""
        return self.external or self.budget.slow


@dataclass(frozen=True)
class Request:
    """Something that is run for a check: an arm, or a measure on the trained model.

    Attributes:
        family: family of the arm; ignored for a measure.
        label: of the arm, unique in its family; a measure's name.
        edit: the intervention, if any.
        posthoc: the edit is made on the trained model.
        measure: name of a measure of `forecheck.probes`, instead of an arm.
        options: options that differ from the audited forecaster's (a retrained arm).
    """

    family: Family
    label: str
    edit: Edit | None = None
    posthoc: bool = False
    measure: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
