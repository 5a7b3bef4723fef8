"""Which checks run, what makes the command fail, and models of the user's own."""

import json

import pytest
from command_lines import tiny

SMALL = ("--horizon", 6, "--lookback", 24, "--workers", 0, "--quiet", "--json", "-")
MODEL = """
import torch


class Net(torch.nn.Module):
    def __init__(self, lookback, horizon):
        super().__init__()
        self.horizon = horizon

    def forward(self, x):
        return x[:, -1:].expand(-1, self.horizon, -1)


def build(lookback, horizon, channels):
    return Net(lookback, horizon)


def nothing(lookback, horizon, channels):
    return None


def broken(lookback, horizon, channels):
    raise ValueError("no weights here")


three = 3
"""


@pytest.fixture
def model(tmp_path):
    (tmp_path / "net.py").write_text(MODEL)
    return "net.py:build"


def codes(done):
    return [finding["code"] for finding in json.loads(done.out)["findings"]]


def test_checks_are_listed_and_explained(forecheck):
    listed = forecheck("checks").out.splitlines()
    known = json.loads(forecheck("checks", "--json").out)
    assert [line.split()[0] for line in listed[1:]] == [check["code"] for check in known]
    assert len(known) > 30
    one = forecheck("checks", "fc301")
    assert "FC301: post-hoc: identity" in one.out
    assert "What to do." in one.out
    assert json.loads(forecheck("checks", "FC301", "--json").out)["family"] == "post-hoc"
    refused = forecheck("checks", "FC399")
    assert refused.code == 2
    assert "no check has the code 'FC399'\n  Did you mean FC30" in refused.err


def test_select_and_ignore(forecheck, waves, model):
    done = forecheck("audit", waves, *SMALL, "--model", model, "--select", "FC2,FC101", "--ignore", "FC203")
    assert codes(done) == ["FC101", "FC201", "FC202", "FC204", "FC205"]
    assert [skipped["code"] for skipped in json.loads(done.out)["skipped"]] == ["FC203"]
    refused = forecheck("audit", waves, *SMALL, "--model", model, "--select", "FC999")
    assert refused.code == 2
    assert "no check has the code 'FC999'" in refused.err
    removed = forecheck("audit", waves, *SMALL, "--model", model, "--select", "FC105")
    assert removed.code == 2
    assert "the check FC105 was removed" in removed.err
    assert "test rows are NaN during every fit" in " ".join(removed.err.split())


def test_slow_checks_are_named_when_they_are_left_out(forecheck, waves):
    done = forecheck("audit", waves, *SMALL, *tiny(), *(f"--ignore=FC{family}" for family in "1235678"))
    skipped = {one["code"]: one["why"] for one in json.loads(done.out)["skipped"]}
    assert skipped["FC402"] == "slow: run with --budget standard, or with --select FC402"
    assert skipped["FC301"] == "ignored"
    asked = forecheck("audit", waves, *SMALL, *tiny(), "--select", "FC402")
    assert codes(asked) == ["FC402"]


def test_settings_of_the_project_and_the_command_line_wins(forecheck, waves, model, tmp_path):
    (tmp_path / "pyproject.toml").write_text(
        '[tool.forecheck]\nselect = ["FC1"]\nignore = ["FC11"]\nfail-on = ["fail"]\n'
    )
    (tmp_path / "deep" / "er").mkdir(parents=True)
    done = forecheck("audit", waves, *SMALL, "--model", model)
    assert codes(done) == ["FC101", "FC104", "FC107", "FC108"]
    assert done.code == 0
    over = forecheck("audit", waves, *SMALL, "--model", model, "--select", "FC204", "--fail-on", "helps")
    assert codes(over) == ["FC204"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tool.forecheck]\nselekt = []", "tool.forecheck has no setting 'selekt'"),
        ('[tool.forecheck]\nselect = "FC1"', "tool.forecheck.select is a list of texts"),
        ("[tool", "cannot read"),
        ("[tool]\nforecheck = 3", "tool.forecheck is no table"),
    ],
)
def test_wrong_settings_name_the_file(forecheck, waves, model, tmp_path, text, message):
    (tmp_path / "pyproject.toml").write_text(text)
    done = forecheck("audit", waves, *SMALL, "--model", model)
    assert done.code == 2
    assert message in done.err
    assert "pyproject.toml" in done.err


