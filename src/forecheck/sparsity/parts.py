"""Parts of a network that can become smaller: attention by its heads, feed-forward parts by their hidden units."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from forecheck.nn.attention import Attention
from forecheck.nn.dropout import Dropout
from forecheck.nn.feedforward import FeedForward
from forecheck.nn.score_positions import Rotary
from forecheck.sparsity.groups import Groups, Member
from forecheck.sparsity.smaller import FewerHeads, NoHeads, bias_of, narrow

Kind = Literal["heads", "units"]
_ELEMENTWISE = (
    *(nn.ReLU, nn.ReLU6, nn.GELU, nn.SiLU, nn.Mish, nn.ELU, nn.SELU, nn.CELU, nn.LeakyReLU, nn.Softplus),
    *(nn.Tanh, nn.Sigmoid, nn.Hardswish, nn.Hardtanh, nn.Softsign, nn.Identity, nn.Dropout, Dropout),
)


@dataclass(frozen=True, eq=False)
class Part(ABC):
    """Heads of one attention, or hidden units between two linear maps.

    Attributes:
        path: where it is in the network.
    """

    path: str
    kind: ClassVar[Kind]
    fixed: ClassVar[str] = ""
    """Why it keeps its size whatever is zero."""
    fewest: ClassVar[int] = 0
    """How many stay at least."""

    @property
    @abstractmethod
    def count(self) -> int:
        """Heads, or units."""

    @abstractmethod
    def members(self, owners: tuple[int, ...]) -> tuple[Member, ...]:
        """Where its weights are.

        Args:
            owners: the group of every head or unit.
        """

    @abstractmethod
    def dead(self) -> Bool[Tensor, " count"]:
        """Which of them make no difference to any forecast."""

    @abstractmethod
    def shrink(self, model: nn.Module, kept: Sequence[int]) -> None:
        """Keep some and take the others away, in place.

        Args:
            model: the network.
            kept: in order.
        """

    def _name(self, rest: str) -> str:
        return f"{self.path}.{rest}" if self.path else rest


@dataclass(frozen=True, eq=False)
class Heads(Part):
    """Heads of an attention of ours."""

    attention: Attention
    kind = "heads"

    @property
    def count(self) -> int:
        """Heads."""
        return self.attention.heads

    def members(self, owners: tuple[int, ...]) -> tuple[Member, ...]:
        """Rows that make queries, keys and values, and columns of what puts heads together."""
        return Member(self._name("project.weight"), 0, 3, owners), Member(self._name("out.weight"), 1, 1, owners)

    def dead(self) -> Bool[Tensor, " count"]:
        """Heads whose values are zero, or lead nowhere."""
        a = self.attention
        values = a.project.weight.detach()[2 * a.inner :]
        empty = ~values.view(a.heads, -1).any(dim=1)
        bias = bias_of(a.project)
        if bias is not None:
            empty &= ~bias.detach()[2 * a.inner :].view(a.heads, -1).any(dim=1)
        return empty | ~a.out.weight.detach().view(a.out.out_features, a.heads, -1).any(dim=2).any(dim=0)

    def shrink(self, model: nn.Module, kept: Sequence[int]) -> None:
        """Put a smaller attention in its place."""
        replace_module(model, self.path, FewerHeads(self.attention, kept) if kept else NoHeads(self.attention))


@dataclass(frozen=True, eq=False)
class TorchHeads(Part):
    """Heads of torch's attention, whose code has as many features in all heads as in a token."""

    attention: nn.MultiheadAttention
    kind = "heads"
    fixed = "nn.MultiheadAttention computes all of its heads"

    @property
    def count(self) -> int:
        """Heads."""
        return self.attention.num_heads

    def members(self, owners: tuple[int, ...]) -> tuple[Member, ...]:
        """Rows that make queries, keys and values, and columns of what puts heads together."""
        own = dict(self.attention.named_parameters(recurse=False))
        form = "in_proj_weight[{}]" if "in_proj_weight" in own else "{}_proj_weight"
        rows = (Member(self._name(form.format(part)), 0, 1, owners) for part in "qkv")
        return *rows, Member(self._name("out_proj.weight"), 1, 1, owners)

    def dead(self) -> Bool[Tensor, " count"]:
        """Heads that lead nowhere."""
        out = self.attention.out_proj.weight.detach()
        return ~out.view(len(out), self.count, -1).any(dim=2).any(dim=0)

    def shrink(self, model: nn.Module, kept: Sequence[int]) -> None:
        """Never."""
        raise NotImplementedError(self.fixed)


@dataclass(frozen=True, eq=False)
class Units(Part):
    """Hidden units between two linear maps with an activation of each by itself.

    Attributes:
        first, second: the maps and their names.
        activation: of what is between them.
    """

    first: tuple[str, nn.Linear]
    second: tuple[str, nn.Linear]
    activation: Callable[[Tensor], Tensor]
    kind = "units"
    fewest = 1

    @property
    def count(self) -> int:
        """Units."""
        return self.first[1].out_features

    def members(self, owners: tuple[int, ...]) -> tuple[Member, ...]:
        """Rows of the first map and columns of the second."""
        return Member(f"{self.first[0]}.weight", 0, 1, owners), Member(f"{self.second[0]}.weight", 1, 1, owners)

    def dead(self) -> Bool[Tensor, " count"]:
        """Units that lead nowhere, or are the same number whatever the input."""
        found = ~self.second[1].weight.detach().any(dim=0)
        return found if bias_of(self.second[1]) is None else found | self._constant()

    @torch.no_grad()
    def shrink(self, model: nn.Module, kept: Sequence[int]) -> None:
        """Narrow both maps; units that are constant go into the second bias, and one unit stays in any case."""
        first, second = self.first[1], self.second[1]
        gone = self._constant()
        gone[list(kept)] = False
        bias = bias_of(second)
        if gone.any() and bias is not None:
            own = bias_of(first)
            before = first.weight.new_zeros(self.count) if own is None else own
            bias.add_(second.weight[:, gone] @ self.activation(before)[gone])
        index = torch.tensor(list(kept) or [0])
        if not kept:
            second.weight[:, 0] = 0
        narrow(first, 0, index)
        narrow(second, 1, index)

    def _constant(self) -> Bool[Tensor, " count"]:
        return ~self.first[1].weight.detach().any(dim=1)


