"""Reproductions in the terminal and as Markdown, and the list of papers."""

import io
import json
import re

import pytest
import reproduction_samples as samples
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from forecheck.errors import UsageError
from forecheck.papers.claim import Verdict
from forecheck.papers.reports import outcomes
from forecheck.papers.reports.reproduction import Reproduction
from forecheck.papers.reports.text import listing
from forecheck.papers.run import list_papers, reproduce
from forecheck.reports import numbers
from forecheck.reports.numbers import NOTHING
from forecheck.trials.store import Store


def printed(renderable, width=100, **options):
    console = Console(file=io.StringIO(), width=width, **options)
    console.print(renderable)
    return console.file.getvalue()


def bare(value):
    """The same with every number, text and list gone."""
    if isinstance(value, dict):
        return {key: bare(part) for key, part in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [bare(part) for part in value]
    return None


def test_a_report_of_papers_reads_like_its_parts():
    report = Reproduction(samples.several())
    assert [paper.name for paper in report.papers] == ["curse-of-attention", "in-context", "samovar"]
    assert [claim.id for claim in report.claims][:3] == ["gap", "E2", "depth"]
    assert report.claims[0].ours.value == -1.0213
    assert report.papers[0].claims[0]["verdict"] == report.claims[0].verdict == "confirmed"
    assert report.verdict.sentence == "6 claims confirmed, 2 refuted, 2 uneven, 2 not testable here"
    assert report.verdict.counts == report.data["counts"]
    assert report.verdict.outcome is None
    assert str(report) == report.verdict.sentence
    assert repr(report) == f"<Reproduction reproduction: {report.verdict.sentence}>"
    assert report.findings == []
    assert Reproduction(json.loads(report.to_json())).data == report.data


def test_what_reproduce_returns_is_a_report(tmp_path):
    found = reproduce(["initialisation"], ["language-models"], store=Store(tmp_path), workers=0)
    report = Reproduction(found)
    assert str(report) == "1 claim not testable here"
    assert report.verdict.outcome == "not testable here"
    shown = report.to_text(120)
    assert re.search(r"^language-models .* · not testable here$", shown, re.MULTILINE)
    assert found["papers"][0]["claims"][0]["found"] in shown  # of a claim alone the text has that too
    for form in (report.to_markdown(), report.to_html()):
        assert "7 to 8 billion parameters" in form
    [paper] = [each for each in list_papers(Store(tmp_path)) if each["name"] == "initialisation"]
    lines = printed(listing([paper])).splitlines()
    assert lines[0].startswith("initialisation  The Initialization Determines")
    assert re.search(r"^  language-models +An explicit initial .*… +· not testable here \(quick\)$", lines[-1].rstrip())
    assert re.search(r"^  heads .* not run yet$", lines[1].rstrip())


def test_the_words_are_those_of_the_papers():
    assert tuple(str(verdict) for verdict in Verdict) == outcomes.VERDICTS


@pytest.mark.parametrize(
    ("verdicts", "sentence"),
    [
        ([], "no claims"),
        (["refuted"], "1 claim refuted"),
        (["uneven", "confirmed", "confirmed"], "2 claims confirmed, 1 uneven"),
        (["strange", "not testable here"], "1 claim not testable here, 1 strange"),
    ],
)
def test_counts_in_a_sentence(verdicts, sentence):
    assert outcomes.sentence([{"verdict": verdict} for verdict in verdicts]) == sentence


def test_another_kind_is_refused():
    with pytest.raises(UsageError, match="of the kind reproduction"):
        Reproduction({"schema": 1, "kind": "poem"})


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ((1.1519995, 1.1494598, 1.1545393), ("1.152", "[1.149, 1.155]")),
        ((0.5, 0.488, 0.512), ("0.500", "[0.488, 0.512]")),
        ((-3.2, -40.0, 50.0), ("-3", "[-40, 50]")),
        ((12345.678, 12000.0, 12700.0), ("12,346", "[12,000, 12,700]")),
        ((3e-9, 1e-9, 8e-9), ("3e-09", "[1e-09, 8e-09]")),
        ((1.0, 1.0, 1.0), ("1.000", "[1.000, 1.000]")),
        ((0.2, None, 0.3), ("0.2000", f"[{NOTHING}, 0.3000]")),
        ((0.0,), ("0", "")),
        ((1.0,), ("1", "")),
        ((0.123456,), ("0.1235", "")),
        ((1234567.0,), ("1,234,567", "")),
        ((4.105e-16,), ("4.105e-16", "")),
        ((None, 1.0, 2.0), (NOTHING, "")),
        ((float("nan"),), (NOTHING, "")),
    ],
)
def test_a_number_has_the_decimals_that_its_interval_bears(given, written):
    assert numbers.estimate(*given) == written


@given(st.floats(-1e12, 1e12), st.floats(1e-9, 1e9))
def test_a_written_number_reads_back_within_its_interval(value, half):
    text, interval = numbers.estimate(value, value - half, value + half)
    read = [float(part) for part in re.sub(r",(?=\d)|[\[\]]", "", f"{text}, {interval}").split(", ")]
    exact = value - half == value + half  # as far as floats go, and then four digits do
    step = max(half / 2, (1e-3 if exact else 1e-5) * max(abs(value), half))
    assert abs(read[0] - value) <= step
    assert read[1] <= read[0] <= read[2]


