"""The report of a reproduction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from rich.console import RenderableType

from forecheck.papers.reports import html, markdown, outcomes, text
from forecheck.reports.report import Record, Report


class Reproduction(Report):
    """What became of the claims of papers.

    Args:
        data: the dict that `to_dict` gives and `to_json` writes; copied, and made strict JSON.

    Raises:
        UsageError: if `data` is of another kind or of a newer schema than this version reads.
    """

    KINDS: ClassVar[tuple[str, ...]] = ("reproduction",)

    @property
    def verdict(self) -> Record:
        """Sentence and counts; the outcome is the verdict of a claim that stands alone."""
        return Record(outcomes.verdict(self.data))

    @property
    def papers(self) -> list[Record]:
        """The papers with their title, source and claims."""
        return [Record(paper) for paper in outcomes.papers(self.data)]

    @property
    def claims(self) -> list[Record]:
        """Every claim with its verdict, what was found, and our number beside the published one."""
        return [Record(claim) for claim in outcomes.claims(self.data)]

    @property
    def _many(self) -> bool:
        return True

    def _markdown(self) -> str:
        return markdown.render(self.data)

    def _pages(self, name: str | None) -> dict[str, str]:
        """Several papers have an index, and a page each beside it: `all.html` and `all-samovar.html`."""
        return html.pages(self.data, name)

    def _blocks(self, width: int, verbose: bool) -> Iterator[RenderableType]:
        return text.blocks(self.data, width)
