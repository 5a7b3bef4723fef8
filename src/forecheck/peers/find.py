"""Peers by name, `library:model`, and whether they can be had here."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from forecheck.errors import UsageError
from forecheck.peers.base import Assignment, Peer

COMBINATION = "combination"
CHANNELS = "combination:channels"
"""The same without known columns."""
OURS = (COMBINATION, CHANNELS)
_PEERS = {
    "statsforecast": "forecheck.peers.statsforecast.StatsForecastPeer",
    "mlforecast": "forecheck.peers.mlforecast.MLForecastPeer",
    "neuralforecast": "forecheck.peers.neuralforecast.NeuralForecastPeer",
    "chronos": "forecheck.peers.chronos.ChronosPeer",
}
"""By library; a module is imported when its library is asked for."""
_PACKAGES = {"chronos": "chronos-forecasting"}
"""Names in the package index where they differ."""


def is_peer(name: str) -> bool:
    """Whether a model is not one of our forecasters of windows."""
    return name == COMBINATION or ":" in name


def kind_of(name: str) -> type[Peer]:
    """The class behind a name.

    Raises:
        UsageError: if there is no such library, or it is not installed.
    """
    if name in OURS:
        from forecheck.peers.combination import ChannelsPeer, CombinationPeer

        return CombinationPeer if name == COMBINATION else ChannelsPeer
    library, _, model = name.partition(":")
    if library not in _PEERS or not model:
        raise UsageError(
            f"no peer is called {name!r}",
            f"Write library:model, as in statsforecast:AutoETS; libraries: {', '.join(_PEERS)}.",
        )
    if not _installed(library):
        raise UsageError(
            f"{name} needs {library}, which is not installed",
            f"Run: pip install {_PACKAGES.get(library, library)}   (or all peers: pip install 'forecheck[peers]').",
        )
    module, _, kind = _PEERS[library].rpartition(".")
    found: type[Peer] = getattr(import_module(module), kind)
    return found


def create_peer(name: str, task: Assignment, options: Mapping[str, Any]) -> Peer:
    """A peer by name.

    Args:
        name: as `kind_of`.
        task: what is to be forecast.
        options: keywords of the model; text is read as a Python literal where it is one.

    Raises:
        UsageError: if there is no such model, or it takes no such option.
    """
    kind = kind_of(name)
    return kind(name.partition(":")[2], task, {key: _read(value) for key, value in options.items()})


def release_of(name: str) -> str:
    """Release of the library, which decides a result as our own code does."""
    library = kind_of(name).library
    if not library:
        return "own"
    try:
        return version(_PACKAGES.get(library, library))
    except PackageNotFoundError:
        return str(getattr(import_module(library), "__version__", "unknown"))


def _installed(library: str) -> bool:
    try:
        return find_spec(library) is not None
    except ValueError:  # a module that was put together by hand has no spec
        return True


def _read(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value
