"""The code in a trial's address: that which makes its result, and no other."""

from dataclasses import replace
from pathlib import Path

import pytest

import forecheck
from forecheck import fingerprints, sources
from forecheck.attention.outputs import Remove
from forecheck.attention.replace import Replace
from forecheck.errors import TrialError
from forecheck.forecasters import registry
from forecheck.forecasters.naive import Last
from forecheck.trials import named
from forecheck.trials.engines.local import run_local
from forecheck.trials.store import Store
from forecheck.trials.trial import Trial
from panels import hourly

FIT = Trial("f" * 64, "70/10/20", 48, 12, "patchtst", {}, 24)
TRIALS = {
    "patchtst": FIT,
    "itransformer": replace(FIT, forecaster="itransformer"),
    "samovar": replace(FIT, forecaster="samovar"),
    "nlinear": replace(FIT, forecaster="nlinear"),
    "last": replace(FIT, forecaster="last"),
    "last, refitted": replace(FIT, forecaster="last", refit=24),
    "retrained": replace(FIT, edit=Replace("identity").to_dict()),
    "edited": replace(FIT, edit=Remove().to_dict(), posthoc=True),
    "gradient": replace(FIT, measure="gradient"),
    "explanation": replace(FIT, measure="explanation"),
}


@pytest.fixture
def addresses(monkeypatch):
    """Addresses of the trials, as if something were added to a source file."""
    root = Path(forecheck.__file__).parent

    def clear():
        fingerprints._module.cache_clear()
        named._fingerprint.cache_clear()

    def make(path=None, added="_CHANGED = 1\n"):
        clear()

        def read(file):
            changed = path is not None and file == root / path
            return sources._parsed(file.read_bytes() + added.encode()) if changed else sources.read_source(file)

        with monkeypatch.context() as patched:
            patched.setattr(fingerprints, "read_source", read)
            return {name: trial.address for name, trial in TRIALS.items()}

    yield make
    clear()


@pytest.mark.parametrize(
    ("path", "changed"),
    [
        ("forecasters/itransformer.py", {"itransformer"}),
        ("forecasters/patchtst.py", {"patchtst", "retrained", "edited", "gradient", "explanation"}),
        ("forecasters/samovar.py", {"samovar", "explanation"}),
        ("forecasters/naive.py", {"last", "last, refitted"}),
        ("forecasters/linear.py", {"nlinear", "last, refitted"}),
        ("forecasters/anchored.py", {"last, refitted"}),
        ("trials/rolling.py", {"last, refitted"}),
        ("probes/gradient.py", {"gradient"}),
        ("probes/explanation.py", {"explanation"}),
        ("attention/outputs.py", {"edited"}),
        ("nn/encoder_decoder.py", set()),
        ("auditing/audit.py", set()),
        ("reports/html.py", set()),
        ("__init__.py", set()),
        ("trials/run.py", set(TRIALS)),
        ("training/loop.py", set(TRIALS)),
        ("data/windows.py", set(TRIALS)),
        ("attention/adapters/chronos.py", set(TRIALS)),  # found by name, as every adapter
    ],
)
def test_a_change_moves_the_trials_that_use_it(addresses, path, changed):
    before, after = addresses(), addresses(path)
    assert {name for name in TRIALS if before[name] != after[name]} == changed
    assert len({*before.values(), *after.values()}) == len(TRIALS) + len(changed)


@pytest.mark.parametrize("path", ["trials/run.py", "forecasters/patchtst.py"])
def test_what_is_only_said_moves_none(addresses, path):
    assert addresses() == addresses(path, "# A comment.\n\n'''And a string.'''\n")


def test_code_without_a_file_counts_as_long_as_it_is_this_code(monkeypatch):
    def define():
        class Made(Last):
            name = "made"

        Made.__module__ = "a notebook"
        monkeypatch.setitem(registry._REGISTRY, "made", Made)

    trial = replace(FIT, forecaster="made")
    define()
    first = trial.address
    assert trial.address == first
    define()
    assert trial.address != first


def test_a_worker_of_other_code_is_told(tmp_path, monkeypatch):
    store = Store(tmp_path)
    store.put_panel(hourly(300))
    monkeypatch.setattr(named, "fingerprint", lambda *_, **__: "other")
    named._fingerprint.cache_clear()
    try:
        with pytest.raises(TrialError, match="last, seed 0: the source code was changed while this ran"):
            run_local([replace(FIT, data=hourly(300).fingerprint, forecaster="last")], store, workers=1)
    finally:
        named._fingerprint.cache_clear()
