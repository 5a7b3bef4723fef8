"""Cases that the tests of measures share."""

from forecheck.attention.sites import Subject
from forecheck.data.windows import prepare
from forecheck.forecasters import registry
from forecheck.forecasters.base import Task
from forecheck.nn.seeding import initialise
from forecheck.probes.case import Case
from panels import TINY, hourly


def case(name="patchtst", options=None, panel=None, lookback=48, horizon=12, fit=False, seed=0):
    """A forecaster on waves; a neural one has its first weights unless `fit`."""
    experiment = prepare(panel or hourly(), lookback, horizon)
    task = Task(lookback, horizon, experiment.train.channels, 24)
    options = (TINY if name == "patchtst" else {}) | (options or {})
    forecaster = registry.create(name, task, options)
    module = getattr(forecaster, "module", None)
    if fit or module is None:
        forecaster.fit(experiment.train, experiment.validation, seed)
    else:
        initialise(module, seed)
        module.eval()
    return Case(Subject(forecaster.predict if module is None else module, module), forecaster, experiment, seed)


def plain(predict, name="last", **options):
    """A case whose forecaster is a function."""
    made = case(name, **options)
    made.forecaster.predict = predict
    return made
