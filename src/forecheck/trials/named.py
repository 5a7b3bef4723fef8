"""What the names in a trial stand for: the label of its edit, the code that makes its result."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from functools import cache
from typing import Any

from forecheck.errors import UsageError
from forecheck.fingerprints import find_source, fingerprint
from forecheck.peers.find import is_peer, kind_of

# Chosen by name: a trial's own are added. What only refits or measures need is left out of the other trials.
_CHOSEN = ("forecheck.forecasters.", "forecheck.attention.", "forecheck.probes.")
_ROLLING, _MEASURES = "forecheck.trials.rolling", "forecheck.probes"
_SMALLER = "forecheck.sparsity.removal"  # of saved fits that were pruned; trials train whole networks
_PEERS = ("forecheck.trials.by_origin", "forecheck.peers.find")


def edit_label(edit: Mapping[str, Any]) -> str:
    """What a person calls an edit."""
    from forecheck.attention.edits import edit_from_dict

    return edit_from_dict(edit).label


def code_of(forecaster: str, edit: Mapping[str, Any] | None, measure: str | None, *, refit: bool) -> str:
    """Fingerprint of the code that makes a trial's result.

    That is the code of `forecheck.trials.run`, which fits and scores, with every adapter, and the code of the trial's
    forecaster, edit and measure; not that of other ones. Names that stand for nothing add nothing: such a trial cannot
    be run. A forecaster without a source file, as of a notebook, has a new fingerprint whenever it is defined anew.

    Args:
        forecaster: its name.
        edit: as a trial describes it; None for none.
        measure: name of what is measured; None for losses.
        refit: whether closed forms are refitted through the test part.
    """
    if is_peer(forecaster):
        return _peers(forecaster)
    kind = _forecaster(forecaster)
    names = [kind.__module__ if kind else None, _edit(edit), f"{_MEASURES}.{measure}" if measure else None]
    unread = _unread(kind) if kind and find_source(kind.__module__) is None else ""
    return _fingerprint(*(name for name in names if name), refit=refit, measured=measure is not None) + unread


def source_of(forecaster: str) -> tuple[str, ...]:
    """The module of a forecaster, if it has a source file."""
    kind = _forecaster(forecaster)
    return (kind.__module__,) if kind and find_source(kind.__module__) else ()


@cache
def _fingerprint(*names: str, refit: bool, measured: bool) -> str:
    without = [*_CHOSEN, *_PEERS, _SMALLER, *([] if refit else [_ROLLING]), *([] if measured else [_MEASURES])]
    return fingerprint("forecheck.trials.run", *names, *([_ROLLING] if refit else []), without=without)


@cache
def _peers(name: str) -> str:
    """Of the code that scores peers, and of the peer; without it only a trial that cannot be run is described."""
    try:
        own = kind_of(name).__module__
    except UsageError:
        own = "forecheck.peers.base"
    return fingerprint(_PEERS[0], own, without=[*_CHOSEN, _PEERS[1], _ROLLING, _MEASURES])


@cache
def _unread(kind: type) -> str:
    """Stands for code that cannot be read: what it gave counts in this process only."""
    del kind
    return secrets.token_hex(8)


def _forecaster(name: str) -> type | None:
    from forecheck.forecasters import registry

    try:
        return registry.find(name)
    except UsageError:
        return None


def _edit(edit: Mapping[str, Any] | None) -> str | None:
    if edit is None:
        return None
    from forecheck.attention.edits import edit_from_dict

    try:
        return type(edit_from_dict(edit)).__module__
    except UsageError:
        return None
