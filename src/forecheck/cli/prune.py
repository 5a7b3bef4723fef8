"""`forecheck prune`."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated, Any

import typer

from forecheck.cli import options as o
from forecheck.cli.forecast import check_saved
from forecheck.cli.say import put, say

_MODEL = "patchtst"


def prune(
    data: o.Data,
    horizon: Annotated[int | None, typer.Option(min=1, help="H, steps to forecast; a saved fit has its own.")] = None,
    model: Annotated[
        str, typer.Option("--model", "-m", help="A forecaster that is trained, or [b]FILE.py:FUNCTION[/b] (see audit).")
    ] = _MODEL,
    model_dir: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="A fit that [b]forecheck fit[/b] saved, to be pruned instead."),
    ] = None,
    sparsity: Annotated[float, typer.Option(help="Share of the weights (heads, units) that become zero.")] = 0.9,
    method: Annotated[
        str, typer.Option(help="[b]elsa[/b], [b]gradual-magnitude[/b], [b]magnitude[/b] or [b]wanda[/b].")
    ] = "elsa",
    scope: Annotated[
        str | None, typer.Option(help="Compare weights within a [b]layer[/b], or over all ([b]global[/b]).")
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(help="[b]heads[/b] or [b]units[/b] to prune whole ones, or n of every m inputs, as [b]2:4[/b]."),
    ] = None,
    ignore: Annotated[list[str] | None, typer.Option(help="Parameter or module to leave alone; repeatable.")] = None,
    steps: Annotated[int, typer.Option(help="Steps of training while it is pruned; 0 for one-shot alone.")] = 1024,
    lr: Annotated[float, typer.Option(help="Learning rate at first; it falls linearly to zero.")] = 3e-3,
    lam: Annotated[float, typer.Option(help="Strength of ELSA's pull to sparse weights.")] = 0.1,
    schedule: Annotated[
        str, typer.Option(help="Of --lam: [b]constant[/b], [b]linear[/b], [b]cosine[/b] or [b]exponential[/b].")
    ] = "cosine",
    projection: Annotated[
        str, typer.Option(help="Of ELSA: [b]aware[/b] of Adam's second moments, or [b]plain[/b].")
    ] = "plain",
    low_memory: Annotated[bool, typer.Option("--low-memory", help="ELSA's copies in 8 and 16 bits.")] = False,
    seed: Annotated[int, typer.Option(help="Of the order of windows, and of dropout.")] = 0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the pruned fit, for forecast --model-dir.")
    ] = None,
    html: o.Html = None,
    json: Annotated[str | None, typer.Option(help="Write all of it as JSON; [b]-[/b] for standard output.")] = None,
    lookback: o.Lookback = None,
    split: o.Split = None,
    margin: o.Margin = 0.01,
    period: o.Period = None,
    call: o.Call = None,
    settings: o.Set = None,
    time: o.Time = None,
    series: o.Series = None,
    target: o.Target = None,
    fill: o.Fill = None,
    drop: o.Drop = None,
    header: o.Header = None,
    decimal: o.Decimal = None,
    thousands: o.Thousands = None,
    delimiter: o.Delimiter = None,
    skip: o.Skip = None,
    workers: o.Workers = None,
    device: o.Device = "cpu",
    engine: o.Engine = None,
    address: o.Address = None,
    store: o.StoreFolder = None,
    quiet: o.Quiet = False,
) -> None:
    """Make most weights of a trained forecaster zero, and say what that costs and gains.

    For example:

      forecheck prune ETTh1 --horizon 96 --model patchtst --sparsity 0.9 -o small --html small.html

      forecheck forecast ETTh1 --model-dir small

      forecheck prune sales.csv --model-dir sales-model --pattern units --sparsity 0.8 -o sales-small
    """
    if model_dir is not None:
        check_saved({"--model": model != _MODEL, "--lookback": lookback, "--period": period, "--set": settings})
    o.check_writable(html, json, reads=[data])
    chosen = o.read_settings(settings)
    kept = _read_pattern(pattern)
    named = _checked_names(scope=scope, schedule=schedule, projection=projection)
    written = {"header": header, "decimal": decimal, "thousands": thousands, "delimiter": delimiter, "skip": skip}
    panel = o.load_panel(data, time, series, target, fill, drop, quiet=quiet, **written)
    import forecheck as fc
    from forecheck.cli.model import build_model, check_call, read_call, read_model
    from forecheck.progress.bar import Bar
    from forecheck.reports.pruning import pruning_text

    subject: Any = read_model(model)
    check_call(call, [subject])
    if callable(subject):
        if lookback is None or horizon is None:
            from forecheck.errors import UsageError

            unknown = "lookback" if lookback is None else "horizon"
            raise UsageError(f"the {unknown} of a model of your own is not known", f"Name it with --{unknown}.")
        subject = build_model(subject, lookback, horizon, len(panel.channels))
    with Bar(quiet=quiet) as watcher:
        pruned = fc.prune(
            panel,
            horizon=horizon,
            model=subject,
            model_dir=model_dir,
            sparsity=sparsity,
            method=method,
            pattern=kept,
            ignore=ignore or (),
            steps=steps,
            lr=lr,
            strength=lam,
            low_memory=low_memory,
            seed=seed,
            lookback=lookback,
            split=split,
            margin=margin,
            period=period,
            options=chosen,
            wrap=read_call(call),
            output=output,
            workers=o.read_workers(workers, engine, address),
            device=device,
            store=store,
            progress=watcher,
            **named,
        )
    described = jsonlib.dumps(pruned.info, indent=1) + "\n"
    if json == "-":
        put(described)
    else:
        from rich.console import Console

        Console().print(pruning_text(pruned.info))
    if json not in (None, "-"):
        from forecheck.outputs import write_output

        write_output(json, described.encode())
    if html is not None:
        pruned.to_html(html)
    for path in (output, html, None if json == "-" else json):
        if path is not None:
            say(f"wrote {path}", err=True)


def _read_pattern(text: str | None) -> Any:
    """The numbers of `2:4`, or a word."""
    if text in (None, "heads", "units"):
        return text
    n, colon, m = text.partition(":")
    if not (colon and n.isdecimal() and m.isdecimal()):
        from forecheck.errors import UsageError

        raise UsageError(f"a pattern is heads, units or two numbers, got {text!r}", "Write --pattern 2:4.")
    return int(n), int(m)


def _checked_names(**given: Any) -> dict[str, Any]:
    """The options, none of which has a name that it does not have."""
    from typing import get_args

    from forecheck.errors import UsageError
    from forecheck.sparsity.elsa import Projection, Schedule
    from forecheck.sparsity.masks import Scope

    for option, kind in (("scope", Scope), ("schedule", Schedule), ("projection", Projection)):
        if given[option] is not None and given[option] not in get_args(kind):
            raise UsageError(f"--{option} is one of {', '.join(get_args(kind))}, got {given[option]!r}")
    return given
