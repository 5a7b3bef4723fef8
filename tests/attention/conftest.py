"""Nothing that looks into models may leave hooks on all modules of the process."""

import pytest
from torch.nn.modules import module


@pytest.fixture(autouse=True)
def _no_global_hooks_stay():
    yield
    assert not module._has_any_global_hook()
