"""Surveys in the terminal, as Markdown and as HTML pages."""

import json
import re

import pytest
import survey_samples as samples
from test_report_html import Page

from forecheck.auditing.survey import Cell, assemble
from forecheck.reports import survey
from forecheck.reports.report import Report

PROBE = """<!doctype html><meta charset="utf-8"><body style="margin:0">
<iframe id="frame" src="report.html" style="border:0;width:%(width)dpx;height:900px"></iframe>
<script>
document.getElementById("frame").onload = function () {
  var frame = this, page = frame.contentDocument, said = {};
  said.scroll = page.documentElement.scrollWidth;
  said.paper = frame.contentWindow.getComputedStyle(page.body).backgroundColor;
  said.cells = Array.from(page.querySelectorAll("table.survey td")).filter(function (each) {
    return each.clientWidth > 50 && each.scrollWidth <= each.clientWidth + 1;
  }).length;
  said.colours = Array.from(page.querySelectorAll(".worth, .fact .chip, .fact .of, .reason")).map(function (each) {
    return frame.contentWindow.getComputedStyle(each).color;
  });
  frame.onload = function () {
    said.next = frame.contentDocument.getElementById("verdict").textContent;
    var out = document.createElement("pre");
    out.id = "answer";
    out.textContent = JSON.stringify(said);
    document.body.appendChild(out);
  };
  page.querySelector("table.survey a").click();
};
</script>"""


@pytest.fixture(scope="module")
def full():
    return Report(samples.full())


def test_counts_in_a_sentence(full):
    said = "Attention is worth it in 1 of 12 cells, is not in 4, undecided in 2 (1 cannot be run, 1 failed, 3 not run)."
    assert full.verdict.sentence == said
    assert repr(full) == f"<Report survey: {said}>"
    assert full.verdict.counts == {
        "cells": 12, "yes": 1, "not": 4, "undecided": 2,
        "not applicable": 0, "cannot be run": 1, "failed": 1, "not run": 3,
    }  # fmt: skip
    assert full.verdict.outcome is None
    words = "By itself attention helps in 1, hurts in 2, makes no difference in 2, is undecided in 2. "
    words += (
        "Against the best simple reference the model is better in 3, is worse in 3, is as good in 0, is undecided in 1."
    )
    assert survey.facts_sentence(full.data) == words


def test_without_any_verdict_the_reasons_are_counted():
    cells = [Cell("a", "x", "failed", "bad luck"), Cell("a", "y", "cannot be run", "too short")]
    report = Report(assemble(["a"], ["x", "y", "z"], cells))
    assert str(report.verdict) == "No cell of 3 has a verdict: 1 cannot be run, 1 failed, 1 not run."
    for form in (report.to_text(), report.to_markdown(), Page(report.to_html()).text):
        assert "bad luck" in form
    assert survey.multiplicity(report.data) == ""


def test_chance_among_many_is_refused(full):
    reported = survey.multiplicity(full.data)
    assert "of 7 up to 0.35 may be wrong by chance on average" in reported
    assert reported.endswith("* marks what holds for attention among all cells at once (Holm, 4 of 7).")
    plain = assemble(["patchtst"], ["ETTh1"], [samples.done("helps")])
    assert survey.multiplicity(plain).endswith("They are not adjusted for being many.")
    assert "*" not in Report(plain).to_text()


def test_a_survey_reads_back_and_has_its_audits(full):
    assert Report(json.loads(full.to_json())).data == full.data
    single = Report(full.cells[0].report)
    assert (single.kind, single.verdict.worth) == ("audit", "yes")
    assert [cell.state for cell in full.cells].count("done") == 7


def test_the_table_of_four_sets_fits_a_hundred_characters(full):
    lines = full.to_text(100).splitlines()
    assert max(map(len, lines)) <= 100
    [head] = [line for line in lines if re.match(r" +ETTh1 +ETTh2 +weather +exchange_rate$", line)]
    assert re.match(r"patchtst +yes +not for its +no +undecided$", lines[lines.index(head) + 1])
    shown = full.to_text(100)
    assert re.search(r"▲ \+4\.6 .*= \+0\.1 .*▼ -10\.4 .*\? \+1\.4", shown)
    assert re.search(r"\[\+3\.2, \+6\.0\]\* +\[-1\.3, \+1\.5\] +\[-11\.8, -9\.0\]\* +\[0\.0, \+2\.8\]", shown)
    assert "itransformer on ETTh2: failed: itransformer, seed 1: FloatingPointError: the loss is not finite." in shown


def test_short_numbers_stay_beside_their_intervals():
    cells = [samples.done("helps", "patchtst", name) for name in samples.SETS]
    shown = Report(assemble(["patchtst"], samples.SETS, cells)).to_text(100)
    assert shown.count("▲ +4.6 [+3.2, +6.0]") == 4


