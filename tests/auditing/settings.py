"""A setting as a plan would make it, for tests that make evidence by hand."""

from forecheck.auditing.budget import BUDGETS
from forecheck.auditing.setting import Place, Setting
from forecheck.forecasters.base import Task

PLACES = (Place(0, "blocks.0", 2, 5, 5), Place(1, "blocks.1", 2, 5, 5))


def setting(experiment, model="patchtst", **known):
    test = experiment.test
    task = Task(test.lookback, test.horizon, test.channels, 24)
    config = {"patch": 8, "stride": 8}
    known = {"budget": BUDGETS["standard"], "places": PLACES, "identity": 0.0} | known
    return Setting(model, task, config=config, **known)
