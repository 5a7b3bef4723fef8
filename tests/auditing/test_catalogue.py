"""The catalogue: codes, what each check says of itself, its page, and which checks are run."""

import re
from pathlib import Path

import pytest
from settings import PLACES, setting

from forecheck.auditing import pages
from forecheck.auditing.budget import BUDGETS
from forecheck.auditing.catalogue import CHECKS, Selection, find_check
from forecheck.auditing.check import FAMILIES
from forecheck.auditing.harness import BY_CONSTRUCTION
from forecheck.auditing.setting import Place
from forecheck.data.windows import prepare
from forecheck.errors import UsageError
from panels import hourly

DOCS = Path(__file__).parents[2] / "docs" / "checks"


@pytest.fixture(scope="module")
def experiment():
    return prepare(hourly(), 48, 12)


@pytest.mark.parametrize("check", CHECKS.values(), ids=lambda check: check.code)
def test_a_check_says_what_it_is(check, experiment):
    assert re.fullmatch(r"FC[1-9]\d\d", check.code)
    assert check.family == FAMILIES[check.code[:3]]
    assert check.title
    assert check.severity in ("info", "warning", "error")
    assert pages.question(check).endswith((".", "?"))
    assert "\n\n" in check.about, "a question alone does not say how it is answered"
    for request in check.requests(setting(experiment)):
        assert (request.edit is not None) + (request.measure is not None) + bool(request.options) == 1
        assert not request.posthoc or request.edit is not None


def test_what_needs_attention_or_training_says_why_it_cannot_run(experiment):
    without = setting(experiment, places=(), why_not="it mixes by frequencies")
    elsewhere = setting(experiment, external=True)
    for check in CHECKS.values():
        if check.white_box:
            assert check.why_not(without) == "it mixes by frequencies"
        if check.retrains:
            assert "trained elsewhere" in check.why_not(elsewhere)
    assert not CHECKS["FC901"].why_not(without)


def test_the_identity_is_undefined_for_cross_attention(experiment):
    crossing = setting(experiment, places=(*PLACES, Place(2, "decoder.cross", 2, 5, 7)))
    for code in ("FC301", "FC401"):
        assert "from 5 tokens at 7" in CHECKS[code].why_not(crossing)
        assert not CHECKS[code].why_not(setting(experiment))
    assert not CHECKS["FC403"].why_not(crossing)


def test_the_committed_pages_are_those_of_the_classes():
    made = pages.pages()
    assert sorted(path.name for path in DOCS.glob("*.md")) == sorted(made), "run make checks-pages"
    for name, text in made.items():
        assert (DOCS / name).read_text(encoding="utf-8") == text, f"{name} is out of date: run make checks-pages"


def test_pages_of_checks_that_are_no_more_go(tmp_path):
    (tmp_path / "FC999.md").write_text("old")
    pages.write(tmp_path)
    assert not (tmp_path / "FC999.md").exists()
    assert (tmp_path / "FC301.md").exists()


def codes(selection, known):
    return [check.code for check in selection.split(known)[0]]


def test_slow_checks_wait_for_time_or_for_being_asked(experiment):
    quick, standard = (setting(experiment, budget=BUDGETS[name]) for name in ("quick", "standard"))
    slow = {check.code for check in CHECKS.values() if check.slow}
    assert {"FC402", "FC505", "FC601"} <= slow
    assert not slow & set(codes(Selection(), quick))
    unasked = {code for code, check in CHECKS.items() if not check.option}
    assert set(codes(Selection(), standard)) == unasked
    assert set(codes(Selection(), setting(experiment, budget=BUDGETS["quick"], external=True))) == unasked
    assert codes(Selection.of(["FC6"]), quick) == ["FC601", "FC602", "FC603"]
    _, skipped = Selection.of([], ["FC7"]).split(quick)
    why = {one["code"]: one["why"] for one in skipped}
    assert why["FC701"] == "ignored"
    assert "--budget standard" in why["FC601"]


def test_codes_that_do_not_exist_are_refused():
    with pytest.raises(UsageError, match="no check has the code 'FC000'"):
        Selection.of(["FC000"])
    with pytest.raises(UsageError, match="no check has the code ''"):
        Selection.of([""])
    with pytest.raises(UsageError, match="no check has the code 'FC3'"):
        find_check("FC3")
    assert find_check("fc301").code == "FC301"


@pytest.mark.parametrize("code", BY_CONSTRUCTION)
def test_removed_codes_say_what_stands_for_them(code):
    assert code not in CHECKS
    for ask in (lambda: Selection.of([code]), lambda: Selection.of([], [code]), lambda: find_check(code.lower())):
        with pytest.raises(UsageError, match=f"the check {code} was removed") as refused:
            ask()
        assert 'The line "harness" in the protocol' in refused.value.remedy
