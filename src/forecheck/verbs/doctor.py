"""`forecheck.doctor`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import forecheck
from forecheck.installed import STOLEN, Requirement, extras, requirements, version_of
from forecheck.progress import Progress


def doctor(store: Path | str | None = None, *, mend: bool = False, progress: Progress | None = None) -> dict[str, Any]:
    """Whether this installation works: versions, linear algebra, devices, and every checksum of the store.

    Args:
        store: folder of results; None for the user's cache.
        mend: remove damaged results, so that they are made anew; what another process uses stays.
        progress: called with the share of the store that is read, and a word.

    Returns:
        `versions` by package, `extras` with what each lacks, the `machine`, the `store` with what is damaged in it, and
        `problems`, each `what` it is and what to `do`; `healthy` says that there are none. `machine` and `store` are
        empty where a package that they need does not load, which is then a problem.
    """
    required = requirements()
    problems = _packages(required)
    machine: dict[str, Any] = {}
    checked: dict[str, Any] = {}
    try:
        machine = _machine(problems)
        checked = _store(store, problems, progress, mend=mend)
    except (ImportError, OSError) as error:  # OSError: a shared library of torch does not load
        if not isinstance(error, ImportError) and error.errno is not None:  # of the disk
            raise
        problems.append(
            _problem(f"a package does not load: {error}", "Install forecheck anew, in an environment of its own.")
        )
    return {
        "forecheck": forecheck.__version__,
        "versions": {each.name: each.version for each in required if not each.extra},
        "extras": {
            name: {"installed": all(one.met for one in needs), "lacks": [_named(one) for one in needs if not one.met]}
            for name, needs in extras(required).items()
        },
        "machine": machine,
        "store": checked,
        "problems": problems,
        "healthy": not problems,
    }


def _problem(what: str, do: str) -> dict[str, str]:
    return {"what": what, "do": do}


def _named(requirement: Requirement) -> str:
    have = requirement.version
    return f"{requirement.name}{requirement.bounds}" + (f" (has {have})" if have else "")


def _packages(required: list[Requirement]) -> list[dict[str, str]]:
    found = [
        _problem(f"forecheck needs {_named(each)}", f"pip install '{each.name}{each.bounds}'")
        for each in required
        if not each.extra and not each.met
    ]
    for name, versions in STOLEN.items():
        if (have := version_of(name)) in versions:
            do = "Uninstall it, and renew every password, token and key that was on this machine."
            found.append(_problem(f"{name} {have} was published by thieves of credentials", do))
    return found


def _machine(problems: list[dict[str, str]]) -> dict[str, Any]:
    from forecheck.trials.machine import describe_machine, wrong_arithmetic

    do = "Install other versions of numpy or torch, or set OPENBLAS_CORETYPE to a processor that this one includes."
    problems += [_problem(f"matrix products of {which} are wrong here", do) for which in wrong_arithmetic()]
    return describe_machine()


def _store(
    folder: Path | str | None, problems: list[dict[str, str]], progress: Progress | None, *, mend: bool
) -> dict[str, Any]:
    from forecheck.trials.health import check_store
    from forecheck.trials.store import Store

    store = Store(folder)
    place = next(each for each in (store.root, *store.root.parents) if each.exists())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        do = "Name another folder with --store, or in the environment variable FORECHECK_HOME."
        why = "no permission to write" if place.is_dir() else f"{place} is a file"
        problems.append(_problem(f"results cannot be saved in {store.root}: {why}", do))
    found = check_store(store, mend=mend, progress=progress)
    for path in sorted(set(found.damaged) - set(found.mended)):
        do = "What needs it makes it anew. To remove it now: forecheck doctor --mend"
        if path in found.in_use:
            do = "Another process uses it. Wait until that has ended, and run forecheck doctor --mend again."
        problems.append(_problem(f"{path}: {found.damaged[path]}", do))
    return {
        "folder": str(store.root),
        "results": found.results,
        "size": found.size,
        "damaged": {str(path): why for path, why in found.damaged.items()},
        "unfinished": list(map(str, found.unfinished)),
        "mended": list(map(str, found.mended)),
        "in use": list(map(str, found.in_use)),
    }
