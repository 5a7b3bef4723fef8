"""The small models of papers against their plain autograd versions.

    python benchmarks/theory.py

Writes benchmarks/results/theory.md and theory.json. One thread; processor time, so other work on the machine lengthens
it little.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from torch import Tensor

from forecheck.papers.curse_of_attention.theory.kernel import infinite_tangent_kernel, tangent_kernel
from forecheck.papers.curse_of_attention.theory.residual_ssm import residual_ssm
from forecheck.papers.curse_of_attention.theory.training import Optimizer, train
from forecheck.papers.curse_of_attention.theory.two_layer import TwoLayer, as_tensors

RESULTS = Path(__file__).parent / "results"
STEPS, PLAIN_STEPS, PLAIN_ROWS = 1500, 100, 16
"""Of a trajectory; of the part of it, and of the rows of the Jacobian, that autograd runs (its time is scaled up)."""


def seconds(work: Callable[[], Any], repeats: int) -> float:
    """Processor time of the fastest run, after one that does not count."""
    found = []
    for _ in range(repeats + 1):
        before = time.process_time()
        work()
        found.append(time.process_time() - before)
    return min(found[1:])


def attention(weight: Tensor, output: Tensor, x: Tensor) -> Tensor:
    """The two-layer network as one writes it for autograd."""
    scores = x[:, None, -1:] * weight[:, None] * x[:, None]
    mean = (torch.softmax(scores, dim=2) * x[:, None]).sum(dim=2)
    return mean @ output / len(output) ** 0.5


def kernel(repeats: int, windows: int = 512, neurons: int = 4096) -> dict[str, Any]:
    """The tangent kernel: rows of the Jacobian by autograd, and by `torch.func`, against the closed form."""
    model, x = TwoLayer(), as_tensors(residual_ssm().sample(windows).x)[0]
    start = model.initial(neurons, 8)
    weight, output = start["weight"], start["output"]

    def rows(count: int) -> Tensor:
        """Each row a pass back through the graph of all windows, as `torch.autograd.grad` has it."""
        leaf = weight.clone().requires_grad_()
        out = attention(leaf, output, x)
        return torch.stack([torch.autograd.grad(out[i], leaf, retain_graph=True)[0] for i in range(count)])

    def row_by_row() -> Tensor:
        """A graph a window: what a plain version can do when windows do not meet."""
        found = []
        for row in x.split(1):
            leaf = weight.clone().requires_grad_()
            found.append(torch.autograd.grad(attention(leaf, output, row)[0], leaf)[0])
        whole = torch.stack(found)
        return whole @ whole.T

    some = rows(PLAIN_ROWS)
    expected = row_by_row()
    ours = {
        "by neurons": lambda: tangent_kernel(model, start, x, tabulated=False),
        "by nodes": lambda: tangent_kernel(model, start, x),
        "infinite width": lambda: infinite_tangent_kernel(model, x),
    }
    error = {name: float((work() - expected).norm() / expected.norm()) for name, work in ours.items()}
    assert float((some @ some.T - expected[:PLAIN_ROWS, :PLAIN_ROWS]).norm() / expected.norm()) < 1e-10
    one = seconds(lambda: rows(1), 2)  # mostly the forward pass
    more = seconds(lambda: rows(PLAIN_ROWS), 1)
    product = seconds(lambda: expected @ torch.empty(windows, neurons, dtype=torch.float64), 2)
    per_row = (more - one) / (PLAIN_ROWS - 1)
    return {
        "what": f"tangent kernel, n = {windows}, m = {neurons}, d = 8",
        "plain": {
            f"autograd, all windows in a graph ({PLAIN_ROWS} rows, scaled)": one + per_row * (windows - 1) + product,
            "autograd, a graph a window": seconds(row_by_row, repeats),
        },
        "ours": {name: {"seconds": seconds(work, repeats), "error": error[name]} for name, work in ours.items()},
    }


def trajectory(repeats: int, windows: int = 128, neurons: int = 1024) -> dict[str, Any]:
    """Gradient descent: autograd and torch's SGD against gradients in closed form."""
    model, (x, y) = TwoLayer(), as_tensors(*residual_ssm().sample(windows)[:2])
    start = model.initial(neurons, 8)
    optimizer = Optimizer("gd", 0.01)

    def plain(steps: int) -> Tensor:
        leaf = start["weight"].clone().requires_grad_()
        descent = torch.optim.SGD([leaf], lr=optimizer.lr)
        for _ in range(steps):
            descent.zero_grad()
            (0.5 * (attention(leaf, start["output"], x) - y).square().sum()).backward()
            descent.step()
        return leaf.detach()

    ours: dict[str, Any] = {}
    expected = plain(PLAIN_STEPS)
    for name, tabulated in (("by neurons", False), ("by nodes", None)):
        found = train(model, start, x, y, optimizer, PLAIN_STEPS, tabulated=tabulated).end["weight"]
        ours[name] = {
            "seconds": seconds(
                lambda tabulated=tabulated: train(model, start, x, y, optimizer, STEPS, tabulated=tabulated), repeats
            ),
            "error": float((found - expected).norm() / expected.norm()),
        }
    return {
        "what": f"training, n = {windows}, m = {neurons}, d = 8, {STEPS} steps",
        "plain": {
            f"autograd and SGD ({PLAIN_STEPS} steps, scaled)": seconds(lambda: plain(PLAIN_STEPS), repeats)
            * STEPS
            / PLAIN_STEPS
        },
        "ours": ours,
    }


def markdown(result: dict[str, Any]) -> str:
    """The result as a page."""
    env = result["environment"]
    page = f"""\
# Small models of papers

`python benchmarks/theory.py` on {env["cpu"]}, {env["cores"]} cores, one thread; Python {env["python"]}, torch \
{env["torch"]}; load average {env["load"]:.1f}. Processor time, the best of {result["repeats"]} runs after one that \
does not count; float64.

## Two-layer attention (Curse of Attention)

`by neurons` computes every neuron's softmax on every window; `by nodes` reads them off tables over the weight, which \
costs the same at any width. Errors are relative to the plain version (of the kernel; of the weights after \
{PLAIN_STEPS} steps). The infinite width is another kernel: its distance is that of 4096 random neurons from their \
mean. What was too slow to run whole was run in part and scaled, as the name says.

| what | plain | s | ours | s | times faster | error |
|---|---|---|---|---|---|---|
"""
    for part in result["two_layer"]:
        for plain, slow in part["plain"].items():
            for ours, run in part["ours"].items():
                cells = [plain, f"{slow:.2f}", ours, f"{run['seconds']:.3f}", f"{slow / run['seconds']:.1f}"]
                page += f"| {part['what']} | {' | '.join(cells)} | {run['error']:.0e} |\n"
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of theory.md and theory.json")
    args = parser.parse_args()
    torch.set_num_threads(1)
    told = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    cpu = [line.split(":")[1].strip() for line in told if "model name" in line]
    result: dict[str, Any] = {
        "environment": {
            "cpu": cpu[0] if cpu else platform.processor(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "load": os.getloadavg()[0],
        },
        "repeats": args.repeats,
        "two_layer": [kernel(args.repeats), trajectory(args.repeats)],
    }
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "theory.json").write_text(json.dumps(result, indent=1) + "\n")
    (args.out / "theory.md").write_text(markdown(result))
    print(markdown(result))


if __name__ == "__main__":
    main()
