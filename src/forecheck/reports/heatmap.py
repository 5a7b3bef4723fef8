"""Attention matrices as small pictures inside the page, all on one colour scale."""

from __future__ import annotations

import base64
import math
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

LEVELS = 32  # the eye tells no more apart in a small picture, and few levels pack well
MOST_CELLS = 160_000  # of all pictures together; beyond it matrices are averaged to fewer cells
MOST_MAPS = 256
LIGHT, DARK = (255, 255, 255), (12, 44, 92)


@dataclass(frozen=True)
class Map:
    """One head: its picture, how many tokens it spreads over, and what else is known of it."""

    head: str
    picture: str
    spread: str
    text: str
    size: str
    numbers: str


@dataclass(frozen=True)
class Maps:
    """All heads by layer, and the scale they share."""

    layers: list[tuple[str, list[Map]]]
    rows: int
    columns: int
    top: str
    uniform: str
    scale: str
    averaged: int
    left_out: int


def maps(data: Mapping[str, Any]) -> Maps | None:
    """Pictures of every attention matrix; None if there are none."""
    given = [each for each in data.get("attention") or [] if each.get("matrix")]
    shown = given[:MOST_MAPS]
    if not shown:
        return None
    matrices = [np.nan_to_num(np.array(each["matrix"], dtype=np.float64)) for each in shown]
    side = max(8, math.isqrt(MOST_CELLS // len(shown)))
    small = [pooled(matrix, side) for matrix in matrices]
    top = float(np.quantile(np.concatenate([matrix.ravel() for matrix in small]), 0.995)) or 1.0
    layers: dict[str, list[Map]] = {}
    for each, matrix, cells in zip(shown, matrices, small, strict=True):
        spread = f"{effective_tokens(matrix):.1f}"
        levels = np.round(np.clip(cells / top, 0, 1) * (LEVELS - 1)).astype(np.uint8)
        text = f"layer {each.get('layer')}, head {each.get('head')}: spreads over {spread} of {matrix.shape[1]} tokens"
        size = f"{matrix.shape[0]} {matrix.shape[1]}"
        map_ = Map(str(each.get("head")), _uri(levels), spread, text, size, _entropy_text(matrix))
        layers.setdefault(str(each.get("layer")), []).append(map_)
    rows, columns = matrices[0].shape
    return Maps(
        list(layers.items()),
        rows,
        columns,
        f"{top:.3g}",
        f"{1 / columns:.3g}",
        _uri(np.arange(LEVELS, dtype=np.uint8)[None, :]),
        side if max(rows, columns) > side else 0,
        len(given) - len(shown),
    )


def effective_tokens(matrix: Float[np.ndarray, "query key"]) -> float:
    r"""Mean over queries of :math:`\exp H(a_q)`: 1 if each row looks at one token, `key` if it looks at all alike."""
    return float(np.exp(entropy(matrix)).mean())


def entropy(matrix: Float[np.ndarray, "query key"]) -> Float[np.ndarray, " query"]:
    r"""Of every query :math:`H(a_q) = -\sum_k a_{qk} \ln a_{qk}`, in nats: 0 to :math:`\ln` of the number of keys."""
    rows = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1e-12)
    return -(rows * np.log(np.maximum(rows, 1e-12))).sum(axis=1)


def _entropy_text(matrix: Float[np.ndarray, "query key"]) -> str:
    return f"entropy {entropy(matrix).mean():.2f} of at most {math.log(matrix.shape[1]):.2f} nats"


def pooled(matrix: Float[np.ndarray, "query key"], side: int) -> Float[np.ndarray, "row column"]:
    """The matrix averaged to at most `side` x `side` cells."""
    for axis in (0, 1):
        size = matrix.shape[axis]
        if size > side:
            edges = np.arange(side) * size // side
            widths = np.diff(np.append(edges, size))
            shape = (-1, 1) if axis == 0 else (1, -1)
            matrix = np.add.reduceat(matrix, edges, axis=axis) / widths.reshape(shape)
    return matrix


def png(levels: UInt8[np.ndarray, "row column"]) -> bytes:
    """A picture in the palette from `LIGHT` (0) to `DARK` (`LEVELS` - 1), by the PNG specification (ISO 15948)."""
    height, width = levels.shape
    share = np.linspace(0, 1, LEVELS)[:, None]
    palette = np.round((1 - share) * LIGHT + share * DARK).astype(np.uint8).tobytes()
    rows = np.concatenate([np.zeros((height, 1), np.uint8), levels], axis=1).tobytes()  # 0: rows are not filtered
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"PLTE", palette), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, body) for kind, body in chunks)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _uri(levels: UInt8[np.ndarray, "row column"]) -> str:
    return "data:image/png;base64," + base64.b64encode(png(levels)).decode("ascii")
