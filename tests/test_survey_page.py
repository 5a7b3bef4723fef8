"""The page of the survey: it is written after every cell, and goes on where it was."""

import importlib.util
import json
from pathlib import Path

import pytest

from forecheck.data.load import load
from forecheck.errors import TrialError

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "survey.py"
SETTINGS = {"budget": "quick", "time": "1m"}


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("survey_benchmark", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def sets(tmp_path):
    for name in ("a.csv", "b.csv"):
        rows = [f"2024-01-{day:02d},{day}" for day in range(1, 29)]
        (tmp_path / name).write_text("\n".join(["date,y", *rows]) + "\n")
    return [str(tmp_path / name) for name in ("a.csv", "b.csv")]


class Audits:
    """Counts audits; one of them fails as long as it is told to."""

    def __init__(self):
        self.asked, self.bad = [], ""

    def __call__(self, panel, model, horizon):
        self.asked.append((horizon, model, panel.name))
        if model == self.bad:
            raise TrialError("out of luck")
        verdict = {"worth": "yes", "outcome": "helps", "effect": 0.02, "interval": [0.01, 0.03], "sentence": "Yes."}
        verdict |= {"question": "architecture", "reference": None}
        p = {"greater": 1e-9, "less": 1.0, "equivalent": 1.0}
        findings = [{"code": "FC401", "family": "retrained", "p_values": p, "details": {"much": [1] * 1000}}]
        findings += [{"code": "FC101", "family": "harness", "p_values": None}]
        protocol = {"horizon": horizon, "lookback": 3, "level": 0.95, "seeds": [0, 1, 2], "channels": ["y"] * 1000}
        return {
            "verdict": verdict, "findings": findings, "protocol": protocol, "environment": {"python": "3"},
            "arms": [{"family": "raw", "mse": 0.3}, {"family": "reference", "mse": 0.4}],
        }  # fmt: skip


def test_cells_come_model_by_model_and_the_page_follows_every_one(script, sets, tmp_path, monkeypatch):
    pages, audits = [], Audits()
    write = script.write
    monkeypatch.setattr(
        script, "write", lambda kept, out: (write(kept, out), pages.append((out / "survey.md").read_text()))
    )
    script.run(["patchtst", "samformer"], sets, [2, 4], audits, SETTINGS, tmp_path)
    names = [load(name).name for name in sets]
    assert audits.asked == [
        (horizon, model, name) for horizon in (2, 4) for model in ("patchtst", "samformer") for name in names
    ]
    assert len(pages) == 8
    assert pages[0].count("**yes**") == 1
    assert "## Horizon 4" not in pages[3]
    assert pages[-1].count("**yes**") == 8
    assert "python benchmarks/survey.py --budget quick --time 1m" in pages[-1]
    assert pages[-1].count("(Holm, 4 of 4)") == 2
    assert "much" not in (tmp_path / "survey.json").read_text()


def test_it_goes_on_and_runs_again_what_has_no_verdict_or_other_settings(script, sets, tmp_path):
    audits = Audits()
    audits.bad = "samformer"
    script.run(["patchtst", "samformer"], sets, [2], audits, SETTINGS, tmp_path)
    page = (tmp_path / "survey.md").read_text()
    assert "Attention is worth it in 2 of 4 cells, is not in 0, undecided in 0 (2 failed)." in page
    assert "out of luck" in page
    audits.asked.clear()
    audits.bad = ""
    script.run(["patchtst", "samformer"], sets, [2], audits, SETTINGS, tmp_path)
    assert [model for _, model, _ in audits.asked] == ["samformer", "samformer"]
    audits.asked.clear()
    script.run(["patchtst"], sets[:1], [2], audits, SETTINGS | {"time": "2m"}, tmp_path)
    assert len(audits.asked) == 1
    kept = json.loads((tmp_path / "survey.json").read_text())["cells"]
    assert [(cell["model"], cell["settings"]["time"]) for cell in kept] == [
        ("patchtst", "2m"), ("patchtst", "1m"), ("samformer", "1m"), ("samformer", "1m"),
    ]  # fmt: skip
    assert "Cells were run with different settings" in (tmp_path / "survey.md").read_text()


def test_no_cell_is_started_after_the_time(script, sets, tmp_path):
    audits = Audits()
    script.run(["patchtst"], sets, [2], audits, SETTINGS, tmp_path, minutes=-1)
    assert audits.asked == []


def test_patchtst_comes_first_and_only_models_with_attention(script):
    names = script.audited_models()
    assert names[:4] == ["patchtst", "itransformer", "samformer", "transformer"]
    assert len(names) == len(set(names))
    assert {"differential", "samovar", "informer", "fedformer"} < set(names)
    assert not {"nlinear", "tsmixer"} & set(names)
