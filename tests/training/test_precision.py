"""Training with products in bfloat16: what is in it, what is not, and that it trains as well."""

import pytest
import torch
from torch import nn

from forecheck.data.windows import prepare
from forecheck.errors import UsageError
from forecheck.forecasters import registry
from forecheck.forecasters.base import Task
from forecheck.training.loop import train
from forecheck.training.precision import computed_in
from forecheck.training.recipe import Recipe
from panels import TINY, hourly


@pytest.fixture(scope="module")
def cut():
    return prepare(hourly(600), 24, 6)


class Noted(nn.Module):
    """A linear map that notes of what type its products are, in training and in evaluation."""

    def __init__(self):
        super().__init__()
        self.map = nn.Linear(24, 6)
        self.seen = set()

    def forward(self, x):
        out = self.map(x.mT)
        self.seen.add((self.training, out.dtype))
        return out.mT


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_products_of_training_are_of_it_and_nothing_else(precision, dtype, cut):
    model = Noted()
    history = train(model, cut.train, cut.validation, Recipe(epochs=2, precision=precision))
    assert model.seen == {(True, dtype), (False, torch.float32)}
    assert {each.dtype for each in model.state_dict().values()} == {torch.float32}
    assert history.validation[-1] < history.validation[0]


def fitted(cut, precision):
    forecaster = registry.create("patchtst", Task(24, 6, 2, 24), TINY | {"epochs": 3, "precision": precision})
    forecaster.fit(cut.train, cut.validation)
    return forecaster


def test_it_trains_as_well_and_the_same_twice(cut):
    whole, half, again = (fitted(cut, precision) for precision in ("float32", "bfloat16", "bfloat16"))
    assert half.history.validation == again.history.validation
    assert half.history.validation != whole.history.validation
    assert half.history.validation[-1] == pytest.approx(whole.history.validation[-1], rel=0.05)


def test_it_ends_with_the_block():
    a = torch.ones(2, 2)
    with computed_in("bfloat16", "cpu"):
        assert (a @ a).dtype == torch.bfloat16
    assert (a @ a).dtype == torch.float32


def test_other_precisions_are_refused():
    with pytest.raises(UsageError, match="float32"):
        registry.create("patchtst", Task(24, 6, 2, 24), {"precision": "float16"})
