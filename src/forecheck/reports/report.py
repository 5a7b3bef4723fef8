"""A report: one plain dict, and the forms it can take."""

from __future__ import annotations

import copy
import html as stdlib_html
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from rich.console import Console, ConsoleOptions, Group, RenderableType

from forecheck.errors import DataError, ForecheckError, UsageError, printable
from forecheck.outputs import write_output
from forecheck.reports import brief, html, markdown, survey, survey_html, survey_markdown, survey_text, text
from forecheck.reports.content import verdict
from forecheck.reports.plain import dumps, plain, printable_texts

SCHEMA = 1
_ANEW = "Fetch it again, or run the command that made it again."


class Record(Mapping[str, Any]):
    """A part of a report whose keys can be read as attributes: `finding.code`, `verdict.linear.name`."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._data:
            raise AttributeError(f"no {name!r} here; there is {', '.join(self._data)}")
        return self[name]

    def __getitem__(self, key: str) -> Any:
        value = self._data[key]
        return Record(value) if isinstance(value, dict) else value

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._data]

    def __str__(self) -> str:
        """The sentence of a verdict, the head of a finding, else the keys and values."""
        if "sentence" in self._data:
            return str(self._data["sentence"])
        if "code" in self._data:
            return f"{self._data['code']} {self._data.get('title')}: {self._data.get('outcome')}"
        return repr(self)

    def __repr__(self) -> str:
        shown = ", ".join(f"{key}={_short(value)}" for key, value in list(self._data.items())[:_SHOWN])
        more = ", ..." if len(self._data) > _SHOWN else ""
        return f"{type(self).__name__}({shown}{more})"


class Finding(Record):
    """A finding of an audit: `code`, `title`, `outcome`, `effect`, `interval`, `meaning`, `advice`."""


_SHOWN = 8


def _short(value: Any) -> str:
    """A value in at most forty characters."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


