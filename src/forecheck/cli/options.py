"""Options that several commands share, and how their text is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from forecheck.cli.say import put, say
from forecheck.errors import UsageError
from forecheck.forecasting.candidates import FORECAST_CANDIDATES as _CANDIDATES
from forecheck.outputs import check_output

Data = Annotated[str, typer.Argument(help="A named set (see [b]forecheck datasets[/b]), or a CSV or Parquet file.")]
Horizon = Annotated[int, typer.Option(min=1, help="H, steps to forecast.")]
Model = Annotated[
    str,
    typer.Option(help="A model's name, or auto: the combination, or a candidate that beats it at rolling origins."),
]
Candidates = Annotated[str, typer.Option(help="What auto chooses from, separated by commas.")]
CANDIDATES = ",".join(_CANDIDATES)
Refit = Annotated[bool, typer.Option(help="Refit closed-form models on all rows before forecasting.")]
Lookback = Annotated[int | None, typer.Option(min=1, help="L, steps of input; what suits model and data by default.")]
Time = Annotated[str | None, typer.Option(help="The time column, if it cannot be guessed.")]
Series = Annotated[str | None, typer.Option(help="The column that names the series, for long data.")]
Target = Annotated[list[str] | None, typer.Option(help="Columns to keep; may be repeated.")]
Fill = Annotated[str | None, typer.Option(help="Fill missing values: linear, last or seasonal.")]
Drop = Annotated[list[str] | None, typer.Option(help="Columns to leave out; may be repeated.")]
Header = Annotated[
    bool | None, typer.Option("--header/--no-header", help="Whether the first line of a file holds names.")
]
Decimal = Annotated[str | None, typer.Option(help="The decimal mark of numbers: . or , (found by default).")]
Thousands = Annotated[str | None, typer.Option(help="What parts thousands: , . ' or space (found by default).")]
Delimiter = Annotated[str | None, typer.Option(help="What parts the cells of a file: a character, tab or space.")]
Skip = Annotated[int | None, typer.Option(min=0, help="Lines of a file before its header.")]
Known = Annotated[
    list[str] | None,
    typer.Option(
        help="Columns that are known for the steps after the end, in rows with empty targets or in --future; separated "
        "by commas."
    ),
]
Past = Annotated[
    list[str] | None,
    typer.Option(help="Columns that are known up to the end alone (yesterday's temperature), separated by commas."),
]
Static = Annotated[
    list[str] | None, typer.Option(help="Columns that say what a series is (region, kind), separated by commas.")
]
Calendar = Annotated[
    list[str] | None,
    typer.Option(
        help="Features of the calendar, separated by commas: hour, dayofweek, weekend, dayofmonth, monthend, month, "
        "quarter, workingdays, country=AU (holidays)."
    ),
]
Future = Annotated[
    Path | None, typer.Option(dir_okay=False, help="File of the steps after the end, with the known columns.")
]
Split = Annotated[
    str | None, typer.Option(help="70/10/20 (percent), 8640+2880+2880 (rows) or 2015-01-01,2016-01-01 (dates).")
]
Margin = Annotated[float, typer.Option(help="Relative difference of test MSE that counts as none (0.01 is 1 %).")]
Period = Annotated[int | None, typer.Option(min=1, help="Steps a season; guessed from the time column.")]
Step = Annotated[int, typer.Option(min=1, help="Rows between two forecast origins (24: once a day on hourly data).")]
Call = Annotated[
    str | None,
    typer.Option(
        help="How a model of yours is called: [b]tslib[/b] (as Time-Series-Library calls its own, with time marks) "
        "or by a function of yours, [b]my_model.py:call[/b], that is given model, windows and their times."
    ),
]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="A model's option: [b]nlinear.ridge=0[/b]; may be repeated.")
]
Formulas = Annotated[
    bool,
    typer.Option(
        help="Write names that begin like a formula (=, +, -, @) as they are; without, an apostrophe stands before "
        "them, as spreadsheets run formulas."
    ),
]
Workers = Annotated[int | None, typer.Option(min=0, help="Worker processes; one a core by default, 0 for none.")]
Device = Annotated[
    str,
    typer.Option(help="Where networks are computed: auto, cpu, cuda, cuda:1 or mps; auto takes a GPU if there is one."),
]
Engine = Annotated[
    str | None, typer.Option(help="Where trials run: local (processes, the default) or ray (a cluster).")
]
Address = Annotated[str | None, typer.Option(help="Of a Ray cluster; auto for one that was started on this machine.")]
StoreFolder = Annotated[
    Path | None,
    typer.Option("--store", file_okay=False, help="Folder of results, or a URL (s3://...); your cache by default."),
]
Json = Annotated[str | None, typer.Option("--json", help="Write the report as JSON; - for standard output.")]
Html = Annotated[Path | None, typer.Option("--html", dir_okay=False, help="Write the report as one HTML file.")]
Markdown = Annotated[Path | None, typer.Option("--markdown", dir_okay=False, help="Write the report as Markdown.")]
Mlflow = Annotated[
    str | None, typer.Option(help="Log the report as a run of this MLflow server: http://localhost:5000.")
]
Verbose = Annotated[bool, typer.Option("--verbose", help="Print all of the report, not what matters in thirty lines.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")]


def read_workers(workers: int | None, engine: str | None, address: str | None) -> Any:
    """Where trials run, as the verbs take it.

    Args:
        workers: processes on this machine; None for the default.
        engine: name of an engine; None for processes on this machine.
        address: of a cluster's scheduler; None to start or find one.

    Raises:
        UsageError: if there is no such engine, or options do not go together.
    """
    if engine not in (None, "local", "ray"):
        raise UsageError(f"no engine is called {engine!r}", "Known: local, ray.")
    if engine != "ray":
        if address is not None:
            raise UsageError("--address has no effect without --engine ray", "Add --engine ray, or leave it out.")
        return workers
    if workers is not None:
        raise UsageError("--workers has no effect on a cluster, which has its own", "Leave --workers or --engine out.")
    from forecheck.cluster import Ray

    return Ray(address)


def read_settings(settings: Sequence[str] | None) -> dict[str, dict[str, str]]:
    """`["nlinear.ridge=0"]` as `{"nlinear": {"ridge": "0"}}`.

    Raises:
        UsageError: if a setting is not of the form model.option=value, or an option is set twice.
    """
    options: dict[str, dict[str, str]] = {}
    for setting in settings or ():
        name, equals, value = setting.partition("=")
        model, dot, option = name.strip().partition(".")
        if not (equals and dot and model and option):
            raise UsageError(f"cannot read --set {setting!r}", "Write model.option=value, as in nlinear.ridge=0.")
        if option in options.setdefault(model, {}):
            raise UsageError(f"--set gives {model}.{option} twice")
        options[model][option] = value.strip()
    return options


def read_names(option: str, *values: str) -> list[str]:
    """`"last, nlinear"` as a list: the names that an option gives, separated by commas, without blanks around.

    Args:
        option: as it is written.
        values: what it was given, each one name or several.

    Raises:
        UsageError: if a name is empty, or there is none.
    """
    names = [name.strip() for value in values for name in value.split(",")]
    if not names or not all(names):
        raise UsageError(
            f"{option} {','.join(values)!r} has an empty name", "Separate names by commas, or leave the option out."
        )
    return names


def read_candidates(candidates: str, model: str, usual: str = CANDIDATES) -> list[str]:
    """What auto chooses from.

    Args:
        candidates: the value of `--candidates`.
        model: the value of `--model`.
        usual: what `candidates` is if the option was not used.

    Raises:
        UsageError: if a name is empty, or the model is named.
    """
    if model != "auto" and candidates != usual:
        raise UsageError(f"--candidates has no effect with --model {model}", "Leave one of the two out.")
    return read_names("--candidates", candidates)


def read_beside(
    known: Sequence[str] | None,
    static: Sequence[str] | None,
    calendar: Sequence[str] | None,
    future: Path | None,
    past: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Options on columns beside the channels, as `forecheck.load` takes them; without those that were not used.

    Args:
        known: values of `--known`, each one name or several separated by commas.
        static: values of `--static`, likewise.
        calendar: values of `--calendar`, likewise.
        future: file with known values of the steps after the end.
        past: values of `--past`, likewise.

    Raises:
        UsageError: if a name is empty.
    """
    given = {"known": known, "past": past, "static": static, "calendar": calendar}
    found: dict[str, Any] = {part: read_names(f"--{part}", *names) for part, names in given.items() if names}
    return found | ({} if future is None else {"future": future})


