import json

import pytest
from made import arm, evidence, experiment
from only import audited

from forecheck.auditing.heads import CHECKS, HeadsThatCarry, HeadsThatHurt, HeadsThatMatter
from forecheck.auditing.setting import Place
from forecheck.trials.store import Store
from panels import hourly

LEVELS = {(0, 0): 1.5, (0, 1): 1.0, (1, 0): 0.5, (1, 1): 1.0}


def heads(levels, **known):
    e = experiment()
    arms = [arm(e, f"mean layers {i} heads {j}", "heads", level) for (i, j), level in levels.items()]
    return evidence(e, arms, **known)


def test_heads_that_matter_are_named():
    finding = HeadsThatMatter().run(heads(LEVELS))
    assert finding.outcome == "pass"
    assert finding.title == "1 of 4 heads matter by themselves"
    assert "layer 0 head 0" in finding.meaning
    values = finding.details["chart"]["values"]
    assert values[0][0] == pytest.approx(50, abs=1)
    assert values[1][0] == pytest.approx(-50, abs=1)
    assert [each["outcome"] for each in finding.details["heads"]] == ["greater", "equivalent", "less", "equivalent"]


def test_heads_that_hurt_are_named():
    finding = HeadsThatHurt().run(heads(LEVELS))
    assert (finding.outcome, finding.severity) == ("fail", "warning")
    assert "layer 1 head 0" in finding.meaning
    assert "-5" in finding.meaning
    none = HeadsThatHurt().run(heads(dict.fromkeys(LEVELS, 1.0)))
    assert (none.outcome, none.severity) == ("pass", "info")


def test_heads_are_counted():
    finding = HeadsThatCarry().run(heads(LEVELS))
    assert finding.details["counts"] == {"equivalent": 2, "greater": 1, "less": 1, "undecided": 0}
    assert finding.details["carrying"] == 1
    assert finding.title == "3 of 4 heads can be replaced one by one"


def test_where_no_head_matters_the_user_is_told():
    finding = HeadsThatMatter().run(heads(dict.fromkeys(LEVELS, 1.0)))
    assert (finding.outcome, finding.severity) == ("no difference", "warning")
    assert "FC303" in finding.advice


def test_noise_leaves_it_undecided():
    e = experiment()
    arms = [arm(e, f"mean layers {i} heads {j}", "heads", 1.02, spread=2.0) for i, j in LEVELS]
    noisy = evidence(e, arms)
    found = HeadsThatMatter().run(noisy)
    assert found.outcome == "undecided"
    assert found.why
    assert HeadsThatCarry().run(noisy).outcome == "undecided"


def test_rows_of_the_map_are_layers_even_where_heads_differ():
    places = (Place(0, "a", 1, 5, 5), Place(1, "b", 2, 5, 5))
    finding = HeadsThatMatter().run(heads({(0, 0): 1.0, (1, 0): 1.0, (1, 1): 1.5}, places=places))
    chart = finding.details["chart"]
    assert chart["columns"] == ["head 0", "head 1"]
    assert [row[1] is None for row in chart["values"]] == [True, False]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.code)
def test_one_head_is_all_of_attention(check):
    finding = check.run(heads({}, places=(Place(0, "a", 1, 5, 5),)))
    assert finding.outcome == "not applicable"
    assert "FC303" in finding.why


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.code)
def test_without_attention_or_arms_there_is_nothing(check):
    assert check.run(heads({}, places=(), why_not="no attention was found")).why == "no attention was found"
    assert check.run(heads({})) is None


def test_an_audit_runs_every_head(tmp_path):
    found, report = audited(CHECKS, hourly(700), Store(tmp_path))
    assert sorted(found) == ["FC601", "FC602", "FC603"]
    assert len(found["FC601"]["details"]["heads"]) == 4
    assert sum(arm["family"] == "heads" for arm in report["arms"]) == 4
    json.dumps(found, allow_nan=False)
