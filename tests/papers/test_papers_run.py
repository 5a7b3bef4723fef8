"""Papers are run part by part: nothing finished is lost, and what cannot be run says why."""

import json

import pytest

from forecheck.errors import DataError, UsageError
from forecheck.papers import catalogue, run
from forecheck.papers.claim import Claim, Estimate, Outcome, Paper, Verdict, untestable
from forecheck.papers.experiment import BUDGETS, Experiment, UntestableError
from forecheck.papers.results import part_key, put_part
from forecheck.papers.run import list_papers, reproduce
from forecheck.trials.store import Store

ran = []


def square(bench, x):
    ran.append(x)
    bench.progress(0.5, "half")
    return {"y": x * x}


def absent(bench, x):
    raise DataError("there is no such set")


def nowhere(bench, x):
    raise UntestableError("it needs a GPU")


def judge(measured):
    values = [row["y"] for row in measured["square"]]
    return Outcome(Verdict.CONFIRMED if max(values) > 1 else Verdict.REFUTED, f"{values}", Estimate(max(values), 0, 9))


def undecided(measured):
    return Outcome(Verdict.UNTESTABLE, "It is open.")


SQUARE = Experiment("square", square, quick=[{"x": 0}, {"x": 1}], full=[{"x": 1}, {"x": 3}])


def claim(name, experiments=(SQUARE,), judge=judge):
    return Claim(name, "A claim.", "section 1", "A rule.", experiments, judge)


PAPER = Paper(
    "made-up",
    "A paper",
    "Nobody",
    "nowhere",
    "About nothing.",
    [
        claim("grows"),
        claim("open", judge=undecided),
        claim("data", (Experiment("absent", absent, [{"x": 1}]),)),
        claim("gpu", (SQUARE, Experiment("nowhere", nowhere, [{"x": 1}]))),
        claim("long", (Experiment("late", square, [], [{"x": 5}]),), lambda m: Outcome(Verdict.CONFIRMED, "It ran.")),
        claim("never", (), untestable("It is about people.")),
    ],
)


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "find_papers", lambda names=(): [PAPER])
    ran.clear()
    return Store(tmp_path)


def outcomes(found):
    return {claim["id"]: (claim["verdict"], claim["found"]) for claim in found["papers"][0]["claims"]}


def test_every_claim_gets_its_verdict(store):
    reported = []
    found = reproduce(store=store, workers=0, tell=lambda *state: reported.append(state))
    assert outcomes(found) == {
        "grows": ("refuted", "[0, 1]"),
        "open": ("not testable here", "It is open. The intervals do not decide it; --budget full has more seeds."),
        "data": ("not testable here", "there is no such set"),
        "gpu": ("not testable here", "it needs a GPU"),
        "long": ("not testable here", "not run: it takes --budget full"),
        "never": ("not testable here", "It is about people."),
    }
    assert found["counts"] == {"confirmed": 0, "refuted": 1, "uneven": 0, "not testable here": 5}
    assert ran == [0, 1]  # an experiment of several claims is run once
    assert reported[0] == ("made-up", 0, 4)
    assert reported[-1] == ("made-up", 4, 4)
    assert json.loads(json.dumps(found)) == found


def test_the_full_budget_has_its_own_parts(store):
    assert outcomes(reproduce(budget="full", store=store, workers=0))["grows"] == ("confirmed", "[1, 9]")
    assert outcomes(reproduce(budget="full", store=store, workers=0))["long"] == ("confirmed", "It ran.")


def test_what_is_finished_is_not_run_again(store):
    reproduce(store=store, workers=0)
    reproduce(budget="full", store=store, workers=0)
    assert ran == [0, 1, 3, 5]


def test_an_interrupt_keeps_what_is_finished(store):
    def interrupt(name, done, total):
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reproduce(store=store, workers=0, tell=interrupt)
    assert ran == [0]
    reported = []
    reproduce(store=store, workers=0, tell=lambda *state: reported.append(state))
    assert ran == [0, 1]
    assert reported[0] == ("made-up", 1, 4)


def test_a_damaged_result_counts_as_not_there(store):
    reproduce(store=store, workers=0)
    address = part_key("made-up", SQUARE.parts("quick")[0]).address
    (store.place("part", address) / "result.json").write_text('{"measured": ')
    assert outcomes(reproduce(store=store, workers=0))["grows"] == ("refuted", "[0, 1]")
    assert ran == [0, 1, 0]


