"""How fast work goes, and how long the rest will take."""

from __future__ import annotations

from collections.abc import Callable


class Pace:
    r"""Work that can grow while it is done.

    .. math:: t_\text{left} = (n - d) \, \frac{t}{d - d_0}

    n is all that is to be done, d what is done (shares of what is begun included), :math:`d_0` what was done before the
    start, and t the time in which there was anything left to do.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.total = self.done = 0.0
        self._clock, self._before = clock, 0.0
        self._spent, self._last = 0.0, clock()

    @property
    def left(self) -> float:
        """What is still to be done."""
        return max(0.0, self.total - self.done)

    @property
    def seconds_left(self) -> float | None:
        """How long it will take; None as long as nothing is done."""
        self._tick()
        gained = self.done - self._before
        return self.left * self._spent / gained if gained > 0 else None

    def grow(self, by: float, before: float = 0.0) -> None:
        """There is more to do, of which so much was done before."""
        self._tick()
        self.total += by
        self.done += before
        self._before += before

    def reach(self, done: float) -> None:
        """So much is done in all."""
        self._tick()
        self.done = done

    def _tick(self) -> None:
        now = self._clock()
        if self.left:
            self._spent += now - self._last
        self._last = now
