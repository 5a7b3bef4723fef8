"""What people read at the end of an audit or a backtest: thirty lines, and the card at the head of a page."""

import io
import re

import pytest
import report_samples
import verdict_samples
from rich.console import Console

from forecheck.reports import brief, forest, headline
from forecheck.reports.report import Report

OLD_KEYS = {"outcome", "sentence", "question", "effect", "interval", "margin", "architecture", "checkpoint", "linear"}


@pytest.fixture(scope="module")
def small():
    return report_samples.audit(layers=1, heads=1, tokens=2, examples=0)


@pytest.fixture(params=verdict_samples.WORTHS)
def answered(request, large):
    return verdict_samples.answered(request.param, large)


def changed(data, **keys):
    return data | {"verdict": data["verdict"] | keys}


def long_winded():
    """A report in which every text is far longer than it should be."""
    data = verdict_samples.answered("undecided: undertrained")
    words = "a long word and another one " * 60
    keys = dict.fromkeys(("sentence", "why", "advice", "attention"), words)
    converged = {"passed": False, "gain": 0.03, "sentence": words}
    findings = [each | {"title": words, "outcome": "fail"} for each in data["findings"]]
    return changed(data, **keys, converged=converged) | {"findings": findings}


def test_every_answer_takes_thirty_lines_at_most(answered):
    lines = Report(answered).to_text(100).splitlines()
    assert 10 < len(lines) <= 30
    assert max(map(len, lines)) <= 100
    assert len(Report(answered).findings) == 55


def test_long_texts_are_cut_between_words_and_leave_room():
    lines = Report(long_winded()).to_text(100).splitlines()
    assert len(lines) <= 29  # the command line adds one
    assert max(map(len, lines)) <= 100
    assert sum(line.endswith("…") for line in lines) >= 5


@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_narrow_terminal_cuts_no_number(answered, width):
    lines = Report(answered).to_text(width).splitlines()
    assert max(map(len, lines)) <= width
    for key in brief.content.effects(answered):
        assert any(f"{key.value} {key.interval}" in line for line in lines)


def test_what_is_said_and_in_which_order():
    shown = Report(verdict_samples.answered("undecided: undertrained")).to_text(100)
    parts = [
        "Undecided whether patchtst on ETTh1",
        "linear instead               -5.0 % [-6.6, -3.4]  better     fits in 0.07 s",
        "Retrained without attention  +1.8 % [-1.0, +4.6]  undecided  identity · 5 seeds",
        "Edited after training        +6.1 % [+3.4, +8.8]  helps      mean · 5 seeds",
        "Attention is worth between -1.0 % and +4.6 % of the error.",
        "The architecture of patchtst needs what",
        "model needs tokens to see each other but",
        "Why undecided: against the reference",
        "Not converged: twice the epochs",
        "fail  FC107 raw against raw with other seeds",
        "and 1 more",
        "What to do: Forecast with linear",
    ]
    assert [shown.index(part) for part in parts] == sorted(shown.index(part) for part in parts)
    assert shown.count("fail  FC") == 6


def test_what_is_well_is_not_spoken_of():
    data = verdict_samples.answered("yes") | {"findings": []}
    shown = Report(data).to_text(100)
    assert "Why undecided" not in shown
    assert "Not converged" not in shown
    assert "fail" not in shown
    assert shown.casefold().count("attention is worth between") == 1


def test_an_error_comes_before_what_merely_failed():
    codes = [each["code"] for each in headline.failed(report_samples.large_audit())]
    assert codes[:2] == ["FC107", "FC123"]
    assert "FC301" not in codes  # a warning that helps
    wrong = {"code": "FC999", "outcome": "hurts", "severity": "error"}
    fine = {"code": "FC998", "outcome": "pass", "severity": "error"}
    assert [each["code"] for each in headline.failed({"findings": [fine, wrong]})] == ["FC999"]


def test_a_reference_that_is_missing_leaves_the_linear_one():
    data = changed(verdict_samples.answered("no"), reference=None)
    assert brief.content.effects(data)[0].label == "rlinear instead"


@pytest.mark.parametrize("name", sorted(verdict_samples.verdict("undecided").keys() - {"sentence"}))
def test_every_key_may_be_missing(name, small):
    data = verdict_samples.answered("undecided", small)
    without = data | {"verdict": {key: value for key, value in data["verdict"].items() if key != name}}
    for report in map(Report, (changed(data, **{name: None}), without)):
        for form in (report.to_text(), report.to_text(verbose=True), report.to_markdown(), report.to_html()):
            assert "None" not in form
            assert "-0.3 % [-2.6, +2.0]" in " ".join(form.split())


