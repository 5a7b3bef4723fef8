"""What all edits on attention patterns share: which sites and heads they touch, and how they get there."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor

from forecheck.attention.edits import Edit
from forecheck.attention.means import mean_patterns
from forecheck.attention.patterns import OnHeads
from forecheck.attention.response import heads_respond
from forecheck.attention.sites import Attached, Site, why_no_pattern
from forecheck.errors import UsageError
from forecheck.nn.attention import PatternEdit


class AttentionEdit(Edit):
    """An edit of attention patterns.

    Attributes:
        layers: which attention layers (0-based, in forward order), None for all.
        heads: which heads of them, None for all.
    """

    layers: tuple[int, ...] | None
    heads: tuple[int, ...] | None

    @property
    def where(self) -> str:
        """Layers and heads in words, empty for all."""
        layers = "" if self.layers is None else f" layers {','.join(map(str, self.layers))}"
        heads = "" if self.heads is None else f" heads {','.join(map(str, self.heads))}"
        return f"{layers}{heads}"

    @property
    def of_each_head(self) -> bool:
        """Whether every head gets a pattern of its own."""
        return self.needs_means

    @property
    def needs_means(self) -> bool:
        """Whether mean raw patterns over calibration windows are needed."""
        return False

    @property
    def of_sublayer(self) -> bool:
        """Whether it also says what becomes of a sublayer that has no pattern."""
        return False

    def check(self, attached: Attached, example: Tensor) -> None:
        """Refuse a model before anything is done to it (UsageError).

        Args:
            attached: the model.
            example: windows.

        Raises:
            UsageError: if the edit is of heads, and it is not known which patterns they are; if it is one of patterns,
                and a sublayer has none.
        """
        self._check_patterns(self._chosen(attached.sites))
        if self.heads is None and not self.of_each_head:
            return
        chosen = self._chosen(attached.sites)
        for site in chosen:
            if not getattr(site, "heads_known", True):
                raise UsageError(
                    f"which patterns of {site.path} are its heads is not known, so no head can be edited by itself",
                    "Name its heads by an adapter of yours (adapter=), or edit by mean, identity or zero.",
                )
        if self.heads is not None and attached.adapter != "native":
            wrong = [site.path for site in chosen if not heads_respond(attached, example).get(site.layer, True)]
            if wrong:
                raise UsageError(
                    f"what {wrong[0]} calls heads are windows or channels: one responds where another does not"
                )

    @abstractmethod
    def pattern(self, site: Site, means: Mapping[int, Tensor]) -> PatternEdit:
        """What the pattern of a site becomes; `means` by layer."""

    @contextmanager
    def applied(self, attached: Attached, example: Tensor, calibration: Iterable[Tensor]) -> Iterator[Attached]:
        """Put the edit on every chosen site."""
        self.check(attached, example)
        means = mean_patterns(attached, calibration) if self.needs_means else {}
        try:
            self.put(attached.sites, means)
            yield attached
        finally:
            for site in attached.sites:
                site.edit(None)

    def put(self, sites: list[Site], means: Mapping[int, Tensor]) -> None:
        """Put patterns on the chosen sites.

        Raises:
            UsageError: if a layer or head is not there, if identity is asked of cross-attention, or a pattern of a
                sublayer that has none.
        """
        chosen = self._chosen(sites)
        self._check_patterns(chosen)
        for site in chosen:
            pattern = self.pattern(site, means)
            if self.heads is not None:
                beyond = [head for head in self.heads if not 0 <= head < site.heads]
                if beyond:
                    raise UsageError(f"{site.path} has heads 0 to {site.heads - 1}, not {beyond[0]}")
                pattern = OnHeads(pattern, self.heads)
            pattern.keep_scores = self.heads is not None or len(chosen) < len(sites)
            site.edit(pattern)

    def _check_patterns(self, sites: list[Site]) -> None:
        """Refuse sublayers without a pattern, unless the edit is one of whole sublayers (UsageError)."""
        for site in sites:
            if (why := why_no_pattern(site)) and not (self.of_sublayer and self.heads is None):
                raise UsageError(f"{site.path} has no pattern to edit: {why}", "Replace it by zero or remove it.")

    def _chosen(self, sites: list[Site]) -> list[Site]:
        if self.layers is None:
            return sites
        beyond = [layer for layer in self.layers if not 0 <= layer < len(sites)]
        if beyond:
            raise UsageError(f"the model has attention layers 0 to {len(sites) - 1}, not {beyond[0]}")
        return [site for site in sites if site.layer in self.layers]