def said_of(info: dict[str, Any]) -> str:
    """Which model was fitted and how good it is, on one line; then what a user should know."""
    notes = "".join(f"\nnote: {note}" for note in info.get("notes") or ())
    if info.keys() & {"known", "past"}:
        from forecheck.forecasting.beside import worth_in_words

        worths = [worth_in_words(info[part], part) for part in ("known", "past") if part in info]
        notes = "".join(f"\n{worth}" for worth in worths) + notes
    said = f"{info['model']} ({info['rule']}): "
    if "members" not in info:
        return said + (
            f"test MSE {info['test_mse']:.4f} standardised, lookback {info['lookback']}, "
            f"{info['calibration_windows']} calibration windows{notes}"
        )
    loss, members = info["rolling_mase"]["combination"], info["members"]
    tried = "tried nowhere" if loss is None else f"MASE {loss:.3f} at {info['origins']} rolling origins"
    weights = ", ".join(f"{name} {members[name]:.2f}" for name in sorted(members, key=lambda name: -members[name]))
    return f"{said}{tried}; {weights}{notes}"


def load_panel(
    data: str,
    time: str | None,
    series: str | None,
    target: Sequence[str] | None,
    fill: str | None,
    drop: Sequence[str] | None,
    *,
    quiet: bool,
    **written: Any,
) -> Any:
    """The panel that a command's data options describe, after a line on what was read.

    Args:
        data: as `forecheck.load` takes it, as the next five.
        time: likewise.
        series: likewise.
        target: likewise.
        fill: likewise.
        drop: likewise.
        quiet: say it only if something was decided without being asked.
        written: header, decimal, thousands, delimiter and skip of `forecheck.load`.
    """
    from forecheck.data.load import load

    panel = load(data, time=time, series=series, target=target or None, fill=fill, drop=tuple(drop or ()), **written)
    if panel.reading.notes or not quiet:
        said = f"forecheck: {panel.name}: {panel.described}"
        typer.echo("".join(each if each.isprintable() else "?" for each in said), err=True)
    return panel


