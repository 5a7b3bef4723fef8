"""FC306, FC406: the attention sublayer is gone altogether."""

from __future__ import annotations

from forecheck.attention.outputs import Remove
from forecheck.auditing.protocol import Check
from forecheck.auditing.replaced import Posthoc, Retrained


class RemovedPosthoc(Posthoc):
    """Does this checkpoint rely on its attention sublayers, their output biases included?

    Unlike `zero`, nothing of the sublayer is left: what it adds to the tokens is 0.
    """

    code, title = "FC306", "post-hoc: removed"
    edit = Remove()
    becomes = "Removing the attention sublayers of the trained model, output biases included,"


class RemovedRetrained(Retrained):
    """Does the architecture need attention sublayers at all?

    Modules and parameters are gone before training, so the arm is smaller and faster: if it is no worse, the capacity
    was not needed either.
    """

    code, title, slow = "FC406", "retrained: removed", True
    edit = Remove()
    becomes = "Retraining without the attention sublayers and their parameters"


CHECKS: tuple[Check, ...] = (RemovedPosthoc(), RemovedRetrained())
