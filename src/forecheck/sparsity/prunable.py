"""What of a network can be pruned: the matrices of its linear maps, convolutions and recurrent layers, each once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from forecheck.errors import UsageError

_MAPS = (nn.Linear, nn.Conv1d, nn.Conv2d)
_RECURRENT = (nn.RNNBase, nn.RNNCellBase)
_MATRIX = 2
_IN_PROJECTIONS = ("q", "k", "v")


@dataclass(frozen=True, eq=False)
class Weight:
    """A matrix of weights.

    Attributes:
        name: of the parameter, with `[q]`, `[k]` or `[v]` where three matrices are one parameter.
        parameter: that holds it.
        rows: first and one past the last of the parameter's, None for all.
    """

    name: str
    parameter: nn.Parameter
    rows: tuple[int, int] | None = None

    @property
    def value(self) -> Tensor:
        """The matrix (output, input), sharing memory; of a convolution inputs are taps of channels."""
        return self.of(self.parameter.data)

    def of(self, tensor: Tensor) -> Tensor:
        """The part that belongs to it of a tensor of the parameter's shape, as its gradient, sharing memory."""
        return (tensor if self.rows is None else tensor[slice(*self.rows)]).flatten(1)

    @property
    def size(self) -> int:
        """Number of weights."""
        return self.value.numel()


@dataclass(frozen=True)
class Prunable:
    """What can be pruned of a network, and what not.

    Attributes:
        weights: matrices, in the order of the modules.
        left_out: by name of all other parameters, why they are left alone.
    """

    weights: list[Weight]
    left_out: dict[str, str]


def prunable(model: nn.Module, ignore: Sequence[str] = (), *, frozen: bool = False) -> Prunable:
    """Weights of linear maps, convolutions and recurrent layers, and those of `nn.MultiheadAttention`; tied ones once.

    Biases, norms, embeddings and bare parameters are left alone, and so is what does not learn. The gates of a
    recurrent layer are one matrix.

    Args:
        model: the network.
        ignore: names of parameters or modules to leave alone, with `*` and `?`; `head` is also `head.weight`.
        frozen: take weights that do not learn as well.

    Raises:
        UsageError: if a name of `ignore` fits nothing, or nothing is left to prune.
    """
    found: dict[str, Weight] = {}
    left_out: dict[str, str] = {}
    seen: dict[int, str] = {}
    used: set[str] = set()
    matrices = dict(_matrices(model))
    embedded = {id(each.weight) for each in model.modules() if isinstance(each, nn.Embedding | nn.EmbeddingBag)}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        ignored = [each for each in ignore if _fits(name, each)]
        used |= set(ignored)
        if id(parameter) in seen:
            if seen[id(parameter)] != name:
                left_out[name] = f"is {seen[id(parameter)]}, counted once"
        elif name not in matrices or parameter.is_complex():
            owner = model.get_submodule(name.rpartition(".")[0])
            left_out[name] = _why_not(parameter, owner, embedded=id(parameter) in embedded)
        elif ignored:
            left_out[name] = f"ignored as {ignored[0]}"
        elif not (frozen or parameter.requires_grad):
            left_out[name] = "frozen"
        else:
            found |= {weight.name: weight for weight in matrices[name]}
        seen.setdefault(id(parameter), name)
    if unused := [each for each in ignore if each not in used]:
        some = ", ".join(list(matrices)[:8])
        raise UsageError(f"--ignore {unused[0]} fits no parameter", f"There are {some}{' ...' * (len(matrices) > 8)}")
    if not found and any(why.startswith("ignored") for why in left_out.values()):
        raise UsageError("there is nothing to prune: all that could be pruned is ignored", "Ignore less.")
    if not found:
        raise UsageError(
            "there is nothing to prune: no linear map, convolution or recurrent layer with weights that learn",
            "Embeddings and bare parameters (nn.Parameter) are left alone, and closed-form models have no such "
            "weights; take a network with nn.Linear, convolutions, nn.LSTM or nn.MultiheadAttention.",
        )
    return Prunable(list(found.values()), left_out)


def head_of(model: nn.Module, weights: Sequence[Weight], x: Tensor) -> str:
    """Name of the weight that the forward pass uses last: for most forecasters the head, and most of the weights.

    Args:
        model: the network.
        weights: to choose from.
        x: an input.
    """
    owners = {id(weight.parameter): weight.name for weight in weights}
    last = ""

    def ran(module: nn.Module, *_: object) -> None:
        nonlocal last
        for parameter in module.parameters(recurse=False):
            last = owners.get(id(parameter), last)

    handles = [module.register_forward_hook(ran) for module in model.modules()]
    try:
        with torch.no_grad():
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    return last


def _matrices(model: nn.Module) -> Iterator[tuple[str, list[Weight]]]:
    """Weights by the name of their parameter."""
    for path, module in model.named_modules(remove_duplicate=False):
        prefix = f"{path}." if path else ""
        if isinstance(module, nn.MultiheadAttention):
            if isinstance(module.in_proj_weight, nn.Parameter):
                name, width = f"{prefix}in_proj_weight", module.embed_dim
                parts = [(place * width, (place + 1) * width) for place in range(3)]
                named = zip(_IN_PROJECTIONS, parts, strict=True)
                yield name, [Weight(f"{name}[{part}]", module.in_proj_weight, rows) for part, rows in named]
            for part in _IN_PROJECTIONS:
                weight = getattr(module, f"{part}_proj_weight")
                if isinstance(weight, nn.Parameter):
                    yield f"{prefix}{part}_proj_weight", [Weight(f"{prefix}{part}_proj_weight", weight)]
        elif isinstance(module, _RECURRENT):
            for name, parameter in module.named_parameters(recurse=False):
                if name.startswith("weight"):
                    yield f"{prefix}{name}", [Weight(f"{prefix}{name}", parameter)]
        elif isinstance(module, _MAPS) and "weight" in (own := dict(module.named_parameters(recurse=False))):
            yield f"{prefix}weight", [Weight(f"{prefix}weight", own["weight"])]


def _why_not(parameter: nn.Parameter, owner: nn.Module, *, embedded: bool) -> str:
    if embedded:
        return "an embedding"
    if isinstance(owner, parametrize.ParametrizationList):
        return (
            "what a weight is computed from; torch.nn.utils.parametrize.remove_parametrizations makes it a weight again"
        )
    if parameter.dim() < _MATRIX:
        return "a bias, the gain of a norm, or another vector"
    if parameter.is_complex():
        return "complex numbers"
    if type(owner).__module__.startswith("torch.nn."):
        return f"of {type(owner).__name__}, which is not among the layers that are pruned"
    return "a bare parameter, of which inputs and outputs are not known"


def _fits(name: str, pattern: str) -> bool:
    """Whether a parameter, or a module that it belongs to, is meant."""
    parts = name.split(".")
    return any(fnmatchcase(".".join(parts[:count]), pattern) for count in range(1, len(parts) + 1))