@pytest.mark.parametrize("name", ["outcome", "arm", "effect", "interval", "seeds", "why", "questions", "how_far"])
def test_every_key_of_an_answer_may_be_missing(name, small):
    data = verdict_samples.answered("undecided", small)
    bare = {key: value for key, value in data["verdict"]["architecture"].items() if key != name}
    report = Report(changed(data, architecture=bare, checkpoint={"questions": [{}]}, reference={name: None}))
    for form in (report.to_text(), report.to_text(verbose=True), report.to_markdown(), report.to_html()):
        assert "None" not in form


def test_an_old_report_is_still_read():
    data = report_samples.audit()
    assert set(data["verdict"]) - OLD_KEYS == {"smallest_margin", "advice"}
    report = Report(data)
    assert report.to_text().startswith("Attention makes no difference: patchtst")
    assert "+0.4 % [-0.3, +1.1]  no difference" in report.to_text()
    assert headline.answer(data) == headline.asked(data) == ""
    assert headline.ladder(data) is None


@pytest.mark.parametrize(
    ("worth", "sentence", "parts"),
    [
        ("no", "No: it is not.", ("No:", "it is not.")),
        ("no", "Nobody knows: it is not.", ("No:", "Nobody knows: it is not.")),
        ("undecided", "Undecided whether it is: x.", ("Undecided", "whether it is: x.")),
        ("undecided: undertrained", "Undecided: too short.", ("Undecided:", "too short.")),
        ("undecided: undertrained", "Too short.", ("Undecided: undertrained:", "Too short.")),
        ("not for its attention", "Not for its attention: x: y", ("Not for its attention:", "x: y")),
        ("not applicable", "It was not tested: x: y", ("It was not tested:", "x: y")),
        (None, "Attention helps: x.", ("Attention helps:", "x.")),
        (None, "x" * 70 + ": y", ("x" * 70 + ": y", "")),
    ],
)
def test_the_answer_is_what_the_sentence_begins_with(worth, sentence, parts):
    assert headline.parted({"kind": "audit", "verdict": {"worth": worth, "sentence": sentence}}) == parts


def test_how_far_the_need_goes_is_said_once():
    data = verdict_samples.answered("no")
    far = data["verdict"]["architecture"]["how_far"]
    model = data["verdict"]["checkpoint"]["how_far"]
    assert headline.reach(data) == [far, model]
    assert headline.reach(changed(data, attention=f"Attention helps. {far}")) == [model]
    unasked = data["verdict"]["checkpoint"] | {"how_far": "What the trained model needs of attention was not asked."}
    assert headline.reach(changed(data, architecture=None, checkpoint=unasked)) == []


def test_the_ladder_has_a_column_for_each_question():
    table = headline.ladder_table(verdict_samples.answered("no"))
    assert [column.name for column in table.columns] == ["question", "The architecture", "The trained model"]
    assert table.rows == [
        ["does it need the attention sublayer?", "yes +1.8 % [-1.0, +4.6]", "yes +6.1 % [+3.4, +8.8]"],
        ["... tokens to see each other?", "undecided +1.8 % [-1.0, +4.6]", "yes +6.1 % [+3.4, +8.8]"],
        ["... to choose where it looks?", "not asked", "no +6.1 % [+3.4, +8.8]"],
    ]


@pytest.mark.parametrize("worth", verdict_samples.WORTHS)
def test_pages_have_the_answer_the_facts_and_the_ladder(worth, small):
    data = verdict_samples.answered(worth, small)
    report, verdict = Report(data), data["verdict"]
    page, markdown = report.to_html(), report.to_markdown()
    card = page[page.index('<div class="answer') : page.index('id="attention-needed"')]
    word = verdict["worth"].split(":")[0]
    assert card.startswith(f'<div class="answer w-{word.replace(" ", "-")}">')
    said = "What attention does was not tested:" if word == "not applicable" else word.capitalize()
    assert f"<strong>{said}" in card
    tested = verdict["checkpoint"] is not None
    assert card.count('<svg class="effect o-') == (3 if tested else 1)
    assert card.count('class="band"') == (3 if tested else 1)
    assert ('<table class="ladder">' in card) == tested
    assert ("| question | The architecture | The trained model |" in markdown) == tested
    assert ("Why undecided" in card) == ("Why undecided" in markdown) == word.startswith("undecided")
    assert ("Not converged" in card) == ("Not converged" in markdown) == verdict["worth"].endswith("undertrained")
    for form in (card, markdown, report.to_text(verbose=True)):
        assert "431 windows are 16 independent stretches" in form


def test_the_search_stands_in_the_protocol():
    report = Report(verdict_samples.answered("no"))
    assert re.search(r"identity +0\.0001 +10 +0\.7144\n", report.to_text(verbose=True))
    assert "| raw | 0.001 | 10 | 0.7012 | chosen |" in report.to_markdown()
    assert "time allowed: 15 min 0 s" in report.to_markdown()
    assert "after 3, 5, 8 seeds" in report.to_markdown()


