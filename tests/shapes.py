"""How annotations are executed in tests: every function's first calls in every test are checked.

Checking every call made the tests three times as slow: shapes differ between tests, hardly between the thousandth and
the thousand and first step of one training loop.
"""

import functools
import inspect

import jaxtyping
from beartype import BeartypeConf, beartype

FIRST = 4
"""Calls of a function that are checked, in every test anew."""

# An int is a float, as everywhere in Python's typing.
check = beartype(conf=BeartypeConf(is_pep484_tower=True))
_jaxtyped = jaxtyping.jaxtyped
_calls = {}


def begin():
    """Begin a test: first calls are counted from here."""
    _calls.clear()


def first_calls(function=None, *, typechecker=None):
    """Like `jaxtyping.jaxtyped`, for the first calls alone; classes are checked always."""
    if function is None:
        return functools.partial(first_calls, typechecker=typechecker)
    if not inspect.isfunction(function):
        return _jaxtyped(function, typechecker=typechecker)
    checked, code = None, function.__code__  # a closure that is made again and again counts as one function

    @functools.wraps(function)
    def called(*args, **kwargs):
        nonlocal checked
        calls = _calls.get(code, 0)
        if calls >= FIRST:
            return function(*args, **kwargs)
        _calls[code] = calls + 1
        checked = checked or _jaxtyped(function, typechecker=typechecker)
        return checked(*args, **kwargs)

    return called


def install():
    """Have everything that is imported from the package checked."""
    jaxtyping.jaxtyped = first_calls
    jaxtyping.install_import_hook("forecheck", "shapes.check")