class Report:
    """What an audit, a survey of audits or a backtest found; of papers, see `forecheck.Reproduction`.

    Args:
        data: the dict that `to_dict` gives and `to_json` writes; copied, and made strict JSON.

    Raises:
        UsageError: if `data` is of another kind or of a newer schema than this version reads.
    """

    KINDS: ClassVar[tuple[str, ...]] = ("audit", "backtest", "survey")
    _file: Path | None = None

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data: dict[str, Any] = plain(data)
        if self.data.get("kind") not in self.KINDS:
            *others, last = self.KINDS
            known = f"{', '.join(others)} or {last}" if others else last
            raise UsageError(
                f"a {type(self).__name__} is of the kind {known}, got {self.data.get('kind')!r}",
                "Read a reproduction with forecheck.Reproduction, and any other report with forecheck.Report.",
            )
        if self.data.get("schema") != SCHEMA:
            raise UsageError(
                f"this report has schema {self.data.get('schema')!r}, this version of forecheck reads {SCHEMA}",
                "Install the version of forecheck that made it, or run it again.",
            )

    @classmethod
    def load(cls, path: str | Path) -> Report:
        """The report in a file that `to_json` wrote.

        Raises:
            DataError: if the file cannot be read, or holds no JSON. What else is wrong in it is reported, as the same
                error, by the first form that cannot be made of it.
            UsageError: if it is a report of another kind or of a newer schema.
        """
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise DataError(f"cannot read the report {path}: {error}", _ANEW) from error
        if not isinstance(data, dict):
            raise DataError(f"{path} holds no report, but {type(data).__name__}", _ANEW)
        report = cls(data)
        report._file = Path(path)
        return report

    @property
    def verdict(self) -> Record:
        """Outcome, sentence, effect, interval, margin, advice. Of a backtest the outcome is the winner's name.

        Of a survey: sentence and counts.
        """
        return Record((survey.verdict if self._many else verdict)(self.data))

    @property
    def findings(self) -> list[Finding]:
        """Every finding of an audit with its code, outcome, effect and meaning."""
        return [Finding(finding) for finding in self.data.get("findings", [])]

    @property
    def cells(self) -> list[Record]:
        """Every cell of a survey with its verdict, and the audit's own `report`; `Report(cell.report)` reads it."""
        return [Record(cell) for cell in self.data.get("cells") or []]

    @property
    def kind(self) -> str:
        """What it is a report of: audit, survey or backtest."""
        return str(self.data["kind"])

    @property
    def _many(self) -> bool:
        """Whether it holds many reports, so that their verdicts do not fit in one."""
        return self.kind == "survey"

    def to_dict(self) -> dict[str, Any]:
        """A copy of the whole report, of JSON types only."""
        return copy.deepcopy(self.data)

    def to_json(self, path: str | Path | None = None) -> str:
        """Strict JSON: no NaN, keys in their order, a newline at the end. Also written to `path`, if given."""
        return written(dumps(self.data), path)

    def to_markdown(self, path: str | Path | None = None) -> str:
        """A Markdown page, for a pull request or a wiki. Also written to `path`, if given."""
        with self._from_others():
            return written(self._markdown(), path)

    def to_mlflow(self, uri: str, experiment: str = "forecheck") -> str:
        """Log it as a run of MLflow (extra `mlflow`): parameters, numbers, and the report as JSON and as a page.

        Args:
            uri: of a tracking server (`http://localhost:5000`), a database or a folder.
            experiment: is made if it is not there.

        Returns:
            The run's identifier.

        Raises:
            UsageError: if MLflow is not installed, or no server answers.
            WriteError: if the server refuses.
        """
        from forecheck.reports.tracking import log_report

        files = {"report.json": self.to_json(), "report.html": self.to_html()}
        return log_report(self.data, self.verdict, files, uri, experiment)

    def _markdown(self) -> str:
        return (survey_markdown if self._many else markdown).render(self.data)

    def to_html(self, path: str | Path | None = None) -> str:
        """One offline HTML page with its plots. Also written to `path`, if given.

        A survey has a table there, and a page an audit beside it: `all.html` and `all-patchtst-ETTh1.html`.
        """
        with self._from_others():
            pages = self._pages(None if path is None else Path(path).name)
        if path is not None and Path(path).exists() and not Path(path).is_file():  # nothing is beside a device
            pages = dict([next(iter(pages.items()))])
        for name, page in pages.items():
            written(page, path and Path(path).with_name(name))
        return next(iter(pages.values()))

    def _pages(self, name: str | None) -> dict[str, str]:
        """HTML pages by file name, the first one's `name`."""
        return survey_html.pages(self.data, name) if self._many else {name or "": html.render(self.data)}

    def to_text(self, width: int = 100, verbose: bool = False) -> str:
        """Plain text without colour, lines of `width` characters at most.

        Thirty lines that say what matters, at a width of 100; with `verbose` every finding, arm and setting.
        """
        with self._from_others():
            return text.render(self._blocks(width, verbose), width)

    def to_rich(self, width: int = 100, verbose: bool = False) -> RenderableType:
        """The same for a console of rich, in colour: `Console().print(report.to_rich(verbose=True))`."""
        with self._from_others():
            return Group(*self._blocks(width, verbose))

    @contextmanager
    def _from_others(self) -> Iterator[None]:
        """Of a report that was read from a file, anything may be of another type: that is no fault of ours."""
        try:
            yield
        except ForecheckError:
            raise
        except Exception as error:
            if self._file is None:
                raise
            what = f"{type(error).__name__}: {error}"
            raise DataError(f"{self._file} is not as forecheck writes reports: {what}", _ANEW) from error

    def __str__(self) -> str:
        """Thirty lines that say what matters; of a report on many things, how they came out."""
        return printable(str(self.verdict)) if self._many else self.to_text().rstrip("\n")

    def __repr__(self) -> str:
        with self._from_others():
            if self._many:
                return printable(f"<{type(self).__name__} {self.kind}: {self.verdict}>")
            protocol = self.data.get("protocol", {})
            return printable(f"<Report {self.data['kind']} {protocol.get('data')}: {self.verdict.outcome}>")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        yield from self._blocks(options.max_width, verbose=False)

    def _blocks(self, width: int, verbose: bool) -> Iterator[RenderableType]:
        shown = printable_texts(self.data)
        if self._many:
            return survey_text.blocks(shown, width, verbose)
        return (text if verbose else brief).blocks(shown, width)

    def _repr_html_(self) -> str:
        """The page in a frame of its own, so that neither its style nor the notebook's reaches the other."""
        page = stdlib_html.escape(self.to_html(), quote=True)
        return (
            f'<iframe srcdoc="{page}" title="forecheck report" sandbox="allow-scripts" '
            'style="width:100%;height:45rem;border:0;resize:vertical;overflow:auto"></iframe>'
        )


def written(content: str, path: str | Path | None) -> str:
    """The content, written to `path` if there is one."""
    if path is not None:
        write_output(path, content.encode("utf-8"))
    return content
