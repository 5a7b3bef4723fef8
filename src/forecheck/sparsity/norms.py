"""Norms of what comes into linear maps, whatever way the product is called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from forecheck.errors import UsageError
from forecheck.sparsity.prunable import Weight

_PRODUCTS = {"mm": 1, "addmm": 2, "bmm": 1}
"""Place of the second factor; a weight may be either."""


class _Products(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees products with a weight by its memory, since attention does not call its projections as modules."""

    def __init__(self, weights: Sequence[Weight]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.weights = list(weights)
        self.squares = {weight.name: weight.value.new_zeros(weight.value.shape[1]) for weight in weights}
        self.met: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func.overloadpacket.__name__
        if name in _PRODUCTS:
            left, right = args[_PRODUCTS[name] - 1], args[_PRODUCTS[name]]
            # Inputs lie next to each other in a weight; a product over its outputs is something else.
            self._add(right, -2, lambda: left.reshape(-1, left.shape[-1]).square().sum(dim=0))
            self._add(left, -1, lambda: right.square().sum(dim=-1).reshape(-1, right.shape[-2]).sum(dim=0))
        elif name == "convolution" and not args[6] and args[8] == 1:  # neither transposed nor in groups
            self._add(args[1], -1, lambda: _taps(*args[:2], *args[3:6]))
        return func(*args, **(kwargs or {}))

    def _add(self, factor: Tensor, inputs: int, squares: Callable[[], Tensor]) -> None:
        first = factor.storage_offset()
        extent = 1 + sum((size - 1) * stride for size, stride in zip(factor.shape, factor.stride(), strict=True))
        for weight in self.weights:
            value = weight.value
            same = factor.untyped_storage().data_ptr() == value.untyped_storage().data_ptr()
            if same and factor.stride(inputs) == 1 and first <= value.storage_offset() < first + extent:
                self.squares[weight.name] += squares()
                self.met.add(weight.name)


def _taps(x: Tensor, weight: Tensor, stride: list[int], padding: list[int], dilation: list[int]) -> Tensor:
    """Squares by channel and tap of a convolution in one or two dimensions."""
    flat = weight.dim() == 3
    size = (1, *weight.shape[2:]) if flat else tuple(weight.shape[2:])
    lead, ahead = (1,) * flat, (0,) * flat
    unfolded = torch.nn.functional.unfold(
        x.unsqueeze(2) if flat else x, size, (*lead, *dilation), (*ahead, *padding), (*lead, *stride)
    )
    return unfolded.square().sum(dim=(0, 2))


@torch.no_grad()
def input_norms(model: torch.nn.Module, weights: Sequence[Weight], batches: Sequence[Tensor]) -> dict[str, Tensor]:
    r"""By name of a weight, :math:`\lVert x_j \rVert_2` of every input over all rows of all batches.

    Args:
        model: the network; it is run in evaluation mode.
        weights: linear maps, and convolutions without groups.
        batches: inputs of the network.

    Raises:
        UsageError: if a weight is used in a way that does not show its inputs.
    """
    was, fast = model.training, torch.backends.mha.get_fastpath_enabled()
    model.eval()
    torch.backends.mha.set_fastpath_enabled(False)  # which shows no products
    try:
        with _Products(weights) as products:
            for x in batches:
                model(x)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        model.train(was)
    missing = [weight.name for weight in weights if weight.name not in products.met]
    if missing:
        raise UsageError(
            f"the inputs of {missing[0]} are not seen, which the method wanda needs",
            f"Leave it out by --ignore {missing[0].split('[')[0]}, or take another method.",
        )
    return {name: squares.sqrt() for name, squares in products.squares.items()}
