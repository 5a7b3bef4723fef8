"""The shape annotations of the whole package are executed in every test."""

import os

# Before numpy and torch start: one thread is fastest on small arrays and makes results repeat.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import shapes

shapes.install()

import pytest  # noqa: E402
import torch  # noqa: E402
from hypothesis import settings  # noqa: E402

torch.set_num_threads(1)
# Timings vary on shared machines; a test never depends on them.
settings.register_profile("forecheck", deadline=None, max_examples=30)
settings.load_profile("forecheck")


@pytest.fixture(autouse=True)
def _first_calls_are_checked():
    shapes.begin()


@pytest.fixture(autouse=True)
def _home_is_a_folder_of_the_test(tmp_path, monkeypatch):
    monkeypatch.setenv("FORECHECK_HOME", str(tmp_path / "home"))
