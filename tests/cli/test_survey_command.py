"""`forecheck audit` with several sets and models: what is printed, written, and how it ends."""

import json

import pytest
from command_lines import tiny

from conftest import write_csv
from forecheck.errors import DataError, TrialError, UsageError
from forecheck.reports.report import Report
from forecheck.verbs import survey as several
from panels import hourly

MODEL = """
def build(lookback, horizon, channels):
    if channels == 3:
        raise ValueError("trained on two channels")
    return lambda x: x[:, -1:].expand(-1, horizon, -1)
"""
SMALL = ("--horizon", 6, "--lookback", 24, "--workers", 0)


@pytest.fixture
def others(tmp_path):
    """A second wide CSV."""
    return write_csv(tmp_path / "others.csv", hourly(400, seed=3))


def made(model, of, outcome="helps"):
    """A report of an audit with little in it."""
    verdict = {"worth": "yes", "outcome": outcome, "sentence": f"Yes: {model} on {of}.", "effect": 0.02}
    verdict |= {"interval": [0.01, 0.03], "margin": 0.01, "question": "architecture", "advice": ""}
    protocol = {"data": of, "model": model, "lookback": 24, "horizon": 6, "level": 0.95, "margin": 0.01}
    return Report(
        {
            "schema": 1,
            "kind": "audit",
            "forecheck": "0",
            "created": "2026-01-01",
            "verdict": verdict,
            "protocol": protocol,
        }
    )


@pytest.fixture
def audited(monkeypatch):
    """Audits that take no time: what was asked, and what goes wrong by model and set."""
    asked, wrong = [], {}

    def audit(panel, model, **options):
        asked.append((model, panel.name, options))
        if error := wrong.get((model, panel.name)):
            raise error
        return made(options.get("name", model), panel.name)

    monkeypatch.setattr(several, "audit", audit)
    return asked, wrong


def test_real_audits_side_by_side(forecheck, waves, tmp_path):
    small = [*tiny(layers=1, epochs=1), "--select", "FC301", "--models", "patchtst,nlinear"]
    done = forecheck("audit", waves, *SMALL, *small, "--html", "s.html", "--json", "s.json", "--quiet")
    assert done.code == 0, done.err
    found, refused = Report.load(tmp_path / "s.json").cells
    assert (found.state, refused.state) == ("done", "cannot be run")
    single = Report(found.report)
    assert single.data["protocol"]["data"] == "waves.csv"
    assert found.worth == single.verdict.worth
    assert found.effect == single.verdict.effect
    assert found.interval[0] <= found.effect <= found.interval[1]
    assert found.reference.name == single.verdict.reference.name
    assert found.holds in (True, False)
    assert (tmp_path / "s-patchtst-waves.csv.html").read_text().startswith("<!doctype html>")
    assert "nlinear on waves.csv: cannot be run: nlinear has no attention to audit." in " ".join(done.out.split())


def test_a_model_of_the_users_own_is_built_for_every_set(forecheck, waves, tmp_path):
    (tmp_path / "net.py").write_text(MODEL)
    wide = write_csv(tmp_path / "wide.csv", hourly(400, channels=3))
    done = forecheck(
        "audit", waves, wide, "--model", "net.py:build", "--horizon", 6, "--workers", 0, "--select", "FC202",
        "--json", "-", "--quiet",
    )  # fmt: skip
    cells = json.loads(done.out)["cells"]
    assert [(cell["model"], cell["set"], cell["state"]) for cell in cells] == [
        ("net.py:build", "waves.csv", "done"),
        ("net.py:build", "wide.csv", "cannot be run"),
    ]
    assert cells[0]["lookback"] == cells[0]["report"]["protocol"]["lookback"] > 6
    assert cells[1]["why"] == "build failed: ValueError: trained on two channels"


@pytest.mark.parametrize("more", [(), ("--models", "patchtst")])
def test_one_model_on_one_set_is_an_ordinary_audit(forecheck, waves, more):
    done = forecheck("audit", waves, *SMALL, *tiny(layers=1, epochs=1), *more, "--select", "FC204", "--json", "-", "-q")
    assert json.loads(done.out)["kind"] == "audit"


def test_the_options_of_an_audit_reach_every_cell(forecheck, waves, others, audited):
    options = ("--margin", 0.05, "--budget", "standard", "--set", "samformer.epochs=3", "--set", "linear.ridge=0")
    done = forecheck("audit", waves, others, *SMALL, *options, "--models", " patchtst, samformer ", "--quiet")
    assert done.code == 0
    asked, _ = audited
    names = [
        ("patchtst", "waves.csv"),
        ("patchtst", "others.csv"),
        ("samformer", "waves.csv"),
        ("samformer", "others.csv"),
    ]
    assert [(model, of) for model, of, _ in asked] == names
    for model, _, given in asked:
        assert (given["horizon"], given["lookback"], given["margin"], given["budget"]) == (6, 24, 0.05, "standard")
        own = {"samformer": {"epochs": "3"}} if model == "samformer" else {}
        assert given["options"] == {"linear": {"ridge": "0"}} | own


