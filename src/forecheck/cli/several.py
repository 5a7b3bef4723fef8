"""`forecheck audit` with several data sets or models: one survey, and every cell's own report beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import typer

from forecheck.cli import options as o
from forecheck.cli.model import build_model
from forecheck.cli.say import say
from forecheck.errors import UsageError

_FAILED = 1
_FOUND = 3


def read_models(model: str, models: str | None, default: str) -> list[str]:
    """The models that `--model` and `--models` name.

    Args:
        model: the value of `--model`.
        models: the value of `--models`, comma-separated; None if it was not used.
        default: what `model` is if the option was not used.

    Raises:
        UsageError: if both are given, or a name in `--models` is empty, or stands there twice.
    """
    if models is None:
        return [model]
    if model != default:
        raise UsageError("--model and --models are both given", "Name all models in --models, separated by commas.")
    names = o.read_names("--models", models)
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"--models names {twice!r} twice")
    return names


def name_panels(panels: Sequence[Any], texts: Sequence[str]) -> dict[str, Any]:
    """Panels by their own names, or, where two have the same, by what was written on the command line.

    Raises:
        UsageError: if the same data are given twice.
    """
    names = [panel.name for panel in panels]
    labels = [text if names.count(name) > 1 else name for name, text in zip(names, texts, strict=True)]
    if twice := next((label for label in labels if labels.count(label) > 1), None):
        raise UsageError(f"the data set {twice!r} is named twice in one survey")
    return dict(zip(labels, panels, strict=True))


def audit_several(
    panels: Mapping[str, Any],
    models: Mapping[str, Any],
    asked: Mapping[str, Any],
    write: Callable[[Any], None],
    failing: Callable[[Any], str],
    *,
    quiet: bool,
) -> None:
    """Run a survey and write it; what is finished is written too if it is interrupted.

    Args:
        panels: by name.
        models: by what was written, the name of a forecaster or the function of a file, as `read_model` gives it.
        asked: options of `forecheck.audit`.
        write: prints and writes a report.
        failing: why a single report is one to fail on, empty if it is not.
        quiet: tell nothing of the progress.

    Raises:
        Exit: with 1 if a trial failed, else with 3 if a report is one to fail on.
        KeyboardInterrupt: if interrupted, after writing.
    """
    from forecheck.progress.bar import Bar
    from forecheck.reports.report import Report
    from forecheck.verbs.survey import survey

    latest: list[Report] = []

    def show(so_far: Report) -> None:
        latest[:] = [so_far]
        if not quiet:
            ended = [cell for cell in so_far.cells if cell.state != "not run"]
            found = ended[-1].worth or ended[-1].state
            say(f"[{len(ended)}/{len(so_far.cells)}] {ended[-1].model} on {ended[-1].set}: {found}", err=True)

    rows = {name: row(model, asked) for name, model in models.items()}
    try:
        with Bar(quiet=quiet) as watcher:
            report = survey(panels, rows, callback=show, progress=watcher, **asked)
    except KeyboardInterrupt:
        if latest:
            write(latest[0])
        raise
    write(report)
    if failed := [f"{cell.model} on {cell.set}" for cell in report.cells if cell.state == "failed"]:
        say(f"forecheck: a trial failed in {', '.join(failed)}; all others are saved", err=True)
        raise typer.Exit(_FAILED)
    reasons = {f"{cell.model} on {cell.set}": failing(Report(cell.report)) for cell in report.cells if cell.report}
    if reasons := {where: reason for where, reason in reasons.items() if reason}:
        for where, reason in reasons.items():
            say(f"forecheck: {where}: {reason}", err=True)
        raise typer.Exit(_FOUND)


def row(build: Any, asked: Mapping[str, Any]) -> Any:
    """The name of a forecaster as it is; of a file's function what gives its model for a panel."""
    if isinstance(build, str):
        return build

    def built(panel: Any) -> Any:
        from forecheck.forecasting.selection import audit_lookback

        horizon, lookback = asked["horizon"], asked["lookback"]
        if lookback is None:
            lookback = audit_lookback(panel, horizon, None, asked["split"])
        return build_model(build, lookback, horizon, len(panel.channels))

    return built
