"""Any torch model: its attention is found among the torch functions that its forward pass calls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from forecheck.attention.calls.heads import settle_heads
from forecheck.attention.calls.wrapped import module_of
from forecheck.attention.interceptor import Interceptor
from forecheck.attention.sites import Attached, Forward, Subject, evaluating


class CallsAdapter:
    """Finds `torch.nn.MultiheadAttention`, `scaled_dot_product_attention`, and attention written out.

    See `forecheck.attention.interceptor`. Nothing is put on the model: a mode of torch is active while it
    forecasts, and only then.
    """

    name = "torch calls"

    def wrap(self, model: object, horizon: int) -> Forward | None:
        """Plain modules are called with a window as they are."""
        return None

    @contextmanager
    def attach(self, subject: Subject, example: Tensor) -> Iterator[Attached]:
        """Reach every attention call that `example` passes."""
        module = module_of(subject)
        scripted = _scripted(subject, module)
        if scripted:
            yield Attached(self.name, [], subject.forward, f"{scripted} is scripted or traced, which hides its calls")
            return
        with evaluating(module):
            with torch.no_grad(), _random_numbers_kept(example):
                interceptor = _discovered(subject, module, example)

            def forward(x: Tensor) -> Tensor:
                with interceptor.editing():
                    return subject.forward(x)

            styles = " + ".join(dict.fromkeys(site.style for site in interceptor.sites))
            attached = Attached(styles or self.name, [*interceptor.sites], forward, _why_not(interceptor))
            with _random_numbers_kept(example):
                settle_heads(interceptor.sites, attached, example)
            yield attached


def _discovered(subject: Subject, module: nn.Module | None, example: Tensor) -> Interceptor:
    interceptor = Interceptor(module)
    interceptor.discover(lambda: subject(example))
    if len(example) > 1 and interceptor.calls > 1 and any(", run " in site.path for site in interceptor.sites):
        fewer = Interceptor(module)
        fewer.discover(lambda: subject(example[:1]))
        if fewer.calls != interceptor.calls:
            interceptor = Interceptor(module, one_by_one=True)
            interceptor.discover(lambda: subject(example))
    return interceptor


def _scripted(subject: Subject, module: nn.Module | None) -> str:
    """What in the model torch's own compiler has taken away, if anything."""
    if isinstance(subject.forward, torch.jit.ScriptFunction):
        return "the function"
    for path, each in module.named_modules() if module is not None else ():
        if isinstance(each, torch.jit.ScriptModule):
            return path or "the model"
    return ""


def _why_not(interceptor: Interceptor) -> str:
    if interceptor.sites:
        return ""
    if interceptor.frequencies:
        return "FFT calls were seen: it mixes tokens by frequencies, which has no attention pattern to edit"
    return ""


@contextmanager
def _random_numbers_kept(example: Tensor) -> Iterator[None]:
    devices = [example.device] if example.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        yield


ADAPTER = CallsAdapter()
