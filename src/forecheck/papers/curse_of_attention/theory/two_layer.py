"""The two-layer attention network on one window of scalars, in its forms, with exact gradients."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from forecheck.nn.chunks import chunk, pieces

Parameters = dict[str, Tensor]
"""`weight` w and `output` a, both (neuron); `bias` b (step, neuron) and `second` w' (neuron), `mix` lambda () if the
form has them. All float64."""
_SAFE = 300.0
"""Scores up to here are exponentiated as they are: neither they nor sums of products of theirs overflow or vanish."""


class Response(NamedTuple):
    """What every neuron makes of every window.

    Attributes:
        powers: exp of the scores, up to a factor a window and neuron.
        total: their sum over the window's steps; the softmax S is powers / total.
        mean: <S, x>.
        slope: its derivative with respect to the neuron's weight.
    """

    powers: Float64[Tensor, "sample step neuron"]
    total: Float64[Tensor, "sample neuron"]
    mean: Float64[Tensor, "sample neuron"]
    slope: Float64[Tensor, "sample neuron"]


@dataclass(frozen=True)
class TwoLayer:
    r"""Attention whose query is the last value, keys and values are all values, one weight a neuron.

    .. math::
        f(x) = \frac{1}{\sqrt m} \sum_{r=1}^m a_r
            \langle S(w_r, b_r) - \lambda S(w'_r, b_r), x \rangle \; [+ x_d], \qquad
        S(w, b)_k = \mathrm{softmax}_k(w \, x_d \, \rho_k x_k + b_k - s (d - k))

    with :math:`\lambda = 0, b = 0, \rho = 1, s = 0` in the paper's own form. Gradients of the loss
    :math:`L = \frac12 \sum_i (f(x_i) - y_i)^2` (a sum), with :math:`e_i = f(x_i) - y_i` and
    :math:`\mu_r = \langle S_r, x \rangle`:

    .. math::
        \frac{\partial f}{\partial w_r} = \frac{a_r}{\sqrt m} x_d \mathrm{Cov}_{S_r}(x, \rho \circ x), \quad
        \frac{\partial f}{\partial b_{rk}} = \frac{a_r}{\sqrt m} S_{rk} (x_k - \mu_r), \quad
        \frac{\partial f}{\partial a_r} = \frac{\mu_r - \lambda \mu'_r}{\sqrt m}, \quad
        \frac{\partial f}{\partial \lambda} = -\frac{1}{\sqrt m} \sum_r a_r \mu'_r

    The first follows from the cumulant function :math:`K(s) = \log \sum_k e^{s x_k}`: its first derivative is the mean
    and its second the variance under softmax(s x). Without positions f is odd, and sees of x the last value and the
    multiset of the others only.

    Args:
        rope: :math:`\rho_k` is the mean over i of :math:`\cos((d - k) 10000^{-2i/d})`, a turned scalar; else 1.
        recency: s, a fixed slope.
        bias: whether a bias of the scores is learnt, one a neuron and step.
        differential: whether a second softmax is subtracted; w' and lambda are learnt.
        skip: whether the last value is added to the output.
        train_output: whether a is learnt; the paper freezes it.

    Source: Ke et al. 2025 (arXiv 2412.06061), section 4.2 and lemma E.5; differential: section 7.2, in one dimension.
    The other forms are ours.
    """

    rope: bool = False
    recency: float = 0.0
    bias: bool = False
    differential: bool = False
    skip: bool = False
    train_output: bool = False

    @property
    def trained(self) -> tuple[str, ...]:
        """Names of the parameters that are learnt."""
        own = {"second": self.differential, "mix": self.differential, "bias": self.bias, "output": self.train_output}
        return ("weight", *(name for name, has in own.items() if has))

    def initial(self, neurons: int, steps: int, seed: int = 0, paired: bool = True, mix: float = 0.5) -> Parameters:
        r"""Parameters at the start: :math:`w_r, w'_r \sim N(0, 1)`, :math:`a_r = \pm 1` alike, b = 0.

        Args:
            neurons: m.
            steps: d.
            seed: of weights and signs.
            paired: neurons come in pairs of one weight and opposite output, so that f = 0 at the start (the paper's
                assumption D.7 on the training inputs, here on all) and the outputs sum to 0.
            mix: lambda.

        Raises:
            ValueError: if neurons are to be paired and their number is odd.
        """
        if paired and neurons % 2:
            raise ValueError(f"pairs of neurons need an even number of them, got {neurons}: add one, or paired=False")
        rng = np.random.default_rng(seed)
        drawn = neurons // 2 if paired else neurons
        weight, second = rng.standard_normal((2, drawn))
        output = rng.choice([-1.0, 1.0], drawn)
        if paired:
            weight, second, output = np.tile(weight, 2), np.tile(second, 2), np.append(output, -output)
        found = {"weight": torch.from_numpy(weight), "output": torch.from_numpy(output)}
        if self.differential:
            found |= {"second": torch.from_numpy(second), "mix": torch.tensor(mix, dtype=torch.float64)}
        if self.bias:
            found["bias"] = torch.zeros(steps, neurons, dtype=torch.float64)
        return found

    def keys(self, x: Float64[Tensor, "sample step"]) -> Float64[Tensor, "sample step"]:
        r""":math:`\rho \circ x`."""
        if not self.rope:
            return x
        steps = x.shape[1]
        rate = 10000.0 ** (-torch.arange(0, steps, 2, dtype=x.dtype) / steps)
        back = torch.arange(steps - 1, -1, -1, dtype=x.dtype)
        return x * torch.cos(back[:, None] * rate).mean(dim=1)

    def response(
        self,
        weight: Float64[Tensor, " neuron"],
        bias: Float64[Tensor, "step neuron"] | None,
        x: Float64[Tensor, "sample step"],
    ) -> Response:
        """Means and their slopes; one of the two softmaxes of the differential form.

        Args:
            weight: w, or w' of the second softmax.
            bias: b; None for none.
            x: windows.
        """
        last, keys = x[:, -1:], self.keys(x)
        unit = last * keys  # the scores at weight 1
        added = bias
        if self.recency:
            fall = self.recency * torch.arange(1 - x.shape[1], 1, dtype=x.dtype)[:, None]
            added = fall if bias is None else bias + fall
        scores = unit[:, :, None] * weight
        reach = float(unit.abs().max() * weight.abs().max()) if scores.numel() else 0.0
        if added is not None:
            scores += added
            reach += float(added.abs().max())
        if reach > _SAFE:
            scores -= scores.amax(dim=1, keepdim=True)
        powers = scores.exp_()
        features = [torch.ones_like(x), x, x * keys, *([keys] if self.rope else [])]
        sums = torch.bmm(torch.stack(features, dim=1), powers)
        total = sums[:, 0].contiguous()
        mean = sums[:, 1] / total
        slope = sums[:, 2] / total
        # Rounding may leave a variance a little below zero; a covariance may be.
        slope = slope.sub_(mean * sums[:, 3] / total) if self.rope else slope.sub_(mean.square()).clamp_(min=0)
        return Response(powers, total, mean, slope.mul_(last))

    def branches(
        self, parameters: Parameters, x: Float64[Tensor, "sample step"]
    ) -> Iterator[tuple[str, Tensor, Response]]:
        """Name of the weight, factor and response of each softmax."""
        bias = parameters.get("bias")
        yield "weight", x.new_ones(()), self.response(parameters["weight"], bias, x)
        if self.differential:
            yield "second", -parameters["mix"], self.response(parameters["second"], bias, x)

    def predict(self, parameters: Parameters, x: Float64[Tensor, "sample step"]) -> Float64[Tensor, " sample"]:
        """Forecast f of every window."""
        scaled = parameters["output"] / len(parameters["output"]) ** 0.5
        out = x[:, -1].clone() if self.skip else x.new_zeros(len(x))
        for x_, out_ in pieces(self.rows(parameters, x), x, out):
            for _, factor, response in self.branches(parameters, x_):
                out_.add_(factor * (response.mean @ scaled))
        return out

    def gradient(
        self, parameters: Parameters, x: Float64[Tensor, "sample step"], y: Float64[Tensor, " sample"]
    ) -> tuple[Float64[Tensor, " sample"], Parameters]:
        """Forecasts f, and the gradient of the loss with respect to what is learnt, in one pass over the windows.

        Args:
            parameters: where it is taken.
            x: windows.
            y: their next steps.
        """
        scale = len(parameters["output"]) ** -0.5
        scaled = parameters["output"] * scale
        found = {name: torch.zeros_like(parameters[name]) for name in self.trained}
        out = x[:, -1].clone() if self.skip else x.new_zeros(len(x))
        for x_, y_, out_ in pieces(self.rows(parameters, x), x, y, out):
            branches = [*self.branches(parameters, x_)]
            for _, factor, response in branches:
                out_.add_(factor * (response.mean @ scaled))
            error = out_ - y_
            for name, factor, (powers, total, mean, slope) in branches:
                found[name] += factor * scaled * (error @ slope)
                if name == "second":
                    found["mix"] -= error @ (mean @ scaled)
                if self.train_output:
                    found["output"] += factor * scale * (error @ mean)
                if self.bias:
                    share = powers.mul_((error[:, None] / total)[:, None])
                    found["bias"] += factor * scaled * (x_[:, :, None] - mean[:, None]).mul_(share).sum(dim=0)
        return out, found

    def shares(self, parameters: Parameters, x: Float64[Tensor, "sample step"]) -> Float64[Tensor, "step neuron"]:
        """Mean over windows of the (first) softmax: what every neuron gives to every step."""
        sums = x.new_zeros(x.shape[1], len(parameters["weight"]))
        for (x_,) in pieces(self.rows(parameters, x), x):
            response = self.response(parameters["weight"], parameters.get("bias"), x_)
            sums += response.powers.div_(response.total[:, None]).sum(dim=0)
        return sums / len(x)

    def pole_distance(self, x: Float64[Tensor, "sample step"]) -> float:
        r"""A distance from the real line within which means and slopes are analytic in the weight, on all windows.

        .. math:: \delta = \min_i \frac{\pi}{|x_{i,d}| \, (\max_k \rho_k x_{i,k} - \min_k \rho_k x_{i,k})}

        Nearer than this all terms of :math:`\sum_k e^{w x_d \rho_k x_k + \dots}` lie in one open half-plane, so it has
        no zero.
        """
        keys = self.keys(x)
        reach = float((x[:, -1].abs() * (keys.amax(dim=1) - keys.amin(dim=1))).max())
        return math.pi / max(reach, 1e-300)

    @staticmethod
    def rows(parameters: Parameters, x: Float64[Tensor, "sample step"]) -> int:
        """How many windows to take at once."""
        return chunk(2 * x.shape[1] * len(parameters["weight"]), x.device)  # twice: doubles, not floats


def limits_of_last_share(steps: int) -> tuple[float, float]:
    r"""What the last of d white steps gets on average as the weight goes to minus and to plus infinity.

    .. math:: \lim_{w \to -\infty} \mathbb E S_d = \frac{2^{1-d}}{d}, \qquad
        \lim_{w \to \infty} \mathbb E S_d = \frac2d (1 - 2^{-d})

    A one-hot softmax picks the last step if it is the largest and positive or the smallest and negative (w > 0), or if
    it is the smallest and positive or the largest and negative (w < 0). Any continuous symmetric law of independent
    steps will do.

    Source: ours, beside Ke et al. 2025 (arXiv 2412.06061), theorem 5.3.
    """
    return 2.0 ** (1 - steps) / steps, 2 / steps * (1 - 2.0**-steps)


def as_tensors(*arrays: np.ndarray) -> tuple[Tensor, ...]:
    """Float64 tensors of arrays."""
    return tuple(torch.from_numpy(np.ascontiguousarray(a, dtype=np.float64)) for a in arrays)
