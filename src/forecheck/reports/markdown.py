"""A report as a Markdown page, in the order of the HTML page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from forecheck.reports import content, headline, tables


def render(data: Mapping[str, Any]) -> str:
    """GitHub's Markdown: the verdict as the title, then findings and tables."""
    return "\n\n".join(block for block in _blocks(data) if block) + "\n"


def escape(value: Any) -> str:
    r"""Text that Markdown shows as it is, on one line: `a*b` is `a\*b`, `<` is `&lt;`; brackets in intervals stay."""
    text = " ".join("".join(sign if sign.isprintable() else " " for sign in str(value)).split())
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*|~])", r"\\\1", text)
    text = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", text)  # within a word it is plain already
    return re.sub(r"\](?=[(:\[])", r"\\]", text)  # only then would brackets make a link


def paragraph(value: Any) -> str:
    """Text at the start of a line, where a list, a heading or a rule could begin."""
    return re.sub(r"^(\d*)([#+=.)-])(?=[ #+=-]|$)", r"\1\\\2", escape(value))


def _blocks(data: Mapping[str, Any]) -> Iterator[str]:
    verdict = content.verdict(data)
    yield f"# {escape(verdict.get('sentence') or content.where(data))}"
    if verdict.get("advice"):
        yield f"**What to do:** {escape(verdict['advice'])}"
    for said in headline.remarks(data):
        yield paragraph(said)
    keys = content.keys(data)
    columns = [tables.Column(""), tables.Column("", right=True), tables.Column(""), tables.Column("")]
    rows = [[key.label, f"{key.value} {key.interval}".strip(), _and(key.outcome, key.why), key.detail] for key in keys]
    yield table(tables.Table("", columns, [tables.Group("", rows)]))
    yield from _section(headline.ladder_table(data))
    if data.get("findings"):
        yield "## Findings"
    for subject in content.subjects(data):
        yield f"### {escape(subject.title)}" + (f": {escape(subject.about)}" if subject.about else "")
        for finding in subject.applicable:
            yield _finding(finding)
            yield table(tables.finding_table(finding))
        yield "\n".join(f"- Not applicable: {escape(content.brief(each))}" for each in subject.not_applicable)
    yield paragraph(content.skipped(data))
    audit = data["kind"] == "audit"
    for shown in (
        [tables.remedies_table(data), tables.arms_table(data, tables.without_heads(data))]
        if audit
        else [tables.models_table(data), tables.pairs_table(data)]
    ):
        yield from _section(shown)
    yield "## Protocol"
    yield table(tables.borders_table(data))
    yield facts(content.protocol_facts(data))
    yield from _section(headline.search_table(data))
    yield table(tables.sites_table(data))
    yield from _section(tables.horizon_table(data))
    yield "## Environment"
    yield facts(content.environment_facts(data))


def _and(outcome: str, why: str) -> str:
    return f"{outcome}: {why}" if outcome and why else outcome or why


def _finding(finding: Mapping[str, Any]) -> str:
    outcome = content.outcome_word(finding.get("outcome"), finding.get("family"))
    severity = finding.get("severity")
    marks = outcome if severity in {None, "info"} else f"{outcome}, {severity}"
    lines = [f"**{escape(finding.get('code'))} {escape(finding.get('title'))}** ({escape(marks)})"]
    lines += [paragraph(finding[name]) for name in ("meaning", "why") if finding.get(name)]
    if finding.get("advice"):
        lines.append(f"What to do: {escape(finding['advice'])}")
    return "  \n".join(lines)


def _section(given: tables.Table) -> Iterator[str]:
    if given.rows:
        yield f"## {escape(given.caption)}"
        yield table(given)
        yield paragraph(given.note)


def table(given: tables.Table) -> str:
    """A table of GitHub's Markdown; nothing if it has no rows."""
    if not given.rows:
        return ""
    lines = [
        _row([column.name for column in given.columns]),
        "|" + "|".join("---:" if column.right else "---" for column in given.columns) + "|",
    ]
    for group in given.groups:
        if group.title:
            lines.append(_row([group.title, *("" for _ in given.columns[1:])]).replace(group.title, f"*{group.title}*"))
        lines += [_row(row) for row in group.rows]
    return "\n".join(lines)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(escape(cell) for cell in cells)} |"


def facts(given: list[tuple[str, str]]) -> str:
    """Names and values as a list."""
    return "\n".join(f"- {escape(name)}: {escape(value)}" for name, value in given)