def test_the_table_has_every_claim_beside_its_numbers():
    shown = Reproduction(samples.several()).to_text(140)
    assert re.search(r"^claim +published +ours \[95 % interval\] +verdict$", shown, re.MULTILINE)
    assert re.search(r"^gap  With more .* -1 +-1\.021 \[-1\.040, -1\.002\] +✓ confirmed$", shown, re.MULTILINE)
    assert re.search(r"^E2  With .* 12,346 +✗ refuted$", shown, re.MULTILINE)
    assert re.search(rf"^large  With .* {NOTHING} +{NOTHING} +· not testable here$", shown, re.MULTILINE)
    assert shown.index("curse-of-attention") < shown.index("in-context") < shown.index("samovar")
    assert shown.endswith("2 not testable here  budget quick, 2 min 3 s\n")
    assert "The gap falls" not in shown


def test_no_published_numbers_take_no_room():
    claims = [samples.claim("gap", published=""), samples.claim("E2", published="")]
    assert "published" not in Reproduction(samples.reproduction([samples.paper("x", claims)])).to_text()


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("make", [samples.one, samples.several, samples.hostile])
def test_no_line_is_longer_than_the_terminal(make, width):
    assert max(map(len, Reproduction(make()).to_text(width).splitlines())) <= width


def test_verdicts_are_coloured_where_the_console_has_colour(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    shown = printed(Reproduction(samples.one()), force_terminal=True, color_system="standard")
    assert "\x1b[32m✓ confirmed" in shown
    assert "\x1b[31m✗ refuted" in shown
    assert "\x1b" not in Reproduction(samples.one()).to_text()


@pytest.mark.parametrize("width", [50, 80, 140])
def test_the_list_has_a_line_a_claim(width):
    known = samples.several()["papers"]
    known[0]["claims"][0]["last"] = {"verdict": "uneven", "budget": "full", "found": "", "ours": None}
    lines = printed(listing(known), width).splitlines()
    assert max(map(len, lines)) <= width
    assert sum("not run yet" in line for line in lines) == 11
    assert sum("~ uneven (full)" in line for line in lines) == 1
    assert len([line for line in lines if line.strip()]) == 3 + 12 + 1  # and one paper has no claims


def test_markdown_has_a_table_a_paper_with_what_was_found():
    page = Reproduction(samples.several()).to_markdown()
    assert page.startswith("# Papers' claims tested: 6 claims confirmed, 2 refuted, 2 uneven, 2 not testable here\n")
    assert "| samovar | 3 | 1 | 1 | 1 |" in page
    assert page.count("| id | claim | verdict | found | quantity | published | ours [95 % interval] |") == 2
    row = "| gap | With more context the error of gap falls like one over n. (Theorem 3 and figure 2) | confirmed | "
    row += (
        "The gap falls with a slope of -1.02, which is what the closed form says. | slope of the gap over n on log axes"
    )
    assert f"{row} | -1 | -1.021 [-1.040, -1.002] |" in page
    assert "- The model is a reconstruction." in page
    parts = ["## Why Curse-of-attention", "Doe, Roe. arXiv 0000.00000.", "## Why Samovar", "## How it was run"]
    assert [page.index(part) for part in parts] == sorted(page.index(part) for part in parts)
    assert "- budget: quick\n- time: 2 min 3 s\n" in page
    for table in re.findall(r"(?:^\|.*\|\n)+", page, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1


def test_hostile_names_are_neither_markup_nor_control_codes():
    report = Reproduction(samples.hostile())
    for form in (report.to_text(), report.to_markdown(), printed(listing(report.data["papers"]))):
        assert "\x07" not in form
    assert "<script" not in report.to_markdown()
    tables = re.findall(r"(?:^\|.*\|\n)+", report.to_markdown(), re.MULTILINE)
    assert [len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) for table in tables] == [1] * 3


@pytest.mark.parametrize("make", [samples.one, samples.several])
def test_everything_may_be_missing(make):
    data = make()
    empty = Reproduction({**bare(data), "schema": 1, "kind": "reproduction", "forecheck": "0.1.0"})
    for form in (empty.to_text(), empty.to_markdown(), empty.to_html()):
        assert form
    nothing = Reproduction({"schema": 1, "kind": "reproduction", "forecheck": "0.1.0"})
    assert str(nothing) == "no claims"
    for form in (nothing.to_text(), nothing.to_markdown(), nothing.to_html()):
        assert "no claims" in form


def test_claims_of_ours_are_counted_apart():
    data = {
        "papers": [
            {
                "name": "p",
                "claims": [{"id": "a", "verdict": "refuted"}, {"id": "b", "verdict": "confirmed", "claimed_by": "us"}],
            }
        ]
    }
    found = outcomes.verdict(data)
    assert found["sentence"] == "1 claim refuted; beside them 1 claim of ours confirmed"
    assert (found["counts"], found["ours"]) == ({"refuted": 1}, {"confirmed": 1})
    assert outcomes.sentence([{"verdict": "uneven", "claimed_by": "us"}] * 2) == "2 claims of ours uneven"