def test_remedies_are_put_side_by_side(forecheck, waves, tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.forecheck]\nremedy = ["sam"]\nselect = ["FC202"]\n')
    small = tiny(layers=1, epochs=1, train_stride=4)
    done = forecheck("audit", waves, *SMALL, *small, "--remedy", "sgd, weight-decay")
    assert done.code == 0
    assert [row["name"] for row in json.loads(done.out)["remedies"]["rows"]] == ["sgd", "weight-decay"]
    shown = forecheck("audit", waves, *SMALL[:-2], *small, "--remedy", "sgd", "--remedy", "weight-decay")
    assert "grows?" in shown.out
    assert "weight-decay" in shown.out


def test_a_remedy_that_is_none_is_refused_before_the_work(forecheck, waves, tmp_path):
    done = forecheck("audit", waves, *SMALL, *tiny(), "--remedy", "hope")
    assert done.code == 2
    assert "no remedy is called 'hope'" in done.err
    (tmp_path / "pyproject.toml").write_text('[tool.forecheck]\nremedy = ["sam"]\n')
    done = forecheck("audit", waves, *SMALL, *tiny(sam=0.5))
    assert done.code == 2
    assert "patchtst cannot take the remedy 'sam': it is like that already\n  It accepts: " in done.err


def test_fail_on_makes_the_exit_code_three(forecheck, waves, model):
    # Repeating the last value loses to the season of these waves.
    asked = ("audit", waves, *SMALL, "--model", model, "--select", "FC2")
    assert forecheck(*asked).code == 0
    failed = forecheck(*asked, "--fail-on", "fail")
    assert failed.code == 3
    assert "FC202" in failed.err
    assert "failed (--fail-on fail)" in failed.err
    assert json.loads(failed.out)["kind"] == "audit"
    verdict = forecheck(*asked, "--fail-on", "not applicable")
    assert verdict.code == 3
    assert "the verdict is 'not applicable' (--fail-on)" in verdict.err
    assert forecheck(*asked, "--fail-on", "hurts").code == 0
    refused = forecheck(*asked, "--fail-on", "hurt")
    assert refused.code == 2
    assert "'hurt' is no outcome" in refused.err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere.py:build", "there is no file nowhere.py"),
        ("net.py:bild", "net.py has no function 'bild'"),
        ("net.py:three", "net.py has no function 'three'"),
        ("net.py:nothing", "function gives nothing"),
        ("net.py:broken", "broken failed: ValueError: no weights here"),
        ("bad.py:build", "bad.py cannot be run: ZeroDivisionError"),
    ],
)
def test_a_model_file_that_gives_no_model(forecheck, waves, model, tmp_path, name, message):
    (tmp_path / "bad.py").write_text("1 / 0")
    done = forecheck("audit", waves, *SMALL, "--model", name)
    assert done.code == 2
    assert message in done.err


FOUR = """
import torch


class Four(torch.nn.Module):
    pred_len = 6

    def forward(self, x_enc, x_mark_enc, x_dec, x_mark_dec):
        assert x_mark_enc.shape[1:] == (24, 4)
        return x_enc[:, -1:] + x_mark_dec[:, -6:, :1]


def build(lookback, horizon, channels):
    return Four()


def call(model, x, times):
    hour = torch.tensor(times.astype("datetime64[h]").astype(int) % 24).to(x)[:, :, None]
    return model(x, hour[:, :24].expand(-1, -1, 4), x, hour)
"""


def test_a_model_with_time_marks_is_called_by_name_or_by_a_function(forecheck, waves, tmp_path):
    (tmp_path / "four.py").write_text(FOUR)
    audit = ("audit", waves, "--model", "four.py:build", "--select", "FC201,FC104", *SMALL)
    for call in ("tslib", "tslib:h", "four.py:call"):
        done = forecheck(*audit, "--call", call)
        assert done.code == 0, done.err
        assert codes(done) == ["FC104", "FC201"]
    bare = forecheck(*audit)
    assert bare.code == 2
    assert "missing 3 required" in bare.err
    assert "--call tslib" in bare.err
    unknown = forecheck(*audit, "--call", "tslip")
    assert unknown.code == 2
    assert "no way of calling a model is called 'tslip'" in unknown.err
    ours = forecheck("audit", waves, "--call", "tslib", *SMALL)
    assert ours.code == 2
    assert "--call is for models of yours" in ours.err