def check_writable(*paths: Path | str | None, reads: Sequence[str] = (), table: Path | None = None) -> None:
    """Fail before the work, not after it, if an output cannot be written.

    Args:
        paths: outputs; `-` is standard output.
        reads: data that are read, which an output must not replace.
        table: an output that is a table.

    Raises:
        UsageError: as `forecheck.outputs.check_output` and `forecheck.data.tabular.check_format`; or if two outputs are
            one file, or an output is the data.
    """
    if table is not None:
        from forecheck.data.tabular import check_format

        check_format(table)
    files = [Path(path) for path in (table, *paths) if path not in (None, "-")]
    for path in files:
        check_output(path)
    for number, path in enumerate(files):
        if path.exists() and not path.is_file():  # a device takes any number
            continue
        if any(path.resolve() == other.resolve() for other in files[:number]):
            raise UsageError(f"two outputs are to be written to {path}", "Give each a name of its own.")
        if any(_is_file(each) and path.resolve() == Path(each).resolve() for each in reads):
            raise UsageError(f"the output {path} would replace the data", "Name another file.")


def check_mlflow(uri: str | None) -> None:
    """Fail before the work if nothing can be logged after it.

    Raises:
        UsageError: as `forecheck.reports.tracking.open_client`.
    """
    if uri is not None:
        from forecheck.reports.tracking import open_client

        open_client(uri)


def log_to(report: Any, mlflow: str | None) -> None:
    """Log a report where that was asked for."""
    if mlflow is not None:
        say(f"logged to MLflow as run {report.to_mlflow(mlflow)}", err=True)


def _is_file(data: str) -> bool:
    try:
        return Path(data).is_file()
    except OSError:  # a name that is too long
        return False


def write_report(
    report: Any, json: str | None, html: Path | None, markdown: Path | None, verbose: bool | None = None
) -> None:
    """Print a report, and write the forms that were asked for; JSON on standard output stands alone.

    Where `verbose` is False, the last line says how to get the rest; None is for what is printed in one way only.

    Args:
        report: what a verb returned.
        json: path of the JSON form, `-` for standard output; None for none.
        html: path of the HTML form; None for none.
        markdown: path of the Markdown form; None for none.
        verbose: whether everything is printed, see above.
    """
    from rich.console import Console

    if json == "-":
        put(report.to_json())
    else:
        console = Console()
        console.print(report.to_rich(console.width, bool(verbose)))
        if verbose is False:
            say("Every finding and arm: --verbose" + ("" if html else ", or as a page: --html report.html"))
    if json not in (None, "-"):
        report.to_json(Path(json))
    for file, write in ((html, report.to_html), (markdown, report.to_markdown)):
        if file is not None:
            write(file)
    for path in (None if json == "-" else json, html, markdown):
        if path is not None:
            say(f"wrote {path}", err=True)
