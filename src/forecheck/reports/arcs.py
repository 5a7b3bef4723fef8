"""Paths of influence as arcs over tokens: one row a layer, the top layer first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from forecheck.reports import numbers
from forecheck.reports.svg import NONE, tag

COLOURS = 7
MOST_PATHS = 24
MOST_TOKENS = 512
ROW = 86  # height of a layer's row
THICKEST = 5.0


@dataclass(frozen=True)
class Path:
    """A chain of tokens, from the target down to the source, and its weight."""

    nodes: tuple[int, ...]
    weight: float


def paths_of(given: Mapping[str, Any]) -> list[Path]:
    """The paths of a chart that can be drawn, the heaviest first."""
    tokens, layers = given.get("tokens") or [], given.get("layers")
    if not isinstance(layers, int) or not 0 < len(tokens) <= MOST_TOKENS:
        return []
    paths = []
    for each in given.get("paths") or []:
        nodes, weight = each.get("nodes") or [], each.get("weight")
        fits = 1 < len(nodes) <= layers + 1 and all(isinstance(node, int) and 0 <= node < len(tokens) for node in nodes)
        if fits and numbers.known(weight):
            paths.append(Path(tuple(nodes), float(weight)))
    return sorted(paths, key=lambda path: -path.weight)[:MOST_PATHS]


def named(path: Path, tokens: Sequence[str]) -> str:
    """`11 ← 11 ← 3`: the target first."""
    return " ← ".join(tokens[node] for node in path.nodes)


def said(paths: Sequence[Path], tokens: Sequence[str]) -> str:
    """The paths in a sentence, for those who do not see them."""
    return f"The heaviest of {len(paths)} paths is {named(paths[0], tokens)}, of weight {paths[0].weight:.3g}."


def draw(given: Mapping[str, Any], title: str, paths: Sequence[Path], tokens: Sequence[str], width: int) -> Markup:
    """A row of tokens a layer; a hop of a path is an arc there, or a loop where it stays at its token.

    Args:
        given: the chart of a finding; its `layers`, `axis` and `x_label` are read here.
        title: of the chart.
        paths: the heaviest first, at least one.
        tokens: their names.
        width: of the drawing, in pixels; the height follows from the layers.
    """
    layers, left, right = int(given["layers"]), 62, width - 16

    def x(node: int) -> float:
        return left + (right - left) * (node + 0.5) / len(tokens)

    def base(layer: int) -> float:
        return 4 + ROW * (layers - layer + 1)

    height = base(1) + 40
    most, farthest = paths[0].weight or 1.0, max(len(tokens) - 1, 1)
    parts = []
    for layer in range(layers, 0, -1):
        parts.append(tag("path", d=f"M{left} {base(layer):.1f}H{right}", class_="grid"))
        parts.append(tag("text", f"layer {layer}", x=left - 8, y=base(layer) + 4, class_="label end"))
    for k in reversed(range(len(paths))):  # the heaviest on top
        path = paths[k]
        colour = f"c{1 + k}" if k < COLOURS else "other"
        thick = max(THICKEST * path.weight / most, 0.75)
        hops = []
        top = len(path.nodes) - 1
        for hop, (start, end) in enumerate(zip(path.nodes[:-1], path.nodes[1:], strict=True)):
            y = base(top - hop)
            if start == end:
                hops.append(f"M{x(start):.1f} {y:.1f}c-18 -30 18 -30 0 0")
            else:
                reach = (x(start) - x(end)) / 2
                rise = 14 + (ROW - 30) * (start - end) / farthest
                hops.append(f"M{x(start):.1f} {y:.1f}a{reach:.1f} {rise:.1f} 0 0 0 {-2 * reach:.1f} 0")
        label = f"{named(path, tokens)}: {path.weight:.3g}"
        parts.append(
            tag("path", tag("title", label), d="".join(hops), class_=f"arc {colour}", style=f"stroke-width:{thick:.2f}")
        )
        # Down to the next layer's row, where the path goes on from the token that it has come to.
        falls = "".join(f"M{x(node):.1f} {base(top - i):.1f}v{ROW}" for i, node in enumerate(path.nodes[1:-1]))
        if falls:
            parts.append(tag("path", d=falls, class_=f"fall {colour}"))
    for layer in range(layers, 0, -1):
        marks = "".join(f"M{x(node):.1f} {base(layer) - 2:.1f}v4" for node in range(len(tokens)))
        parts.append(tag("path", d=marks, class_="tick"))
    labels = [(node, str(name)) for node, name in enumerate(given.get("axis") or tokens) if name][: len(tokens)]
    room = 7 * max((len(name) for _, name in labels), default=0) + 10
    every = -(-len(labels) * room // (right - left)) or 1
    parts += [tag("text", name, x=x(node), y=base(1) + 18, class_="label") for node, name in labels[::-1][::every]]
    parts.append(tag("text", str(given.get("x_label") or ""), x=right, y=height - 4, class_="label end"))
    text = tag("title", title) + tag("desc", said(paths, tokens))
    return tag("svg", text + NONE.join(parts), viewBox=f"0 0 {width} {height:.0f}", class_="lines arcs", role="img")
