"""Surveys: every cell has a verdict or a reason, and what is said of many cells at once is adjusted for them."""

import pytest
from statsmodels.stats.multitest import multipletests

from forecheck.auditing.survey import Cell, assemble, p_values, run_cell, run_survey
from forecheck.errors import DataError, TrialError, UsageError


def report(outcome="helps", question="architecture", looks=None, **findings):
    """What an audit gives, as far as a survey reads it; findings are p-values by family."""
    return {
        "verdict": {"worth": "yes", "outcome": outcome, "question": question, "effect": 0.02, "interval": [0.01, 0.03]},
        "protocol": {"lookback": 24, "horizon": 6, "margin": 0.01, "level": 0.95, "looks": looks, "seeds": [0, 1]},
        "arms": [{"family": "reference", "mse": 0.1}, {"family": "raw", "mse": 0.4}],
        "findings": [
            {"family": family.replace("_", "-"), "p_values": p} for family, given in findings.items() for p in given
        ],
        "environment": {"python": "3"},
    }


def p(greater=0.9, less=0.9, equivalent=0.9):
    return {"greater": greater, "less": less, "equivalent": equivalent}


def fails(model, data):
    """Not every model can be run on every set."""
    if model == "closed":
        raise UsageError("closed has no attention to audit", "Audit another.")
    if data == "short":
        raise DataError("short is too short for horizon 96")
    if (model, data) == ("wild", "long"):
        raise TrialError("wild, seed 0: the loss is not finite\nTraceback: much")
    return report()


def test_every_cell_has_a_verdict_or_a_reason():
    found = run_survey(["mild", "wild", "closed"], ["long", "short"], fails)
    cells = {(cell["model"], cell["set"]): cell for cell in found["cells"]}
    assert list(cells) == [(model, data) for model in ("mild", "wild", "closed") for data in ("long", "short")]
    assert cells["mild", "long"]["worth"] == "yes"
    assert cells["mild", "long"]["mse"] == 0.4
    assert cells["mild", "long"]["report"] == report()
    assert (cells["mild", "short"]["state"], cells["mild", "short"]["why"]) == (
        "cannot be run",
        "short is too short for horizon 96",
    )
    assert (cells["wild", "long"]["state"], cells["wild", "long"]["why"]) == (
        "failed",
        "wild, seed 0: the loss is not finite",
    )
    assert cells["closed", "long"]["advice"] == "Audit another."
    assert found["protocol"] == {"horizon": 6, "margin": 0.01, "level": 0.95, "budget": None, "step": None}
    assert found["kind"] == "survey"


def test_what_is_finished_is_refused_after_every_cell():
    reported = []
    run_survey(["mild", "wild"], ["long"], fails, reported.append)
    states = [[cell["state"] for cell in survey["cells"]] for survey in reported]
    assert states == [["done", "not run"], ["done", "failed"]]


def test_an_interrupt_ends_the_survey_and_the_rest_was_refused():
    reported = []

    def interrupted(model, data):
        if data == "second":
            raise KeyboardInterrupt
        return report()

    with pytest.raises(KeyboardInterrupt):
        run_survey(["mild"], ["first", "second", "third"], interrupted, reported.append)
    assert [cell["state"] for cell in reported[-1]["cells"]] == ["done", "not run", "not run"]


def test_an_error_of_the_program_is_no_cell():
    def broken(model, data):
        raise KeyError("verdict")

    with pytest.raises(KeyError):
        run_cell("mild", "long", broken)


def test_a_survey_of_which_nothing_can_be_run_is_refused():
    with pytest.raises(UsageError, match=r"closed has no .*nor can the other 1 cells of the survey be run\n  Audit an"):
        run_survey(["closed"], ["long", "short"], fails)
    with pytest.raises(UsageError, match=r"closed has no attention to audit\n"):
        run_survey(["closed"], ["long"], fails)


@pytest.mark.parametrize(
    ("models", "sets", "message"),
    [
        ([], ["long"], "a survey needs at least one model"),
        (["mild"], [], "a survey needs at least one data set"),
        (["mild", "wild", "mild"], ["long"], "the model 'mild' is named twice"),
        (["mild"], ["long", "long"], "the data set 'long' is named twice"),
    ],
)
def test_rows_and_columns_are_named_once(models, sets, message):
    with pytest.raises(UsageError, match=message):
        run_survey(models, sets, fails)


def test_the_p_values_of_a_cell_are_those_of_all_replacements():
    # Helps means that every replacement is worse; hurts and no difference that some replacement is better, or as good.
    both = [p(0.001, 0.9, 0.3), p(0.2, 0.04, 0.01)]
    assert p_values(report(retrained=both, post_hoc=[p()])) == p(0.2, 0.04, 0.01)
    assert p_values(report(question="checkpoint", retrained=both, post_hoc=[p(0.5)])) == p(0.5)
    assert p_values(report(looks=[3, 5, 8], retrained=[p(0.01, 0.5, 0.02)])) == pytest.approx(p(0.03, 1.0, 0.06))
    assert p_values(report(retrained=[None])) is None
    assert p_values({}) is None


def test_what_holds_among_all_cells_is_as_holm_says():
    given = [
        ("helps", p(0.004)),
        ("helps", p(0.02)),
        ("hurts", p(less=0.0001)),
        ("no difference", p(equivalent=0.001)),
        ("undecided", p(0.0001)),
        ("helps", None),
    ]
    cells = [
        Cell(f"m{k}", "long", "done", report=report(outcome, retrained=[values]))
        for k, (outcome, values) in enumerate(given)
    ]
    rows = assemble([cell.model for cell in cells], ["long"], cells)["cells"]
    known = [value for _, values in given if values for value in values.values()]
    rejected = multipletests(known, 0.05, "holm")[0].reshape(-1, 3)
    expected = [rejected[0, 0], rejected[1, 0], rejected[2, 1], rejected[3, 2], False, None]
    assert [row["holds"] for row in rows] == expected
    assert expected[:4] == [True, False, True, True]  # .02 fails, which alone would hold


def test_what_holds_alone_need_not_hold_among_many():
    one = Cell("m0", "long", "done", report=report(retrained=[p(0.01)]))
    alone = assemble(["m0"], ["long"], [one])
    others = [Cell(f"m{k}", "long", "done", report=report("undecided", retrained=[p()])) for k in range(1, 6)]
    many = assemble([f"m{k}" for k in range(6)], ["long"], [one, *others])
    assert alone["cells"][0]["holds"] is True
    assert many["cells"][0]["holds"] is False
