"""What samovar says of its own forecasts: measured on a trained model, and told by three checks in every form."""

import json

import numpy as np
import pytest
from made import evidence, experiment
from only import Only

from forecheck.auditing.audit import run_audit
from forecheck.auditing.budget import Budget
from forecheck.auditing.explained import CHECKS
from forecheck.auditing.measured import share
from forecheck.reports.report import Report
from forecheck.trials.means import Means
from forecheck.trials.protocol import Protocol
from forecheck.trials.store import Store
from panels import hourly

SMALL = Budget("small", (1,), False, {"epochs": 1, "train_stride": 8})
OPTIONS = {"samovar": {"width": 8, "heads": 2, "layers": 2}}


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    means = Means(Store(tmp_path_factory.mktemp("store")))
    return run_audit(
        hourly(400), "samovar", Protocol(12, 50), SMALL, means, options=OPTIONS, selection=Only(checks=CHECKS)
    )


@pytest.fixture(scope="module")
def found(report):
    return {finding["code"]: finding for finding in report["findings"]}


def test_all_three_apply(found):
    assert list(found) == ["FC708", "FC709", "FC710"]
    assert all((each["outcome"], each["severity"]) == ("pass", "info") for each in found.values())
    json.dumps(found, allow_nan=False)


def test_parts_and_constant_sum_to_the_forecasts_of_the_report(found, report):
    # The last chart is of the last test window, as is the last example, in a channel of its own turn.
    details = found["FC708"]["details"]
    chart, example = details["charts"][0], report["examples"][0]
    assert chart["title"] == f"Parts of the forecast, {example['channel']} from {example['origin'].replace('T', ' ')}"
    expected = np.add.reduce(chart["values"], axis=1) + details["constant"][0]
    np.testing.assert_allclose(expected, example["forecasts"]["samovar"], rtol=1e-3)
    assert len(chart["columns"]) == len(details["table"]["rows"]) == 5  # 50 steps in patches of 12, the first padded
    assert sum(row[1] for row in details["table"]["rows"]) == pytest.approx(1, abs=1e-3)
    assert all(row[1] == pytest.approx(row[2] + row[3], abs=2e-4) for row in details["table"]["rows"])


def test_paths_are_drawn_and_listed_the_heaviest_first(found):
    details = found["FC709"]["details"]
    assert len(details["charts"]) == 3
    for chart in details["charts"]:
        weights = [path["weight"] for path in chart["paths"]]
        assert weights == sorted(weights, reverse=True)
        assert all(path["nodes"] == sorted(path["nodes"], reverse=True) for path in chart["paths"])
        assert all(path["nodes"][0] == len(chart["tokens"]) - 1 == 9 for path in chart["paths"])
    assert len(details["table"]["rows"]) == 3 * 10
    # Ten tokens: ten paths of one layer, 55 of two.
    assert "Of 65 paths of up to 2 layers" in found["FC709"]["meaning"]


def test_coefficients_and_jacobian_are_figures_of_their_own(found):
    titles = [chart["title"].split(",")[0] for chart in found["FC710"]["details"]["charts"]]
    assert titles == ["Mixture coefficients", "Jacobian"] * 3
    coefficients, jacobian = found["FC710"]["details"]["charts"][:2]
    assert coefficients["rows"] == ["head 0", "head 1"]
    assert jacobian["rows"] == [f"step {k}" for k in range(1, 13)]
    assert len(jacobian["columns"]) == len(coefficients["columns"]) == 5


def test_every_form_of_the_report_has_the_numbers(found, report):
    made = Report(report)
    page, text, markdown = made.to_html(), made.to_text(verbose=True), made.to_markdown()
    assert page.count('class="lines arcs"') == 2 * 3  # for wide and for narrow pages
    assert page.count('class="heat"') == 3 + 6
    assert len(page) < 500_000
    path = found["FC709"]["details"]["table"]["rows"][0][1]
    patch, whole = found["FC708"]["details"]["table"]["rows"][-1][:2]
    assert f"newest patch makes up {share(whole)[:3]}" in found["FC708"]["meaning"]
    for form in (text, markdown, page):
        assert path in form
        assert f"{whole:.4f}" in form
        assert patch in form


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.code)
def test_models_that_cannot_split_their_forecasts_say_so(check):
    e = experiment()
    assert "samovar" in check.run(evidence(e)).why
    assert "samovar" in check.run(evidence(e, external=True, model="mine")).why


def test_too_many_paths_are_refused(tmp_path):
    # 84 tokens and three layers: 102,340 paths and fewer; with four layers there are two million.
    options = {"samovar": {"width": 4, "heads": 1, "layers": 4}}
    means = Means(Store(tmp_path))
    report = run_audit(
        hourly(400), "samovar", Protocol(2, 84), SMALL, means, options=options, selection=Only(checks=CHECKS)
    )
    parts, paths, both = report["findings"]
    assert (paths["outcome"], "too many" in paths["why"]) == ("not applicable", True)
    assert parts["outcome"] == both["outcome"] == "pass"
    assert [each["code"] for each in report["findings"]] == [check.code for check in CHECKS]
