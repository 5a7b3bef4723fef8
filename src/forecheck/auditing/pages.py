"""The documentation of every check, made from its class."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from forecheck.auditing.catalogue import CHECKS
from forecheck.auditing.check import FAMILIES, Check
from forecheck.auditing.harness import BY_CONSTRUCTION

_ABOUT = {
    "harness": "Does the comparison itself keep the rules? What data and models can break is measured.",
    "references": "Does the forecaster beat what costs nothing?",
    "post-hoc": "What do these checkpoints rely on? Attention is edited after training.",
    "retrained": "What does the architecture need? Attention is edited before training.",
    "positions": "Does order reach the forecast, and by which way?",
    "heads": "Which heads matter?",
    "representation": "What do the layers do with the tokens?",
    "data": "What do the series themselves allow?",
    "black-box": "What does any model show from outside, attention or not?",
}


def describe_check(check: Check) -> dict[str, Any]:
    """A check as JSON types."""
    return {
        "code": check.code,
        "family": check.family,
        "title": check.title,
        "question": question(check),
        "about": check.about,
        "severity": check.severity,
        "slow": check.slow,
        "needs": needs(check),
        "advice": check.advice,
        "source": check.source,
    }


def question(check: Check) -> str:
    """The first sentence of its documentation."""
    return check.about.split("\n", 1)[0]


def needs(check: Check) -> list[str]:
    """What it cannot do without."""
    found = []
    if check.white_box:
        found.append("attention that an adapter reaches")
    if check.retrains:
        found.append("a forecaster that can be trained here")
    return found


def page(check: Check) -> str:
    """Its page, in Markdown."""
    run = f"with `--{check.option}`, or when selected by its code" if check.option else "always"
    if check.slow:
        run = "in the budgets standard and full, or when selected by its code"
    facts = [
        f"- family: {check.family}",
        f"- severity: {check.severity}",
        f"- run: {run}",
    ]
    if needs(check):
        facts.append(f"- needs: {'; '.join(needs(check))}; else the finding is *not applicable* and says why")
    parts = [f"# {check.code}: {check.title}", check.about, "\n".join(facts)]
    if check.advice:
        parts.append(f"**What to do.** {check.advice}")
    if check.source:
        parts.append(f"Source: {check.source}.")
    parts.append(f"Leave it out with `--ignore {check.code}`; [all checks](README.md).")
    return "\n\n".join(parts) + "\n"


def index() -> str:
    """The page of all checks, in Markdown."""
    about = (
        "Every finding of an audit has the code of its check. `forecheck checks` lists them, `forecheck checks FC301` "
        "explains one; `--select` and `--ignore` take codes or their beginnings."
    )
    lines = ["# Checks", "", about]
    for prefix, family in FAMILIES.items():
        checks = [check for check in CHECKS.values() if check.family == family]
        if not checks:
            continue
        lines += ["", f"## {prefix}xx: {family}", "", _ABOUT[family], ""]
        lines += ["| code | check | question |", "|---|---|---|"]
        lines += [f"| [{check.code}]({check.code}.md) | {check.title} | {question(check)} |" for check in checks]
    lines += ["", "## Removed", "", "What no data, model or option can break is a line of the protocol instead:", ""]
    lines += [f"- {code}: {rule}" for code, rule in BY_CONSTRUCTION.items()]
    return "\n".join(lines) + "\n"


def pages() -> dict[str, str]:
    """Every page by file name."""
    return {"README.md": index()} | {f"{check.code}.md": page(check) for check in CHECKS.values()}


def write(folder: Path) -> None:
    """Write every page into a folder, and take out pages of checks that are no more."""
    folder.mkdir(parents=True, exist_ok=True)
    made = pages()
    for old in folder.glob("*.md"):
        if old.name not in made:
            old.unlink()
    for name, text in made.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":  # python -m forecheck.auditing.pages docs/checks
    write(Path(sys.argv[1]))
