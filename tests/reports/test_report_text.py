import io
import re
from html import unescape

import pytest
import report_samples
from rich.console import Console

from forecheck.auditing.harness import BY_CONSTRUCTION
from forecheck.reports import markdown, text
from forecheck.reports.report import Report


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_longer_than_the_terminal(report, width):
    assert max(map(len, report.to_text(width, verbose=True).splitlines())) <= width


def test_the_verdict_comes_first_and_the_facts_are_there(audit):
    shown = Report(audit).to_text(120, verbose=True)
    assert shown.startswith("Attention makes no difference: patchtst on ETTh1, lookback 336, horizon 96")
    assert "FC301  attention is relied on: identity   helps  (warning)\n       Replacing every" in shown
    assert re.search(r"identity +0\.3815 +0\.4008 +\+0\.4 % \[-0\.3, \+1\.1\]", shown)
    assert re.search(r"seasonal naive .* worse ", shown)
    assert re.search(r"train +2016-07-01 00:00 +2017-06-25 23:00 +8,640 +8,209", shown)
    assert "why" not in shown


def test_an_error_comes_before_other_findings(audit):
    shown = Report(audit).to_text(100, verbose=True)
    assert shown.index("FC107") < shown.index("FC401") < shown.index("FC301") < shown.index("FC201")


def test_every_renderer_shows_what_holds_by_construction(audit):
    line = "; ".join(BY_CONSTRUCTION.values())
    report = Report(audit | {"protocol": audit["protocol"] | {"harness": line}})
    renderings = report.to_text(200, verbose=True), report.to_markdown(), unescape(report.to_html())
    for shown in renderings:
        assert line in " ".join(shown.split())


def test_narrow_terminals_lose_columns_but_no_rows(audit):
    narrow, wide = Report(audit).to_text(80, verbose=True), Report(audit).to_text(160, verbose=True)
    assert "validation MSE" in wide
    assert "validation MSE" not in narrow
    for arm in audit["arms"]:
        assert re.search(rf"^{arm['label']} +\d", narrow, re.MULTILINE)


def test_remedies_stand_side_by_side(remedied):
    wide = Report(remedied).to_text(220, verbose=True)
    assert re.search(r"none +0\.3800 +\S +no difference \+0\.4 % \[-0\.4, \+1\.2\] +\S +undecided", wide)
    assert re.search(r"score-bias +0\.3720 +better -2\.1 % .* grows \+3\.0 % \[\+2\.2, \+3\.8\] +better -2\.1 %", wide)
    assert "against rlinear" in wide
    assert "why undecided" not in wide
    rows = [row | {"growth": row["growth"] | {"why": "too few windows"}} for row in remedied["remedies"]["rows"]]
    undecided = remedied | {"remedies": remedied["remedies"] | {"rows": rows}}
    assert Report(undecided).to_text(300, verbose=True).count("too few windows") == 3
    assert "retrained with attention as the identity" in wide
    assert "| remedy | MSE | against no remedy | attention's contribution | grows? |" in Report(remedied).to_markdown()


def test_a_backtest_shows_models_and_comparisons(backtest):
    shown = Report(backtest).to_text(100, verbose=True)
    assert shown.startswith("Forecast with rlinear:")
    assert re.search(r"patchtst against rlinear +-0\.2 % \[-1\.0, \+1\.2\] +no difference", shown)
    assert shown.index("patchtst  ") < shown.index("seasonal naive  ")