def test_progress_has_a_line_a_cell_and_quiet_has_none(forecheck, waves, others, audited):
    done = forecheck("audit", waves, others, *SMALL)
    read = [f"forecheck: {name}.csv: read" for name in ("waves", "others")]
    assert [line.partition(" 400 rows")[0] for line in done.err.splitlines()] == [
        *read,
        "[1/2] patchtst on waves.csv: yes",
        "[2/2] patchtst on others.csv: yes",
    ]
    assert "Attention is worth it in 2 of 2 cells" in done.out
    assert forecheck("audit", waves, others, *SMALL, "--quiet").err == ""


def test_a_failed_trial_is_a_cell_and_exit_code_1(forecheck, waves, others, audited):
    audited[1]["patchtst", "waves.csv"] = TrialError("patchtst, seed 0: the loss is not finite\nTraceback")
    done = forecheck("audit", waves, others, *SMALL, "--json", "-", "--quiet")
    assert done.code == 1
    assert done.err == "forecheck: a trial failed in patchtst on waves.csv; all others are saved\n"
    cells = json.loads(done.out)["cells"]
    assert [cell["state"] for cell in cells] == ["failed", "done"]
    assert cells[0]["why"] == "patchtst, seed 0: the loss is not finite"


def test_an_interrupt_leaves_what_is_finished(forecheck, waves, others, audited, tmp_path):
    audited[1]["patchtst", "others.csv"] = KeyboardInterrupt()
    done = forecheck("audit", waves, others, *SMALL, "--html", "s.html", "--json", "s.json", "--quiet")
    assert done.code == 130
    assert "Attention is worth it in 1 of 2 cells, is not in 0, undecided in 0 (1 not run)." in done.out
    assert done.err.splitlines() == [
        "wrote s.json",
        "wrote s.html",
        "forecheck: interrupted; finished trials are saved, the same command goes on from here",
    ]
    assert [cell.state for cell in Report.load(tmp_path / "s.json").cells] == ["done", "not run"]
    assert (tmp_path / "s-patchtst-waves.csv.html").exists()


def test_an_interrupt_before_the_first_cell_writes_nothing(forecheck, waves, others, audited, tmp_path):
    audited[1]["patchtst", "waves.csv"] = KeyboardInterrupt()
    done = forecheck("audit", waves, others, *SMALL, "--json", "s.json", "--quiet")
    assert (done.code, done.out) == (130, "")
    assert not (tmp_path / "s.json").exists()


def test_fail_on_names_the_cell(forecheck, waves, others, audited):
    done = forecheck("audit", waves, others, *SMALL, "--quiet", "--fail-on", "helps")
    assert done.code == 3
    assert [line.partition(": the verdict")[0] for line in done.err.splitlines()] == [
        "forecheck: patchtst on waves.csv",
        "forecheck: patchtst on others.csv",
    ]
    assert forecheck("audit", waves, others, *SMALL, "--quiet", "--fail-on", "hurts").code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--models", "patchtst,patchtst"), "--models names 'patchtst' twice"),
        (("--models", " , "), "--models ' , ' has an empty name"),
        (("--models", "patchtst", "--model", "samformer"), "--model and --models are both given"),
        (("--models", "patchtst,pathctst"), "pathctst"),
        (("--margin", 3), "got 3; nor can the other 1 cells of the survey be run"),
        (("--set", "linaer.ridge=0"), "options are set for linaer, which this audit does not run"),
    ],
)
def test_what_is_wrong_for_all_cells_is_refused(forecheck, waves, others, arguments, message):
    done = forecheck("audit", waves, others, *SMALL, *arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.err


def test_a_set_is_named_once(forecheck, waves, tmp_path, audited):
    done = forecheck("audit", waves, waves, *SMALL)
    assert done.code == 2
    assert "is named twice in one survey" in done.err
    (tmp_path / "b").mkdir()
    again = write_csv(tmp_path / "b" / "waves.csv", hourly(400, seed=9))
    done = forecheck("audit", "waves.csv", again, *SMALL, "--json", "-", "--quiet")
    assert json.loads(done.out)["sets"] == ["waves.csv", str(again)]


def test_data_that_cannot_be_read_are_refused_before_the_work(forecheck, waves, audited):
    done = forecheck("audit", waves, "nowhere.csv", *SMALL)
    assert done.code == 2
    assert audited[0] == []


def test_from_python_names_are_ones_own(audited):
    audited[1]["samformer", "waves"] = DataError("too short")
    shown = []
    report = several.survey(
        {"first": hourly(400), "second": hourly(500)},
        {"mine": lambda panel: lambda x: x[:, : len(panel.channels)], "theirs": "samformer"},
        horizon=6,
        callback=shown.append,
    )
    assert report.data["models"] == ["mine", "theirs"]
    assert [(cell.set, cell.state) for cell in report.cells] == [
        ("first", "done"), ("second", "done"), ("first", "cannot be run"), ("second", "cannot be run"),
    ]  # fmt: skip
    assert len(shown) == 4
    assert audited[0][0][2]["name"] == "mine"
    alone = several.survey(hourly(400))
    assert (alone.data["models"], alone.data["sets"]) == (["patchtst"], ["waves"])


def test_two_panels_of_one_name_need_names(audited):
    with pytest.raises(UsageError, match="two of the data sets are called 'waves'"):
        several.survey([hourly(400), hourly(500)])
