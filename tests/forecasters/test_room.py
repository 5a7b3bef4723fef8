"""What has no room in memory is refused with numbers, before anything is built."""

import json

import pytest
import torch

from forecheck.errors import DataError, UsageError
from forecheck.forecasters import registry, room
from forecheck.forecasters.base import Task
from forecheck.forecasters.room import TooLargeError, count_weights

TASK = Task(48, 6, 2, 24)
TRAINED = [each.name for each in registry.all_forecasters() if each.trained and each.name != "anchored-net"]


@pytest.mark.parametrize("name", TRAINED)
def test_weights_are_counted_without_being_held(name):
    kind = registry.find(name)
    held = kind(TASK).parameters
    assert held <= count_weights(lambda: kind(TASK), float("inf")) <= 4 * held + 1000


def test_counting_stops():
    made = []

    def build():
        for number in range(1000):
            made.append(torch.nn.Linear(1000, 1000))
            assert number < 10

    with pytest.raises(TooLargeError, match="asks for 3,002,000 weights or more"):
        count_weights(build, 2.5e6)
    assert all(each.weight.is_meta for each in made)


@pytest.mark.parametrize(
    ("name", "options", "lookback"),
    [
        ("nlinear", {}, 200_000),
        ("dlinear", {}, 200_000),
        ("anchored", {}, 200_000),
        ("patchtst", {"width": 200_000, "heads": 2}, 336),
        ("itransformer", {}, 2_000_000_000),
        ("transformer", {"hidden": 10**12}, 96),
        ("informer", {"width": 10**9, "heads": 8}, 96),
        ("vq-patchtst", {"vq_width": 2**62, "embedding": "vq-residual"}, 96),
        ("vq-patchtst", {"vq_codes": 10**9}, 96),
    ],
)
def test_what_does_not_fit_is_refused_with_numbers(name, options, lookback, monkeypatch):
    monkeypatch.setattr("forecheck.forecasters.room.available_memory", lambda: 16 * 10**9)
    with pytest.raises(UsageError, match=r"needs [\d.e+]+ GB of memory or more, and 16 GB are free\n  Give a shorter"):
        registry.create(name, Task(lookback, 20_000, 1, 24), options)


def test_what_fits_is_not_refused(monkeypatch):
    monkeypatch.setattr("forecheck.forecasters.room.available_memory", lambda: 2 * 10**9)
    for name in ("nlinear", "anchored", "patchtst"):
        registry.create(name, Task(336, 96, 7, 24))


@pytest.mark.parametrize(
    "change", [{"layers": 10**6}, {"width": 10**6}, {"hidden": 10**12}, {"layers": 10**9}], ids=str
)
def test_a_folder_that_asks_for_more_than_it_holds(change, tmp_path):
    options = {"patch": 8, "stride": 8, "width": 8, "heads": 2, "hidden": 16, "layers": 1}
    registry.create("patchtst", TASK, options).save(tmp_path)
    assert registry.load(tmp_path).task == TASK
    described = json.loads((tmp_path / "forecaster.json").read_text())
    described["config"] |= change
    (tmp_path / "forecaster.json").write_text(json.dumps(described))
    with pytest.raises(DataError, match="weights or more, and it does not hold so many"):
        registry.load(tmp_path)


@pytest.mark.parametrize("name", ["patchtst", "latst"])
def test_a_billion_small_layers_are_refused_soon(name, monkeypatch):
    """They were built one by one, for hours."""
    monkeypatch.setattr(room, "_TENSORS", 100)
    with pytest.raises(UsageError, match="more than 100 tensors of weights; give it fewer layers"):
        registry.create(name, TASK, {"layers": "1000000000", "width": "4", "heads": "1"})


@pytest.mark.parametrize("name", ["informer", "patchtst", "itransformer"])
@pytest.mark.parametrize("heads", ["0", "-2"])
def test_no_heads_are_refused(name, heads):
    with pytest.raises(UsageError, match="heads"):
        registry.create(name, TASK, {"heads": heads})
