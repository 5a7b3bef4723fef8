"""A detection: a table of rows, a report, and the forms they can take."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from forecheck.data.tabular import Columns
from forecheck.errors import printable
from forecheck.outputs import write_output
from forecheck.reports import detection_html, detection_tables, text
from forecheck.reports.plain import dumps, plain, printable_texts
from forecheck.reports.text import clean

_ROWS = 20
"""Shown in a notebook."""


class Detection(Columns):
    """What a detector says of rows, and how far it can be trusted.

    Args:
        columns: `unique_id`, `ds`, `y`, `yhat`, `score`, `p_value`, `alarm` and `segment`, stream by stream. A segment
            is named by the time of its first alarm; what is masked is missing.
        data: the report, as JSON types: `streams`, `segments`, `detectors`, `attention`, `labelled`, `notes`.
    """

    def __init__(self, columns: dict[str, Any], data: Mapping[str, Any]) -> None:
        self.columns = columns
        self.data: dict[str, Any] = plain(data)

    @property
    def sentence(self) -> str:
        """How many alarms there are, and how many chance would raise."""
        return detection_tables.sentence(self.data)

    def __repr__(self) -> str:
        return printable(f"<Detection {self.data['model']['model']}: {self.sentence}>")

    def __str__(self) -> str:
        return printable(self.to_text().rstrip("\n"))

    def _repr_html_(self) -> str:
        """The worst segments, for a notebook."""
        table = detection_tables.segments_table(self.data)
        head = "".join(f"<th>{escape(column.name)}</th>" for column in table.columns)
        rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in table.rows[:_ROWS])
        return f"<table><caption>{escape(repr(self))}</caption><tr>{head}</tr>{rows}</table>"

    def to_dict(self) -> dict[str, Any]:
        """A copy of the report, of JSON types only."""
        return copy.deepcopy(self.data)

    def to_json(self, path: str | Path | None = None) -> str:
        """The report as strict JSON. Also written to `path`, if given."""
        return _written(dumps(self.data), path)

    def to_html(self, path: str | Path | None = None) -> str:
        """One offline HTML page: the series with band and alarms, and the worst segments. Also written to `path`."""
        return _written(detection_html.render(self.data), path)

    def to_text(self, width: int = 100) -> str:
        """Plain text without colour."""
        return text.render([self.to_rich(width)], width)

    def to_rich(self, width: int = 100, verbose: bool = False) -> RenderableType:
        """For a console of rich."""
        data = printable_texts(self.data)
        blocks: list[RenderableType] = [Text(clean(self.sentence), style="bold")]
        blocks += [Text(clean(said)) for said in detection_tables.remarks(data)]
        for table in detection_tables.tables_of(data, verbose):
            if table.rows:
                blocks += text.titled(table, width)
        return Group(*blocks)


def _written(content: str, path: str | Path | None) -> str:
    if path is not None:
        write_output(path, content.encode())
    return content
