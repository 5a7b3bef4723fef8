"""What metrics reward, tried on twelve properties: the published table, and where ours differs from it."""

import numpy as np
import pytest

import forecheck as fc
from forecheck.anomaly.harness.generators import PROPERTIES, draws

NAMES = [each.name for each in PROPERTIES]
# Of the fact sheet: Y strict, w weak, - neither; measured there with another package on draws of its own.
TABLE = """
pointwise              Y Y Y Y Y w w w Y w Y -
pa                     w Y w Y Y w w w Y w Y -
pa_k                   w Y w Y Y w w w Y w Y -
dtpa                   w w w w w w w w Y w Y -
segment                w Y w Y w w w Y w w Y Y
composite              w Y w Y Y w w w Y w Y Y
range_front            Y Y Y Y w Y Y Y Y w Y Y
tapr                   Y Y Y Y w w - Y Y w Y Y
time_tolerant          w Y w Y Y - - w Y Y Y -
latency_sparsity       w Y w Y Y w w w Y w - -
affiliation            Y Y Y - - - - - Y Y - Y
affiliation_normalised Y Y Y - - - - - Y Y - Y
adc                    Y Y Y w w w w w - w Y Y
dair                   w w w Y Y - - w Y Y Y Y
tdir                   w Y w w w - - w - Y Y -
wdd                    Y Y Y Y Y - - w Y Y Y -
temporal_distance      Y Y Y - - - - - Y - Y -
nab                    Y Y w Y Y Y w w Y - Y Y
mttd                   w - w - w Y w w w - Y -
add                    - - - w w - - w - Y Y -
etapr                  Y - Y w w w - w Y w Y Y
pate_f                 Y Y Y Y Y w Y w Y w Y -
balanced_pa            w Y w Y Y w w Y Y w Y -
early_detection        Y w w w w w w w - Y Y Y
alarm                  Y Y Y Y Y Y Y Y Y w Y -
net_event              Y Y Y Y Y Y Y Y Y Y Y Y
"""
DRAWS = 24


def words(metric, **options):
    found = fc.anomaly.properties(metric, draws=DRAWS, **options)
    return {name: each.word if each.word in "Yw" else "-" for name, each in found.items()}


# What differs, and why; docs/anomaly-metrics.md says more.
DIFFERENT = {
    # Ties that so few draws do not meet.
    "time_tolerant": {"perf": "Y"},
    "tdir": {"perf": "Y"},
    "etapr": {"fa#": "Y", "fa-len": "Y", "fa-red": "Y"},
    # Two alarms may share a block, and the block before an anomaly may be the anomaly's.
    "latency_sparsity": {"fa#": "w", "near": "-"},
    # False points widened into the anomaly cost nothing, nor beyond the end of the series.
    "balanced_pa": {"fa-red": "w", "near": "-"},
    # Without any hit there is nothing to be near to: equal values.
    "wdd": {"near": "w"},
    "add": {"near": "w"},
    # Where nothing is found later the value is not a number.
    "mttd": {"perf": "-"},
    # Missed points behind the first detection weigh less and less in a straight line.
    "pate_f": {"redun": "-"},
    # Its windows are two steps to either side here, cut at whole steps.
    "early_detection": {"near": "w", "ev-eq": "-"},
}


@pytest.mark.parametrize("row", TABLE.strip().splitlines(), ids=lambda row: row.split()[0])
def test_the_table_comes_out(row):
    metric, *expected = row.split()
    found = words(metric)
    differs = {name: found[name] for name, word in zip(NAMES, expected, strict=True) if found[name] != word}
    assert differs == DIFFERENT.get(metric, {})


def test_draws_are_what_their_claims_say():
    for place, each in enumerate(PROPERTIES):
        found = draws(place, 20, 3)
        assert len(found) == 20
        for draw in found:
            assert draw.y.any()
            assert not (draw.good == draw.bad).all()
            if each.name == "extent":
                assert (draw.good & draw.bad == draw.bad).all()
                assert draw.y[draw.good & ~draw.bad].all()
            if each.name in ("redun", "fa-red"):
                assert draw.good.sum() == draw.bad.sum()
    assert (draws(0, 5, 1)[0].y == draws(0, 5, 1)[0].y).all()


def test_a_metric_of_ones_own_is_tried():
    found = fc.anomaly.properties(lambda y, p: float((y & p).sum()), draws=12)
    assert found["extent"].word == "Y"
    assert found["fa#"].word == "w"
    assert "of 12 strictly" in repr(found)
    assert "<td>extent</td>" in found._repr_html_()
    assert found.to_dict()["extent"]["strict"] == 12


@pytest.mark.parametrize(
    ("metric", "options", "error"),
    [
        ("auc_roc", {}, "needs scores, and properties are of alarms"),
        ("pointwise", {"draws": 0}, "draws is 0"),
        ("pointwise", {"window": 2}, "no parameter 'window'"),
        (lambda y, p: "good", {"draws": 1}, "gave 'good'"),
        (lambda y, p: np.zeros(2), {"draws": 1}, "gives one number"),
        (lambda y, p: 1.0, {"window": 2}, "takes no 'window'"),
    ],
)
def test_what_cannot_be_tried_is_refused(metric, options, error):
    with pytest.raises(fc.ForecheckError, match=error):
        fc.anomaly.properties(metric, **options)
