"""Replacing attention patterns by something that looks at less."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from torch import Tensor, nn

from forecheck.attention.adapters.native import native_sites
from forecheck.attention.pattern_edits import AttentionEdit
from forecheck.attention.patterns import Fixed, FrozenMean, Identity, Mean, Shuffled, Zero
from forecheck.attention.response import not_tokens, rows_are_tokens
from forecheck.attention.sites import Attached, Site
from forecheck.errors import UsageError
from forecheck.nn.attention import PatternEdit

Mode = Literal["zero", "identity", "mean", "fixed", "frozen-mean", "shuffled"]
MODES: tuple[Mode, ...] = get_args(Mode)
POSTHOC_MODES: tuple[Mode, ...] = ("identity", "zero", "mean", "frozen-mean", "shuffled")
RETRAINED_MODES: tuple[Mode, ...] = ("identity", "zero", "mean", "fixed", "shuffled")


@dataclass(frozen=True)
class Replace(AttentionEdit):
    """Replace the attention pattern A; all else of the sublayer stays (value and output projections, biases, dropout).

    Attributes:
        mode: what A becomes.
            `zero` 0; `identity` I; `mean` the mean over allowed keys; `fixed` a trainable matrix a head;
            `frozen-mean` the mean of A over training windows; `shuffled` A of another window of the batch.
        seed: of the shuffles.

    Source: arXiv 2509.20942, section 3.1; definitions corrected where the released code differs (masked mean over
    keys instead of 1/head width, `fixed` a true parameter, residual scores only where raw scores exist).
    """

    kind = "replace"
    mode: Mode = "identity"
    layers: tuple[int, ...] | None = None
    heads: tuple[int, ...] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise UsageError(f"no replacement mode is called {self.mode!r}", f"Known: {', '.join(MODES)}.")

    @property
    def label(self) -> str:
        """The mode, and where."""
        return f"{self.mode}{self.where}"

    @property
    def of_sublayer(self) -> bool:
        """Nothing, and every token by itself, need no pattern."""
        return self.mode in ("zero", "identity")

    @property
    def needs_means(self) -> bool:
        """Only `frozen-mean` does."""
        return self.mode == "frozen-mean"

    def install(self, module: nn.Module, example: Tensor) -> None:
        """Make the replacement part of one of our models.

        Raises:
            UsageError: for `frozen-mean`, which needs a trained pattern; for layers or heads that are not there; for
                attention that is not ours.
        """
        if self.mode == "frozen-mean":
            raise UsageError("frozen-mean freezes the pattern of a trained model: it is a post-hoc edit only")
        sites = native_sites(module, example)
        if not sites:
            raise UsageError(
                f"{type(module).__name__} has no attention of forecheck's own (forecheck.nn.attention.Attention)",
                "Only such attention can be edited before training; edit the trained model instead.",
            )
        self.put([*sites], {})

    @property
    def of_each_head(self) -> bool:
        """Means are by head, and patterns of another window are of the same head."""
        return self.mode in ("frozen-mean", "shuffled")

    def check(self, attached: Attached, example: Tensor) -> None:
        """Refuse what would be untrained, and what means nothing.

        Args:
            attached: the model.
            example: windows.

        Raises:
            UsageError: for `fixed`, whose matrix would be untrained; for `identity`, where row i and column i of a
                pattern are not of the same token; as for every edit of heads.
        """
        super().check(attached, example)
        if self.mode == "identity" and attached.adapter != "native":
            chosen = self._chosen(attached.sites)
            places = rows_are_tokens(attached, example) if all(site.queries == site.keys for site in chosen) else {}
            wrong = [site.path for site in chosen if not places.get(site.layer, True)]
            if wrong:
                raise UsageError(f"{not_tokens(wrong[0])}: identity is undefined there")
        if self.mode == "fixed":
            raise UsageError(
                "fixed is a trainable matrix: post-hoc it would be untrained, so it is a retrained edit only"
            )

    def pattern(self, site: Site, means: Mapping[int, Tensor]) -> PatternEdit:
        """The replacement of one site."""
        if self.mode == "identity" and site.queries != site.keys:
            raise UsageError(
                f"{site.path} looks from {site.queries} tokens at {site.keys}: identity is undefined there"
            )
        if self.mode == "identity" and getattr(site, "across", False):
            raise UsageError(f"{not_tokens(site.path)}: identity is undefined there")
        makers: dict[str, Callable[[], PatternEdit]] = {
            "zero": Zero,
            "identity": Identity,
            "mean": Mean,
            "fixed": lambda: Fixed(site.heads, site.queries, site.keys),
            "frozen-mean": lambda: FrozenMean(means[site.layer]),
            "shuffled": lambda: Shuffled(self.seed + site.layer),
        }
        return makers[self.mode]()
