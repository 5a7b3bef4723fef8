"""What editing attention costs: one evaluation pass with each post-hoc edit beside a plain one.

    python benchmarks/posthoc.py

Writes benchmarks/results/posthoc.md and posthoc.json.

Four models of 3 layers x 16 heads, width 128, on 21 patches of 16 steps: our PatchTST, one that calls
`scaled_dot_product_attention`, one that writes einsum, softmax, einsum, and `torch.nn.TransformerEncoder`. In every
round each model forecasts the same batches plainly and then with every edit; what is reported are medians over rounds
of the ratio to the plain pass of the same round. "48 heads" is the time of replacing one head after the other by the
mean, in plain passes. Calibration passes and the finding of sites are left out of the modes and told apart.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from forecheck.attention.replace import POSTHOC_MODES, Replace
from forecheck.attention.sites import attach_sites
from forecheck.forecasters.base import Task
from forecheck.forecasters.patchtst import PatchTST, PatchTSTConfig

RESULTS = Path(__file__).parent / "results"
LOOKBACK, HORIZON, CHANNELS, BATCH = 336, 96, 7, 32
PATCH, WIDTH, HEADS, HIDDEN, LAYERS = 16, 128, 16, 256, 3
HEAD_ROUNDS = 3  # rounds that also go through all heads
GOAL, HEADS_GOAL = 1.3, 60


class Patches(nn.Module):
    """Patches of every channel through an encoder, with a linear head."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.embed, self.encoder = nn.Linear(PATCH, WIDTH), encoder
        self.head = nn.Linear(LOOKBACK // PATCH * WIDTH, HORIZON)

    def forward(self, x: Tensor) -> Tensor:
        """Forecast every channel by itself."""
        z = self.embed(x.mT.flatten(0, 1).unflatten(1, (-1, PATCH)))
        return self.head(self.encoder(z).flatten(1)).unflatten(0, (len(x), -1)).mT


class Block(nn.Module):
    """An encoder layer; `mix` maps queries, keys and values (batch, token, head, width) to their mix."""

    def __init__(self, mix: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.mix = mix
        self.project, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.feed = nn.Sequential(nn.Linear(WIDTH, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, WIDTH))

    def forward(self, z: Tensor) -> Tensor:
        """Attention and feed-forward, each added and normalised."""
        mixed = self.mix(*self.project(z).unflatten(2, (3, HEADS, -1)).unbind(2))
        z = self.norm1(z + self.out(mixed.flatten(2)))
        return self.norm2(z + self.feed(z))


def sdpa(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    mixed = functional.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
    return mixed.transpose(1, 2)


def einsum(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    scores = torch.einsum("blhe,bshe->bhls", q, k)
    weights = torch.softmax(scores * q.shape[-1] ** -0.5, dim=-1)
    return torch.einsum("bhls,bshd->blhd", weights, v)


def models() -> dict[str, nn.Module]:
    """The contestants, with drawn weights."""
    torch.manual_seed(0)
    config = PatchTSTConfig(patch=PATCH, stride=PATCH, width=WIDTH, heads=HEADS, hidden=HIDDEN, layers=LAYERS)
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, HIDDEN, activation="gelu", batch_first=True)
    found = {
        "our PatchTST": PatchTST(Task(LOOKBACK, HORIZON, CHANNELS), config).module,
        "scaled_dot_product_attention": Patches(nn.Sequential(*(Block(sdpa) for _ in range(LAYERS)))),
        "einsum, softmax, einsum": Patches(nn.Sequential(*(Block(einsum) for _ in range(LAYERS)))),
        "nn.TransformerEncoder": Patches(nn.TransformerEncoder(layer, LAYERS)),
    }
    return {name: model.eval() for name, model in found.items()}


def seconds(forward: Callable[[Tensor], Tensor], batches: list[Tensor]) -> float:
    """CPU seconds of one evaluation pass; on one thread that is its time on a machine with nothing else to do."""
    start = time.process_time()
    for x in batches:
        forward(x)
    return time.process_time() - start


@torch.no_grad()
def measure(name: str, model: nn.Module, rounds: int, passes: int) -> dict[str, Any]:
    """Ratios to a plain pass, by edit."""
    batches = list(torch.randn(passes, BATCH, LOOKBACK, CHANNELS))
    plain: list[float] = []
    ratios: dict[str, list[float]] = {key: [] for key in ("attached", *POSTHOC_MODES, "one head", "48 heads")}
    edits = {mode: Replace(mode) for mode in POSTHOC_MODES}
    with attach_sites(model, batches[0][:2]) as attached:
        adapter, count = attached.describe(), sum(site.heads for site in attached.sites)
        for number in range(rounds + 1):  # the first warms up
            found = {"plain": seconds(model, batches), "attached": seconds(attached, batches)}
            for mode, edit in edits.items():
                with edit.applied(attached, batches[0], batches[:1]) as edited:
                    found[mode] = seconds(edited, batches)
            base = (found.pop("plain") + seconds(model, batches)) / 2
            if number:
                plain.append(base)
            if number <= HEAD_ROUNDS:
                bases, heads = [seconds(model, batches)], 0.0
                for layer in range(LAYERS):
                    for head in range(HEADS):
                        with Replace("mean", (layer,), (head,)).applied(attached, batches[0], ()) as edited:
                            heads += seconds(edited, batches)
                    bases.append(seconds(model, batches))
                every = heads / statistics.fmean(bases) * base
                found |= {"48 heads": every, "one head": every / count}
            for key, value in found.items() if number else ():
                ratios[key].append(value / base)
        print(name, {key: round(statistics.median(each), 2) for key, each in ratios.items()}, flush=True)
    return {"adapter": adapter, "heads": count, "plain_ms": 1e3 * statistics.median(plain) / passes, "ratios": ratios}


def environment() -> dict[str, Any]:
    """Machine and versions."""
    told = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    cpu = [line.split(":")[1].strip() for line in told if "model name" in line]
    return {
        "cpu": cpu[0] if cpu else platform.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "load": os.getloadavg()[0],
    }


def markdown(result: dict[str, Any]) -> str:
    """The result as a page."""
    env, columns = result["environment"], ("attached", *POSTHOC_MODES, "one head", "48 heads")
    page = f"""\
# Post-hoc edits

`python benchmarks/posthoc.py` on {env["cpu"]}, {env["cores"]} cores, one thread; Python {env["python"]}, \
torch {env["torch"]}; load average {env["load"]:.1f} at the end.

CPU time of one evaluation pass with an edit on all {LAYERS} layers, in plain passes of the same model in the same \
round: medians of {result["rounds"]} interleaved rounds of {result["passes"]} x {BATCH} windows of {CHANNELS} \
channels, {LOOKBACK} → {HORIZON} ({LAYERS} layers, {HEADS} heads, width {WIDTH}, {LOOKBACK // PATCH} patches). \
"attached" is a pass through the attached model without an edit; "one head" replaces a single head by the mean; \
"48 heads" replaces one after the other, in {HEAD_ROUNDS} of the rounds. Goals: {GOAL} a mode, {HEADS_GOAL} for all \
heads; what misses them is marked.

| model | plain (ms a batch) | {" | ".join(columns)} |
|---|---|{"---|" * len(columns)}
"""
    for name, row in result["models"].items():
        cells = []
        for column in columns:
            value = statistics.median(row["ratios"][column])
            goal = HEADS_GOAL if column == "48 heads" else GOAL
            text = f"{value:.1f}" if column == "48 heads" else f"{value:.2f}"
            cells.append(text if value <= goal else f"**{text} (missed)**")
        page += f"| {name} | {row['plain_ms']:.1f} | {' | '.join(cells)} |\n"
    return page + "\n" + "".join(f"- {name}: {row['adapter']}\n" for name, row in result["models"].items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="rounds that count")
    parser.add_argument("--passes", type=int, default=1, help="batches of a pass")
    parser.add_argument("--only", help="only models whose name contains this; nothing is written")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of posthoc.md and posthoc.json")
    args = parser.parse_args()
    torch.set_num_threads(1)  # so that CPU time is time
    chosen = {name: model for name, model in models().items() if not args.only or args.only in name}
    measured = {name: measure(name, model, args.rounds, args.passes) for name, model in chosen.items()}
    if args.only:
        return
    result = {"environment": environment(), "rounds": args.rounds, "passes": args.passes}
    result["models"] = measured
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "posthoc.json").write_text(json.dumps(result, indent=1) + "\n")
    (args.out / "posthoc.md").write_text(markdown(result))
    print(markdown(result))


if __name__ == "__main__":
    main()
