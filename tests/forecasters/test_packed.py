"""Tensors with many zeros take few bytes and come back bit by bit."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from forecheck.forecasters.base import Task
from forecheck.forecasters.packed import pack, unpack
from forecheck.forecasters.registry import find


@given(st.integers(1, 60), st.integers(1, 60), st.floats(0, 1), st.integers(0, 99))
def test_every_bit_comes_back(rows, columns, share, seed):
    draw = torch.Generator().manual_seed(seed)
    held = torch.randn(rows, columns, generator=draw)
    tensors = {
        "a": held * (torch.rand(rows, columns, generator=draw) > share),
        "b": -torch.zeros(600),
        "n": torch.arange(9),
    }
    packed = pack(tensors)
    for name, tensor in unpack(packed).items():
        assert tensor.dtype == tensors[name].dtype
        assert torch.equal(tensor, tensors[name])
        assert torch.equal(torch.signbit(tensor), torch.signbit(tensors[name]))
    size = sum(each.numel() * each.element_size() for each in packed.values())
    assert size <= sum(each.numel() * each.element_size() for each in tensors.values())


def test_a_pruned_network_is_a_smaller_file(tmp_path):
    kind = find("patchtst")
    forecaster = kind(Task(96, 24, 1))
    forecaster.save(tmp_path / "dense")
    with torch.no_grad():
        for parameter in forecaster.module.parameters():
            parameter[torch.rand_like(parameter) < 0.9] = 0
    forecaster.save(tmp_path / "sparse")
    sizes = [(tmp_path / name / "weights.safetensors").stat().st_size for name in ("dense", "sparse")]
    assert sizes[1] < 0.3 * sizes[0]
    x = torch.randn(3, 96, 1)
    assert torch.equal(kind.load(tmp_path / "sparse").predict(x), forecaster.predict(x))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"a#values": torch.ones(3)}, "3 values"),
        ({"a#shape": torch.tensor([10**9, 10**9])}, "does not fit"),
        ({"a#shape": torch.tensor([-40, -40])}, "does not fit"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(change, said):
    packed = pack({"a": torch.zeros(40, 40)})
    with pytest.raises(ValueError, match=said):
        unpack(packed | change)
    del packed["a#shape"]
    with pytest.raises(ValueError, match="lacks a part"):
        unpack(packed)
