"""The public verb for several models and sets at once: audits side by side, in one report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from forecheck.auditing.survey import run_survey
from forecheck.data.load import load
from forecheck.data.panel import Panel
from forecheck.errors import UsageError
from forecheck.forecasters import registry
from forecheck.reports.report import Report
from forecheck.verbs.audit import audit
from forecheck.verbs.common import Options, several


def survey(
    data: Any,
    models: str | Sequence[str] | Mapping[str, str | Callable[[Panel], Any]] = "patchtst",
    *,
    options: Options | None = None,
    callback: Callable[[Report], None] | None = None,
    **audited: Any,
) -> Report:
    """Audit several models on several sets: one table of what attention is worth, and every audit's own report.

    A model that cannot be run on a set, or a trial that fails, is a cell with its reason. What is finished is saved in
    the store, so the same call goes on where it was.

    Args:
        data: what `audit` takes, or a list of such, or a mapping from names to such.
        models: names of forecasters; or, by names of your own, such names or functions that give the model for a panel.
        options: by forecaster, options that differ from the defaults.
        callback: called with the survey so far after every cell.
        audited: all other options are those of `audit`.

    Returns:
        A report: `.cells`, `.to_html(path)` (the single reports beside it), `.to_json(path)`, `.to_markdown(path)`.

    Raises:
        DataError: if data cannot be used as they are.
        UsageError: if there is no such model, a name stands twice, or no cell can be run.
    """
    panels = _named(data if isinstance(data, Mapping | list | tuple) else [data])
    names = several(models)
    chosen = dict(models) if isinstance(models, Mapping) else {name: name for name in names}
    forecasters = [model for model in chosen.values() if isinstance(model, str)]
    for forecaster in forecasters:
        registry.find(forecaster)

    def one(label: str, of: str) -> Mapping[str, Any]:
        model, panel = chosen[label], panels[of]
        # What is set for the other models of the survey is not this audit's; anything else must be.
        own = {name: value for name, value in (options or {}).items() if name == model or name not in forecasters}
        if isinstance(model, str):
            return audit(panel, model, options=own, **audited).data
        return audit(panel, model(panel), name=label, options=own, **audited).data

    return Report(
        run_survey(names, list(panels), one, None if callback is None else lambda so_far: callback(Report(so_far)))
    )


def _named(data: Mapping[str, Any] | Sequence[Any]) -> dict[str, Panel]:
    """Panels by name."""
    if isinstance(data, Mapping):
        return {name: load(one) for name, one in data.items()}
    panels = [load(one) for one in data]
    names = [panel.name for panel in panels]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"two of the data sets are called {twice!r}", "Give them names of your own: {name: data}.")
    return dict(zip(names, panels, strict=True))