def test_colour_only_where_the_console_has_it(audit, monkeypatch):
    def printed(**options):
        console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system="standard", **options)
        console.print(Report(audit))
        return console.file.getvalue()

    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[34m" in printed()
    assert "\x1b[34m" not in printed(no_color=True)
    assert "\x1b" not in Report(audit).to_text()


def test_what_does_not_apply_and_what_was_not_run_take_one_line_each(large):
    shown, page = Report(large).to_text(200, verbose=True), Report(large).to_markdown()
    why = "the model has no positional embedding that the adapter can reach"
    line = f"Not applicable: FC305 positions are used: {why}"
    assert line in shown.splitlines()
    assert f"- {line}" in page.splitlines()
    skipped = "Not run: FC611 pairs of heads, FC712 rank over training (slow: run with --budget full); "
    skipped += "FC104 scaler leak (deselected)."
    assert skipped in shown.splitlines()
    assert skipped in page.splitlines()


def test_findings_stand_by_family_with_their_tables(large):
    shown, page = Report(large).to_text(120, verbose=True), Report(large).to_markdown()
    titles = [
        "Harness  whether",
        "Retrained arms  what",
        "Positions and patches  whether",
        "Heads  which",
        "Black box  what",
    ]
    assert [shown.index(title) for title in titles] == sorted(shown.index(title) for title in titles)
    assert re.search(r"^ {7}16 +0\.3801 +81,728$", shown, re.MULTILINE)
    assert "| 16 | 0.3801 | 81,728 |" in page
    assert "### Representation: what the layers do with tokens" in page
    for text_ in (shown, page):
        assert "encoder.2.attention" in text_


def test_names_are_neither_markup_nor_control_codes():
    data = report_samples.audit(layers=1, heads=1, tokens=2, examples=1, name="[red]x[/red]\x1b[2J", channel=":smile:")
    shown = Report(data).to_text(120, verbose=True)
    assert "[red]x[/red]" in shown
    assert ":smile:" in shown
    assert "\x1b" not in shown


def test_markdown_has_the_same_facts_in_the_same_order(audit):
    page = Report(audit).to_markdown()
    assert page.startswith("# Attention makes no difference: patchtst on ETTh1")
    parts = ["## Findings", "FC401", "## All arms", "## Protocol", "## Test MSE along the horizon", "## Environment"]
    assert [page.index(part) for part in parts] == sorted(page.index(part) for part in parts)
    assert "| identity | 0.3815 | 0.4008 | +0.4 % [-0.3, +1.1] | no difference |" in page
    assert "| train | 2016-07-01 00:00 | 2017-06-25 23:00 | 8,640 | 8,209 |" in page


def test_every_row_of_a_markdown_table_has_the_cells_of_its_head(report):
    for table in re.findall(r"(?:^\|.*\|\n)+", report.to_markdown(), re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1


@pytest.mark.parametrize(
    ("given", "escaped"),
    [
        ("+0.4 % [-0.3, +1.1]", "+0.4 % [-0.3, +1.1]"),
        ("a|b", "a\\|b"),
        ("my_col_name", "my_col_name"),
        ("_x_", "\\_x\\_"),
        ("<script>", "&lt;script&gt;"),
        ("[a](b)", "[a\\](b)"),
        ("two\nlines", "two lines"),
    ],
)
def test_markdown_shows_names_as_they_are(given, escaped):
    assert markdown.escape(given) == escaped


@pytest.mark.parametrize(
    ("given", "escaped"),
    [
        ("1. a", "1\\. a"),
        ("- a", "\\- a"),
        ("## a", "\\## a"),
        ("3.11.7", "3.11.7"),
        ("-0.3 %", "-0.3 %"),
        ("---", "\\---"),
    ],
)
def test_a_paragraph_starts_no_list_and_no_heading(given, escaped):
    assert markdown.paragraph(given) == escaped


@pytest.mark.parametrize("kind", ["audit", "backtest"])
def test_a_nearly_empty_report_is_rendered(kind):
    bare = Report({"schema": 1, "kind": kind, "forecheck": "0.1.0", "created": None, "protocol": {"data": "x"}})
    assert "x" in bare.to_text(80, verbose=True)
    assert bare.to_markdown().startswith("#")
    assert "<h1" in bare.to_html()
    assert list(text.blocks(bare.data, 80))