def parts_of(model: nn.Module) -> dict[str, Part]:
    """By path, all parts of a network that can become smaller, or whose heads are known.

    Left out are those that share weights with others, attention that is edited, and heads with positions of their own.

    Args:
        model: the network.
    """
    times = Counter(id(each) for _, each in model.named_parameters(remove_duplicate=False))
    found = {}
    for part, module in _parts(model):
        if all(times[id(each)] == 1 for each in module.parameters()):
            found[part.path] = part
    return found


def groups_of(model: nn.Module, kind: Kind, names: Collection[str]) -> list[Groups]:
    """The heads, or units, of every layer. With residual scores a head is one through all layers.

    Args:
        model: the network.
        kind: which.
        names: of the weights that may be pruned; what has others is left out.
    """
    parts = {path: part for path, part in parts_of(model).items() if part.kind == kind}
    chains = chains_of(model)
    chained = {path for chain in chains for path in chain}
    layers = [{path: tuple(range(part.count))} for path, part in parts.items() if path not in chained]
    layers += [heads_of(model, chain) for chain in chains if all(path in parts for path in chain)]
    found = []
    for layer in layers:
        members = tuple(each for path, owners in layer.items() for each in parts[path].members(owners))
        if all(member.name in names for member in members):
            found.append(Groups(max(max(owners) for owners in layer.values()) + 1, members))
    return found


def chains_of(model: nn.Module) -> list[list[str]]:
    """Paths of attentions that add the scores of the one before, up to the first without heads."""
    chains = []
    for path, module in model.named_modules():
        blocks = getattr(module, "blocks", None)
        if getattr(module, "residual_scores", False) is not True or not isinstance(blocks, nn.ModuleList):
            continue
        prefix = f"{path}." if path else ""
        own = [isinstance(getattr(block, "attention", None), Attention) for block in blocks]
        chains.append([f"{prefix}blocks.{place}.attention" for place in range((*own, False).index(False))])
    return [chain for chain in chains if len(chain) > 1]


def heads_of(model: nn.Module, chain: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """By path, which heads of the first attention of a chain a layer goes on with."""
    owners: dict[str, tuple[int, ...]] = {}
    last: tuple[int, ...] = ()
    for path in chain:
        attention = model.get_submodule(path)
        assert isinstance(attention, Attention)
        below = getattr(attention, "below", None)
        last = tuple(range(attention.heads)) if not owners else last if below is None else tuple(last[k] for k in below)
        owners[path] = last
    return owners


def replace_module(model: nn.Module, path: str, module: nn.Module) -> None:
    """Put a module where another one is."""
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, module)


def _parts(model: nn.Module) -> Iterator[tuple[Part, nn.Module]]:
    for path, module in model.named_modules():
        prefix = f"{path}." if path else ""
        if isinstance(module, Attention):
            if path and module.edit is None and (module.positions is None or isinstance(module.positions, Rotary)):
                yield Heads(path, module), module
        elif isinstance(module, nn.MultiheadAttention):
            yield TorchHeads(path, module), module
        elif isinstance(module, FeedForward):
            maps = (f"{prefix}inner", module.inner), (f"{prefix}outer", module.outer)
            yield from _units(*maps, nn.functional.gelu)
        elif isinstance(module, nn.TransformerEncoderLayer | nn.TransformerDecoderLayer):
            maps = (f"{prefix}linear1", module.linear1), (f"{prefix}linear2", module.linear2)
            yield from _units(*maps, module.activation)
        elif type(module) is nn.Sequential:
            yield from _in_a_row(prefix, module)


def _in_a_row(prefix: str, module: nn.Sequential) -> Iterator[tuple[Part, nn.Module]]:
    """Units between neighbouring linear maps of a sequence."""
    own = list(module)
    maps = [place for place, each in enumerate(own) if isinstance(each, nn.Linear)]
    for a, b in pairwise(maps):
        between = own[a + 1 : b]
        if all(isinstance(each, _ELEMENTWISE) for each in between):
            activation = copy.deepcopy(nn.Sequential(*between)).eval()
            yield from _units((f"{prefix}{a}", own[a]), (f"{prefix}{b}", own[b]), activation)


def _units(
    first: tuple[str, nn.Module], second: tuple[str, nn.Module], activation: Callable[[Tensor], Tensor]
) -> Iterator[tuple[Part, nn.Module]]:
    """Units between two maps with weights of their own, which no parametrization or pruning of torch makes."""
    (_, a), (_, b) = first, second
    if not (isinstance(a, nn.Linear) and isinstance(b, nn.Linear) and a.out_features == b.in_features):
        return
    if all("weight" in dict(each.named_parameters(recurse=False)) for each in (a, b)):
        yield Units(first[0], (first[0], a), (second[0], b), activation), nn.ModuleList([a, b])
