"""`forecheck audit`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from forecheck.cli import options as o
from forecheck.cli.model import check_call, read_call, read_model
from forecheck.cli.say import say
from forecheck.cli.settings import project_settings
from forecheck.cli.several import audit_several, name_panels, read_models, row
from forecheck.errors import UsageError

_MODEL = "patchtst"


def audit(
    data: Annotated[
        list[str],
        typer.Argument(help="Named sets (see [b]forecheck datasets[/b]), CSV or Parquet files; several for a survey."),
    ],
    model: Annotated[
        str,
        typer.Option(
            help="The forecaster whose attention is audited; or a trained model of yours, by a file and a function in "
            "it that gives it: [b]my_model.py:build[/b], called with lookback, horizon and channels."
        ),
    ] = _MODEL,
    models: Annotated[
        str | None, typer.Option(help="Several models, separated by commas: one table of all models and sets.")
    ] = None,
    horizon: o.Horizon = 96,
    lookback: o.Lookback = None,
    budget: Annotated[
        str, typer.Option(help="quick (minutes), standard or full (hours): seeds, training, retrained arms.")
    ] = "quick",
    split: o.Split = None,
    margin: o.Margin = 0.01,
    period: o.Period = None,
    step: o.Step = 1,
    select: Annotated[
        list[str] | None, typer.Option(help="Checks to run, by code or its beginning ([b]FC3,FC401[/b]).")
    ] = None,
    ignore: Annotated[list[str] | None, typer.Option(help="Checks not to run, likewise.")] = None,
    remedy: Annotated[
        list[str] | None,
        typer.Option(help="Remedies to put side by side ([b]rope,sam[/b]): does attention contribute more with them?"),
    ] = None,
    prune: Annotated[
        bool,
        typer.Option("--prune", help="Ask as well which weights can go first: attention, feed-forward or head."),
    ] = False,
    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            help="Exit with 3 if the verdict says this ([b]hurts[/b], 'no difference', undecided), or for [b]fail[/b] "
            "if any check fails; may be repeated."
        ),
    ] = None,
    units: Annotated[
        str, typer.Option(help="What a model of yours expects and gives: standardised or real.")
    ] = "standardised",
    call: o.Call = None,
    settings: o.Set = None,
    time: Annotated[
        list[str] | None,
        typer.Option(
            help="How long it may take ([b]90s[/b], [b]10m[/b], [b]2h[/b]); or the time column, if it cannot be "
            "guessed. May be given twice."
        ),
    ] = None,
    time_column: Annotated[str | None, typer.Option(help="The time column, even if it is called like 10m.")] = None,
    folds: Annotated[
        int | None, typer.Option(min=1, help="Rolling origins: more test data from the same rows; chosen by default.")
    ] = None,
    series: o.Series = None,
    target: o.Target = None,
    fill: o.Fill = None,
    drop: o.Drop = None,
    header: o.Header = None,
    decimal: o.Decimal = None,
    thousands: o.Thousands = None,
    delimiter: o.Delimiter = None,
    skip: o.Skip = None,
    json: o.Json = None,
    html: o.Html = None,
    markdown: o.Markdown = None,
    mlflow: o.Mlflow = None,
    workers: o.Workers = None,
    device: o.Device = "cpu",
    engine: o.Engine = None,
    address: o.Address = None,
    store: o.StoreFolder = None,
    verbose: o.Verbose = False,
    quiet: o.Quiet = False,
) -> None:
    """Does attention earn its keep on these data? A verdict with an interval, and what to forecast with instead.

    For example:

      forecheck audit ETTh1 --html audit.html

      forecheck audit sales.csv --time date --horizon 24 --budget standard

      forecheck audit ETTh1 ETTh2 weather --models patchtst,itransformer --html survey.html

      forecheck audit sales.csv --model my_model.py:build --lookback 96 --horizon 24 --fail-on hurts

    select, ignore, remedy and fail-on may also stand in \\[tool.forecheck] of pyproject.toml.
    """
    project = project_settings().under(select, ignore, remedy, fail_on)
    check_fail_on(project.fail_on)
    limit, column = read_times(time or [], time_column)
    o.check_writable(html, markdown, json, reads=data)
    o.check_mlflow(mlflow)
    chosen = o.read_settings(settings)
    read = {name: read_model(name) for name in read_models(model, models, _MODEL)}
    check_call(call, read.values())
    written = {"header": header, "decimal": decimal, "thousands": thousands, "delimiter": delimiter, "skip": skip}
    panels = [o.load_panel(each, column, series, target, fill, drop, quiet=quiet, **written) for each in data]
    asked: dict[str, Any] = {
        "horizon": horizon,
        "lookback": lookback,
        "units": units,
        "wrap": read_call(call),
        "select": project.select,
        "ignore": project.ignore,
        "remedies": project.remedy,
        "prune": prune,
        "budget": budget,
        "time": limit,
        "folds": folds,
        "split": split,
        "margin": margin,
        "period": period,
        "step": step,
        "options": chosen,
        "workers": o.read_workers(workers, engine, address),
        "device": device,
        "store": store,
    }

    def write(report: Any) -> None:
        o.write_report(report, json, html, markdown, verbose)
        o.log_to(report, mlflow)

    if len(panels) * len(read) > 1:
        audit_several(
            name_panels(panels, data),
            read,
            asked,
            write,
            lambda report: failing(report, project.fail_on),
            quiet=quiet,
        )
        return
    import forecheck as fc
    from forecheck.progress.bar import Bar

    panel, audited = panels[0], next(iter(read.values()))
    if not isinstance(audited, str):  # built for a lookback, which the verb finds as well
        audited = row(audited, asked)(panel)
    with Bar(quiet=quiet) as watcher:
        report = fc.audit(panel, audited, progress=watcher, **asked)
    write(report)
    reason = failing(report, project.fail_on)
    if reason:
        say(f"forecheck: {reason}", err=True)
        raise typer.Exit(_FOUND)


_FOUND = 3
_OUTCOMES = ("helps", "hurts", "no difference", "undecided", "not applicable", "fail")
_WORTH = ("yes", "no", "not for its attention")


def read_times(given: Sequence[str], column: str | None) -> tuple[str | None, str | None]:
    """The duration and the time column among what `--time` was given, which may be either.

    Raises:
        UsageError: if there are two of a kind, or one seems to be a duration that cannot be read.
    """
    from forecheck.auditing.budget import DURATION

    durations = [each for each in given if DURATION.fullmatch(each.strip())]
    columns = [each for each in given if each not in durations] + ([column] if column else [])
    for each in given:
        if each not in durations and re.fullmatch(r"\s*[-+]?[\d.,]+(e\d+)?\s*[a-z]+\s*", each, re.IGNORECASE):
            raise UsageError(
                f"cannot read the time {each!r}",
                f"Write 90s, 10m or 2h; a time column of that name is --time-column {shlex.quote(each)}.",
            )
    if len(durations) > 1 or len(columns) > 1:
        raise UsageError(
            f"--time was given {', '.join(durations if len(durations) > 1 else columns)}",
            "Give one duration (10m) and one time column at most.",
        )
    return next(iter(durations), None), next(iter(columns), None)


def check_fail_on(outcomes: Sequence[str]) -> None:
    """Refuse what can never be an outcome (UsageError)."""
    for outcome in outcomes:
        if outcome not in _OUTCOMES + _WORTH:
            raise UsageError(f"--fail-on {outcome!r} is no outcome", f"Known: {', '.join(_OUTCOMES + _WORTH)}.")


def failing(report: Any, outcomes: Sequence[str]) -> str:
    """Why the report is one to fail on; empty if it is not."""
    for said in (report.verdict.outcome, report.verdict.get("worth")):
        if said in outcomes:
            return f"the verdict is {said!r} (--fail-on)"
    failed = [finding.code for finding in report.findings if finding.outcome == "fail"]
    return f"{', '.join(failed)} failed (--fail-on fail)" if failed and "fail" in outcomes else ""
