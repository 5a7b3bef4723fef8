"""`forecheck reproduce` from the command line, on claims that are tested in a moment."""

import json

import pytest

CLOSURE = ("reproduce", "initialisation", "--claim", "closure", "--workers", "0")


def test_a_claim_is_tested_shown_and_written(forecheck, tmp_path):
    outputs = ("--json", "r.json", "--html", "r.html", "--markdown", "r.md")
    done = forecheck(*CLOSURE, "--store", "kept", *outputs)
    assert done.code == 0
    assert "confirmed" in done.out
    found = json.loads((tmp_path / "r.json").read_text())
    assert found["kind"] == "reproduction"
    assert [claim["id"] for claim in found["papers"][0]["claims"]] == ["closure"]
    assert "closure" in (tmp_path / "r.html").read_text()
    assert "closure" in (tmp_path / "r.md").read_text()
    again = forecheck(*CLOSURE, "--store", "kept", "--json", "-", "--quiet")
    assert json.loads(again.out)["papers"] == found["papers"]
    assert again.err == ""


def test_nothing_asked_is_a_list_with_the_last_verdicts(forecheck, tmp_path):
    forecheck(*CLOSURE, "--store", "kept", "--quiet")
    done = forecheck("reproduce", "--store", "kept", "--json", "papers.json")
    assert done.code == 0
    assert "test-time-scaling" in done.out
    assert "closure" in done.out
    papers = {paper["name"]: paper for paper in json.loads((tmp_path / "papers.json").read_text())}
    last = {claim["id"]: claim["last"] for claim in papers["initialisation"]["claims"]}
    assert last["closure"]["verdict"] == "confirmed"
    assert last["heads"] is None
    alone = forecheck("reproduce", "--store", "kept", "--json", "-")
    assert json.loads(alone.out) == list(papers.values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["curse"], "no paper is called 'curse'"),
        (["initialisation", "--claim", "E1"], "has no claim 'E1'"),
        (["--claim", "closure"], "a claim belongs to a paper"),
        (["--budget", "huge"], "no budget is called 'huge'"),
        (["initialisation", "--html", "nowhere/p.html"], "does not exist"),
    ],
)
def test_refusals(forecheck, arguments, message):
    done = forecheck("reproduce", *arguments)
    assert done.code == 2
    assert message in done.err