def test_results_of_other_code_do_not_count(store, monkeypatch):
    reproduce(store=store, workers=0)
    monkeypatch.setattr("forecheck.trials.record.fingerprint", lambda *modules: "other")
    reproduce(store=store, workers=0)
    assert ran == [0, 1, 0, 1]


def test_a_measure_may_not_hide_a_setting(store):
    part = SQUARE.parts("quick")[0]
    with pytest.raises(ValueError, match="measures what it is given: x"):
        put_part(store, "made-up", part, {"x": 1}, 0.0)


def test_the_last_verdicts_are_listed(store):
    assert [each["last"] for each in list_papers(store)[0]["claims"]] == [None] * 6
    reproduce(claims=["GROWS"], papers=["made-up"], budget="full", store=store, workers=0)
    first, second, *_ = list_papers(store)[0]["claims"]
    assert first["last"]["verdict"] == "confirmed"
    assert first["last"]["budget"] == "full"
    assert first["last"]["ours"] == {"value": 9, "low": 0, "high": 9}
    assert second["last"] is None


def test_worker_processes_give_what_this_process_gives(tmp_path):
    """A real paper: workers find experiments by name."""
    found = [
        reproduce(["initialisation"], ["closure"], store=Store(tmp_path / str(workers)), workers=workers)
        for workers in (0, 1)
    ]
    claims = [each["papers"][0]["claims"][0] for each in found]
    assert claims[0]["verdict"] == "confirmed"
    assert claims[0] == claims[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["curse"],), "no paper is called 'curse'"),
        ((["initialisation"], ["E99"]), "initialisation has no claim 'E99'"),
        (((), ["heads"]), "a claim belongs to a paper"),
        ((["initialisation"], (), "huge"), "no budget is called 'huge'"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(UsageError, match=message):
        reproduce(*arguments)


@pytest.mark.parametrize("name", catalogue.PAPERS)
def test_papers_are_well_formed(name):
    paper = catalogue.find_paper(name)
    assert paper.name == name
    assert paper.claims
    assert paper.about
    ids = [claim.id.lower() for claim in paper.claims]
    assert len(set(ids)) == len(ids)
    experiments = {each.name: each for claim in paper.claims for each in claim.experiments}
    for claim in paper.claims:
        assert claim.title.endswith(".")
        assert bool(claim.experiments) == bool(claim.rule), claim.id
        assert all(experiments[each.name] is each for each in claim.experiments), "one name, two experiments"
    for experiment in experiments.values():
        for budget in BUDGETS:
            settings = [dict(part.settings) for part in experiment.parts(budget)]
            assert json.loads(json.dumps(settings)) == settings
            assert len({json.dumps(each) for each in settings}) == len(settings)


def test_running_parts_move_the_bar(store):
    reported = []
    reproduce(store=store, workers=0, tell=lambda *state: reported.append(state[1]))
    assert 0.5 in reported
    assert 1.5 in reported
    assert reported == sorted(reported)


def test_what_is_finished_is_judged_without_running(store):
    assert {found for _, found in outcomes(reproduce(budget="finished", store=store, workers=0)).values()} == {
        "not run yet",
        "It is about people.",
    }
    reproduce(store=store, workers=0)
    ran.clear()
    found = outcomes(reproduce(budget="finished", store=store, workers=0))
    assert found["grows"] == ("refuted", "[0, 1] By the quick budget.")
    assert found["long"] == ("not testable here", "not run: it takes --budget full")
    assert found["gpu"] == ("not testable here", "it needs a GPU")
    reproduce(budget="full", store=store, workers=0)
    assert ran == [3, 5]
    found = outcomes(reproduce(budget="finished", store=store, workers=0))
    assert found["grows"] == ("confirmed", "[1, 9]")
    assert found["long"] == ("confirmed", "It ran.")
    assert ran == [3, 5]
    assert reproduce(budget="finished", store=store, workers=0)["seconds"] == 0.0  # a square takes no time
    put_part(store, "made-up", SQUARE.parts("full")[1], {"y": 9}, 7.5)
    assert reproduce(budget="finished", store=store, workers=0)["seconds"] == 7.5
    last = {claim["id"]: claim["last"]["budget"] for claim in list_papers(store)[0]["claims"]}
    assert set(last.values()) == {"full"}  # a look back is no run
