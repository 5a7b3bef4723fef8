"""Taking position away: codes zeroed, averaged or shuffled, and tokens shuffled."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from forecheck.attention.codes import Code, find_codes, recoded
from forecheck.attention.edits import Edit
from forecheck.attention.encoder import find_encoder, permutation
from forecheck.attention.sites import Attached
from forecheck.attention.trace import trace, two_traces
from forecheck.errors import UsageError
from forecheck.nn.placed import doubles
from forecheck.nn.seeding import derive


class PositionEdit(Edit):
    """An edit of stored position codes, see `find_codes`; the rest of the model stays."""

    @abstractmethod
    def values(self, code: Code) -> Tensor:
        """What a table becomes, (position, ..., feature)."""

    @contextmanager
    def applied(self, attached: Attached, example: Tensor, calibration: Iterable[Tensor]) -> Iterator[Attached]:
        """Put other values in every table."""
        with recoded(find_codes(trace(attached, example[:2])), self.values):
            yield attached


@dataclass(frozen=True)
class ZeroPositions(PositionEdit):
    """All codes 0.

    Source: arXiv 2509.20942 (the notebook released with it sets them to 0.5, not to 0).
    """

    kind = "zero-positions"

    @property
    def label(self) -> str:
        """The name of the arm in reports."""
        return "zero positions"

    def values(self, code: Code) -> Tensor:
        """Zeros in the place of every code."""
        return torch.zeros_like(code.rows())


@dataclass(frozen=True)
class FillPositions(PositionEdit):
    """Every feature of every code the same number.

    Attributes:
        value: that number.

    Source: the notebook released with arXiv 2509.20942, with 0.5 (see `ZeroPositions`). All positions are alike, as in
    `MeanPositions`, but what follows is moved by the number.
    """

    kind = "fill-positions"
    value: float = 0.5

    @property
    def label(self) -> str:
        """The name of the arm in reports."""
        return f"positions {self.value:g}"

    def values(self, code: Code) -> Tensor:
        """The same number in every row and feature."""
        return torch.full_like(code.rows(), self.value)


@dataclass(frozen=True)
class MeanPositions(PositionEdit):
    """Every code replaced by the mean over the positions in use.

    The first moment of the codes stays, so that the running statistics of norms hold.
    """

    kind = "mean-positions"

    @property
    def label(self) -> str:
        """The name of the arm in reports."""
        return "mean positions"

    def values(self, code: Code) -> Tensor:
        """The mean in every row."""
        rows = code.rows()
        return doubles(rows[: code.tokens]).mean(dim=0).to(rows).expand(rows.shape)


@dataclass(frozen=True)
class ShufflePositions(PositionEdit):
    """Every position gets the code of another: the codes stay what they are, their order goes.

    Attributes:
        seed: of the shuffles.
    """

    kind = "shuffle-positions"
    draws: ClassVar[int] = 5
    seed: int = 0

    @property
    def label(self) -> str:
        """The name of the arm in reports."""
        return "shuffle positions"

    def values(self, code: Code) -> Tensor:
        """The rows in use in another order, each table's from a stream of its own."""
        rows = code.rows()
        generator = torch.Generator().manual_seed(derive(self.seed, code.name))
        rows[: code.tokens] = rows[permutation(code.tokens, generator)]
        return rows


@dataclass(frozen=True)
class ShuffleTokens(Edit):
    r"""Tokens shuffled before the encoder and put back in order before the head.

    With tokens z (content), additive codes p, blocks f and a permutation P of the token axis

    .. math:: y = \mathrm{head}(P^{-1} f(P z + p))

    so every token meets the place of another, while the head finds each where it was. Codes are added before the
    first block, where hooks can reach the sum only; so it is done by permuting the rows of the codes, too, as
    :math:`P z + p = P (z + P^{-1} p)`. Blocks that see no order, :math:`f(P u) = P f(u)`, give
    :math:`\mathrm{head}(f(z + P^{-1} p))`: the forecast with permuted codes, and the old one without codes. Causal
    masks, rotary codes and relative biases are part of f, and meet tokens that are truly in another order.

    Attributes:
        seed: of the permutation.
    """

    kind = "shuffle-tokens"
    draws: ClassVar[int] = 5
    seed: int = 0

    @property
    def label(self) -> str:
        """The name of the arm in reports."""
        return "shuffle tokens"

    @contextmanager
    def applied(self, attached: Attached, example: Tensor, calibration: Iterable[Tensor]) -> Iterator[Attached]:
        """Permute codes and tokens."""
        traces = two_traces(attached, example)
        encoder = find_encoder(attached, example, traces)
        order = permutation(encoder.tokens, torch.Generator().manual_seed(derive(self.seed, self.kind)))
        try:
            codes = find_codes(traces[0])
        except UsageError:  # none are stored: then there are none to permute
            codes = []
        # Those that reach the first block: held by a module around it, or by one that ran before it.
        before = {id(call.module) for call in traces[0].calls if call.start <= encoder.start.start}
        codes = [code for code in codes if not code.relative and id(code.owner) in before]

        def moved(code: Code) -> Tensor:
            rows = code.rows()
            if len(rows) >= encoder.tokens:
                rows[: encoder.tokens] = rows[order.argsort().to(rows.device)]
            return rows

        with recoded(codes, moved), encoder.permuted(order):
            yield attached
