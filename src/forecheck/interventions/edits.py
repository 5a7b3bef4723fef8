"""Edits: interventions as data. What to change, on which layers and heads; serialisable, so a trial can hold them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from forecheck.errors import UsageError
from forecheck.interventions.patterns import Fixed, FrozenMean, Identity, Mean, OnHeads, Shuffled, Zero
from forecheck.interventions.sites import Site, find_sites
from forecheck.nn.attention import PatternEdit

Mode = Literal["zero", "identity", "mean", "fixed", "frozen-mean", "shuffled"]
MODES: tuple[Mode, ...] = get_args(Mode)
POSTHOC_MODES: tuple[Mode, ...] = ("identity", "zero", "mean", "frozen-mean", "shuffled")
RETRAINED_MODES: tuple[Mode, ...] = ("identity", "zero", "mean", "fixed", "shuffled")


@dataclass(frozen=True)
class Replace:
    """Replace the attention pattern A; all else of the sublayer stays (value and output projections, biases, dropout).

    Attributes:
        mode: what A becomes.
            `zero` 0; `identity` I; `mean` the mean over allowed keys; `fixed` a trainable matrix a head;
            `frozen-mean` the mean of A over training windows; `shuffled` A of another window of the batch.
        layers: which attention layers (0-based, in forward order), None for all.
        heads: which heads of them, None for all.
        seed: of the shuffles.

    Source: arXiv 2509.20942, section 3.1; definitions corrected where the released code differs (masked mean over
    keys instead of 1/head width, `fixed` a true parameter, residual scores only where raw scores exist).
    """

    mode: Mode
    layers: tuple[int, ...] | None = None
    heads: tuple[int, ...] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise UsageError(f"no replacement mode is called {self.mode!r}", f"Known: {', '.join(MODES)}.")

    @property
    def label(self) -> str:
        """A short name for tables."""
        layers = "" if self.layers is None else f" layers {','.join(map(str, self.layers))}"
        heads = "" if self.heads is None else f" heads {','.join(map(str, self.heads))}"
        return f"{self.mode}{layers}{heads}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return {"kind": "replace"} | asdict(self)

    def install(self, model: nn.Module, example: Tensor) -> None:
        """Make the edit part of the architecture, before training (the retrained arm).

        Raises:
            UsageError: for `frozen-mean`, which needs a trained pattern; for layers or heads that are not there.
        """
        if self.mode == "frozen-mean":
            raise UsageError("frozen-mean freezes the pattern of a trained model: it is a post-hoc edit only")
        self._put(find_sites(model, example).sites, {})

    @contextmanager
    def on(self, model: nn.Module, example: Tensor, calibration: Iterable[Tensor] = ()) -> Iterator[list[Site]]:
        """Edit a trained model for the time of a `with` block (the post-hoc arm); yields all its sites.

        Args:
            model: a trained forecaster.
            example: an input batch, for shapes.
            calibration: batches of training inputs; `frozen-mean` averages the raw pattern over them.

        Raises:
            UsageError: for `fixed`, whose matrix would be untrained; for `frozen-mean` without calibration.
        """
        if self.mode == "fixed":
            raise UsageError(
                "fixed is a trainable matrix: post-hoc it would be untrained, so it is a retrained edit only"
            )
        sites = find_sites(model, example).sites
        means = mean_patterns(model, sites, calibration) if self.mode == "frozen-mean" else {}
        try:
            self._put(sites, means)
            yield sites
        finally:
            for site in sites:
                site.edit(None)

    def _put(self, sites: list[Site], means: Mapping[int, Tensor]) -> None:
        chosen = self._chosen(sites)
        for site in chosen:
            pattern = self._pattern(site, means)
            if self.heads is not None:
                beyond = [head for head in self.heads if not 0 <= head < site.heads]
                if beyond:
                    raise UsageError(f"{site.path} has heads 0 to {site.heads - 1}, not {beyond[0]}")
                pattern = OnHeads(pattern, self.heads)
            pattern.keep_scores = self.heads is not None or len(chosen) < len(sites)
            site.edit(pattern)

    def _chosen(self, sites: list[Site]) -> list[Site]:
        if self.layers is None:
            return sites
        beyond = [layer for layer in self.layers if not 0 <= layer < len(sites)]
        if beyond:
            raise UsageError(f"the model has attention layers 0 to {len(sites) - 1}, not {beyond[0]}")
        return [site for site in sites if site.layer in self.layers]

    def _pattern(self, site: Site, means: Mapping[int, Tensor]) -> PatternEdit:
        makers: dict[str, Callable[[], PatternEdit]] = {
            "zero": Zero,
            "identity": Identity,
            "mean": Mean,
            "fixed": lambda: Fixed(site.heads, site.queries, site.keys),
            "frozen-mean": lambda: FrozenMean(means[site.layer]),
            "shuffled": lambda: Shuffled(self.seed + site.layer),
        }
        return makers[self.mode]()


Edit = Replace


def edit_from_dict(described: Mapping[str, Any]) -> Edit:
    """The edit that `to_dict` described."""
    options: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in described.items()
    }
    kind = options.pop("kind", None)
    if kind != "replace":
        raise UsageError(f"no edit is called {kind!r}")
    return Replace(**options)


@torch.no_grad()
def mean_patterns(model: nn.Module, sites: list[Site], batches: Iterable[Tensor]) -> dict[int, Tensor]:
    """Mean raw pattern (head, query, key) of every site over all series of all batches, by layer.

    Raises:
        UsageError: if there are no batches.
    """
    sums = {site.layer: torch.zeros(site.heads, site.queries, site.keys, dtype=torch.float64) for site in sites}
    counts = dict.fromkeys(sums, 0)

    def add(layer: int) -> Callable[[Tensor], None]:
        def record(weights: Tensor) -> None:
            sums[layer] += weights.sum(dim=0, dtype=torch.float64).cpu()
            counts[layer] += len(weights)

        return record

    model.eval()
    try:
        for site in sites:
            site.observe(add(site.layer))
        for x in batches:
            model(x)
    finally:
        for site in sites:
            site.observe(None)
    if not all(counts.values()):
        raise UsageError("frozen-mean needs calibration windows to average the pattern over")
    return {layer: (total / counts[layer]).float() for layer, total in sums.items()}