@pytest.mark.parametrize("width", [40, 60, 80, 100, 150])
@pytest.mark.parametrize("make", [samples.full, samples.hostile])
def test_no_line_is_longer_than_the_terminal(make, width):
    shown = Report(make()).to_text(width)
    assert max(map(len, shown.splitlines())) <= width
    assert "\x07" not in shown


def test_narrow_terminals_have_blocks_of_sets(full):
    lines = full.to_text(60).splitlines()
    assert [line.split() for line in lines if re.match(r" +(ETTh1|weather)", line)] == [
        ["ETTh1", "ETTh2"],
        ["weather", "exchange_rate"],
    ]


def test_verbose_has_every_report(full):
    assert "FC401" not in full.to_text()
    assert full.to_text(verbose=True).count("retrained: identity") == 7


def test_markdown_has_a_row_a_model(full):
    page = full.to_markdown()
    assert page.startswith("# Attention is worth it in 1 of 12 cells")
    assert "| model | ETTh1 | ETTh2 | weather | exchange\\_rate |" in page or "| exchange_rate |" in page
    cell = "**yes**<br>attention ▲ +4.6 % [+3.2, +6.0]\\*<br>nlinear ▲ +6.2 % [+4.2, +8.2]"
    assert f"| patchtst | {cell} |" in page
    assert "| samformer | **no**" in page
    assert page.count("not run |") == 3
    for made in (page, Report(samples.hostile()).to_markdown()):
        assert "<script" not in made
        for table in re.findall(r"(?:^\|.*\|\n)+", made, re.MULTILINE):
            assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1


def test_every_report_lies_beside_the_survey_and_is_linked(full, tmp_path):
    page = full.to_html(tmp_path / "out #1.html")
    done = [f"{cell.model}-{cell.set}" for cell in full.cells if cell.state == "done"]
    assert {path.name for path in tmp_path.iterdir()} == {"out #1.html", *(f"out #1-{name}.html" for name in done)}
    links = {value for tag, name, value in Page(page).attributes if (tag, name) == ("a", "href")}
    assert links == {f"out%20%231-{name}.html" for name in done}
    single = (tmp_path / "out #1-patchtst-ETTh2.html").read_text()
    assert "patchtst on ETTh2" in Page(single).text


def test_names_that_differ_in_signs_only_have_pages_of_their_own(tmp_path):
    cells = [samples.done("helps", model, "ETTh1") for model in ("a b", "a/b", "A-B")]
    Report(assemble([cell.model for cell in cells], ["ETTh1"], cells)).to_html(tmp_path / "s.html")
    assert len({path.name.lower() for path in tmp_path.iterdir()}) == 4


def test_without_a_file_the_page_stands_alone(full):
    assert not [value for _, name, value in Page(full.to_html()).attributes if name == "href"]


@pytest.mark.parametrize("make", [samples.full, samples.hostile])
def test_pages_are_well_formed(make):
    page = Report(make()).to_html()
    parsed = Page(page)
    identifiers = [value for _, name, value in parsed.attributes if name == "id"]
    assert len(identifiers) == len(set(identifiers))
    assert parsed.tags.count("h1") == 1
    assert len(page.encode()) < 500_000
    assert page.count("<script>") == 1
    assert "alert('x')</script>" not in page


def test_everything_may_be_missing():
    report = Report({"schema": 1, "kind": "survey", "forecheck": "0.1.0"})
    for form in (report.to_text(), report.to_markdown(), Page(report.to_html()).text):
        assert "No cell of 0 has a verdict." in form
    old = Report(
        {**report.data, "models": ["a"], "sets": ["b"], "cells": [{"model": "a", "set": "b", "state": "done"}]}
    )
    for form in (old.to_text(), old.to_markdown(), Page(old.to_html()).text):
        assert "not applicable" in form


def contrast(colour, paper):
    """Of two colours as `rgb(1, 2, 3)` (Web Content Accessibility Guidelines 2.1)."""
    lights = []
    for text in (colour, paper):
        parts = [int(part) / 255 for part in re.fullmatch(r"rgb\((\d+), (\d+), (\d+)\)", text).groups()]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(lights) + 0.05) / (min(lights) + 0.05)


@pytest.mark.browser
@pytest.mark.parametrize("width", [400, 1200])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_is_read_at_every_width_and_leads_to_a_report(dump, full, width, dark):
    answer = dump(full, PROBE % {"width": width}, dark)
    assert answer["scroll"] <= width
    assert answer["cells"] == 12
    assert "patchtst on ETTh1" in answer["next"]
    assert (contrast("rgb(255, 255, 255)", answer["paper"]) > 10) == dark
    assert min(contrast(colour, answer["paper"]) for colour in answer["colours"]) >= 4.5


@pytest.mark.browser
def test_a_hostile_page_does_not_scroll_sideways(dump):
    data = samples.hostile()
    assert dump(Report(data), PROBE % {"width": 400})["scroll"] <= 400