def test_nothing_that_a_user_named_is_obeyed():
    evil = f"[red]x[/red]:smile:\x1b[2J{report_samples.HOSTILE}"
    data = changed(
        verdict_samples.answered("undecided", report_samples.audit(name=evil)),
        **dict.fromkeys(("sentence", "why", "advice", "attention", "resolution"), evil),
        reference=verdict_samples.verdict("no")["reference"] | {"name": evil},
    )
    data["findings"] = [each | {"title": evil, "outcome": "fail"} for each in data["findings"]]
    data["verdict"]["checkpoint"]["questions"][0] |= {"asks": evil, "question": evil}
    report = Report(data)
    shown = report.to_text(100)
    assert "[red]x[/red]:smile:" in shown
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", shown)
    assert max(map(len, shown.splitlines())) <= 100
    assert report.to_html().count("<script") == 1
    assert "<script" not in report.to_markdown()


def test_remedies_are_told_in_short(remedied):
    shown = Report(remedied).to_text(100)
    assert re.search(r"score-bias +helps \+3\.4 % \[\+2\.6, \+4\.2\] +grows \+3\.0 % \[\+2\.2, \+3\.8\]", shown)
    found = remedied["remedies"]
    many = remedied | {"remedies": found | {"rows": found["rows"] * 5}}
    assert "and 11 more" in Report(many).to_text(100).splitlines()
    assert len(Report(many).to_text(100).splitlines()) <= 29


def test_a_backtest_is_short_too():
    data = report_samples.backtest()
    rows = [data["table"][0] | {"model": f"model {k}", "mse": 0.4 + k / 100} for k in range(40)]
    against = {"outcome": "worse", "effect": 0.05, "interval": [0.02, 0.08]}
    table = [*data["table"], *(row | {"against_chosen": against} for row in rows)]
    shown = Report(data | {"table": table}).to_text(100)
    lines = shown.splitlines()
    assert lines[0].startswith("Forecast with rlinear: the simplest model")
    assert len(lines) <= 29
    assert max(map(len, lines)) <= 100
    assert "and 35 more" in lines
    assert re.search(r"model 0 +0\.4000 +\+5\.0 % \[\+2\.0, \+8\.0\] +worse +50\.1 s", shown)
    assert "What to do: forecheck forecast ETTh1 --horizon 96 --lookback 336 --model rlinear" in lines


def test_the_command_of_a_backtest_can_be_pasted():
    data = report_samples.backtest(name="my sales; rm -rf.csv")
    data["protocol"]["lookback"] = None
    data["table"][0]["lookback"] = 48
    advice = Report(data).verdict.advice
    assert advice == "forecheck forecast 'my sales; rm -rf.csv' --horizon 96 --lookback 48 --model rlinear"
    assert Report(data | {"winner": None}).verdict.advice == ""


def test_all_of_it_is_there_when_asked_for():
    report = Report(verdict_samples.answered("no"))
    full = report.to_text(100, verbose=True)
    assert len(full.splitlines()) > 200
    assert "FC401  attention makes no difference" in full
    assert "encoder.2.attention" in full
    console = Console(file=io.StringIO(), width=100, color_system=None)
    console.print(report)
    assert [line.rstrip() for line in console.file.getvalue().splitlines()] == report.to_text(100).splitlines()
    assert str(report) == report.to_text(100).rstrip("\n")
    console = Console(file=io.StringIO(), width=100, color_system=None)
    console.print(report.to_rich(100, verbose=True))
    assert [line.rstrip() for line in console.file.getvalue().splitlines()] == full.splitlines()


def test_no_number_of_the_headline_leaves_its_plot():
    far = {"name": "last", "outcome": "worse", "effect": 2.4, "interval": [1.9, 2.9]}
    plot = forest.of_headline(changed(verdict_samples.answered("yes"), reference=far))
    assert not plot.clipped
    assert plot.groups[0][1][0].effect == "+240 % [+190, +290]"


def test_a_headline_without_effects_draws_nothing():
    assert forest.of_headline({"kind": "audit", "verdict": None}) is None
    assert list(brief.blocks({"kind": "audit", "verdict": None, "protocol": {"data": "x"}}, 100))


def test_a_reference_that_is_not_beaten_is_no_worse_where_nothing_more_is_known():
    """The headline says no, so its own line must not say undecided."""
    data = verdict_samples.answered("no")
    reference = data["verdict"]["reference"] | {"outcome": "undecided", "beaten": False}
    shown = Report(changed(data, reference=reference))
    line = next(line for line in shown.to_text(100).splitlines() if "linear instead" in line)
    assert "no worse" in line
    assert "no worse" in shown.to_html()
