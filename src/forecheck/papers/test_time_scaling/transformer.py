"""The same experiment with a non-linear transformer that is trained; it takes a GPU."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from forecheck.papers.experiment import Bench, Experiment, UntestableError
from forecheck.papers.test_time_scaling.thinking import STEPS, WIDTH, covariance


class Thinker(nn.Module):
    """A transformer over the columns (x; y; w; 1) of a prompt; what it says at the last column is added to its w.

    No mask and no positions: examples are a set, and prompts of any length are read, as by the linear layer. The
    paper's GPT-2 (12 layers, 8 heads) reads x and y as tokens of their own; its recipe was not found.
    """

    def __init__(self, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.read_in = nn.Linear(2 * WIDTH + 2, width)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True)
            for _ in range(layers)
        )
        self.read_out = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, WIDTH))

    def forward(self, prompt: Float[Tensor, "task column row"]) -> Float[Tensor, "task width"]:
        """The next w."""
        tokens = self.read_in(prompt)
        for layer in self.layers:
            tokens = layer(tokens)
        return prompt[:, -1, WIDTH + 1 : -1] + self.read_out(tokens[:, -1])


def think(model: Thinker, x: Tensor, y: Tensor, steps: int) -> list[Tensor]:
    """Estimates of w after 1 to k steps; each is appended to the prompt.

    Args:
        model: the transformer.
        x: inputs, (task, length, width).
        y: labels, (task, length).
        steps: k.
    """
    tasks, length, _ = x.shape
    prompt = x.new_zeros(tasks, length + 1, 2 * WIDTH + 2)
    prompt[:, :-1, :WIDTH], prompt[:, :-1, WIDTH], prompt[:, -1, -1] = x, y, 1
    found = []
    for _ in range(steps):
        made = model(prompt)
        found.append(made)
        column = torch.zeros_like(prompt[:, :1])
        column[:, 0, WIDTH + 1 : -1], column[:, 0, -1] = made, 1
        prompt = torch.cat([prompt, column], dim=1)
    return found


def train_and_think(
    bench: Bench,
    device: str,
    spectrum: str,
    train: int,
    prompt: int,
    seed: int,
    thoughts: int,
    steps: int,
    layers: int,
    width: int,
    batch: int,
) -> dict[str, Any]:
    """Train on prompts of n examples, then think about longer ones with isotropic inputs.

    Args:
        bench: reports progress.
        device: where the model is trained.
        spectrum: of the training inputs, one of `SPECTRA`; their covariance is scaled to trace d.
        train: n, examples a training prompt.
        prompt: examples a test prompt.
        seed: of weights and prompts.
        thoughts: of training: 1 for direct answers only, as the paper trains; more if the answer after every one of
            several thoughts is to be right, which shows the model its own thoughts.
        steps: of training.
        layers: of the model, of 8 heads each.
        width: features a token.
        batch: prompts a step.

    Returns:
        Mean squared `errors` after 1 to 20 steps of thought, the training `curve`, and the number of `parameters`.
    """
    torch.manual_seed(seed)
    generator = torch.Generator(device).manual_seed(seed)
    root = torch.linalg.cholesky(covariance(spectrum, scaled=True)).float().to(device)
    model = Thinker(width, layers, heads=8).to(device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-4, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-4, total_steps=steps)

    def draw(count: int, length: int, root: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = torch.randn(count, length, WIDTH, generator=generator, device=device) @ root.T
        w = torch.randn(count, WIDTH, generator=generator, device=device)
        return x, torch.einsum("tnd,td->tn", x, w), w

    curve = []
    for step in range(steps):
        x, y, w = draw(batch, train, root)
        loss = sum((made - w).square().mean() for made in think(model, x, y, thoughts)) / thoughts
        assert isinstance(loss, Tensor)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % max(steps // 50, 1) == 0:
            curve.append((step + 1, loss.item()))
            bench.progress(step / steps, f"step {step}")
    model.eval()
    with torch.no_grad():
        x, y, w = draw(4 * batch, prompt, torch.eye(WIDTH, device=device))
        errors = [(made - w).square().mean().item() for made in think(model, x, y, STEPS)]
    return {"errors": errors, "curve": curve, "parameters": sum(each.numel() for each in model.parameters())}


def transformer(bench: Bench, **settings: Any) -> dict[str, Any]:
    """`train_and_think` on a GPU.

    Raises:
        UntestableError: if there is none.
    """
    if not torch.cuda.is_available():
        raise UntestableError("It trains transformers of 12 layers, and there is no GPU here.")
    return train_and_think(bench, "cuda", **settings)


def _parts(seeds: int, steps: int) -> list[dict[str, Any]]:
    return [
        {
            "spectrum": spectrum,
            "train": train,
            "prompt": 40,
            "seed": seed,
            "thoughts": thoughts,
            "steps": steps,
            "layers": 12,
            "width": 256,
            "batch": 256,
        }
        for spectrum in ("flat", "skewed")
        for train in (20, 40)
        for thoughts in (1, 4)
        for seed in range(seeds)
    ]


TRANSFORMER = Experiment("transformer", transformer, quick=_parts(2, 2000), full=_parts(3, 20_000))
