"""The network of a saved fit, with windows scaled as it was fitted."""

from __future__ import annotations

from pathlib import Path

from forecheck.data.panel import Panel
from forecheck.data.scaling import Scaler
from forecheck.data.windows import Experiment, prepare
from forecheck.errors import UsageError
from forecheck.forecasters.neural import NeuralForecaster
from forecheck.forecasting.beside import check_uses
from forecheck.forecasting.combined import Combined
from forecheck.forecasting.fitted import Fitted
from forecheck.forecasting.saved import load_fit
from forecheck.trials.protocol import Protocol


def saved_network(folder: Path, panel: Panel, protocol: Protocol) -> tuple[NeuralForecaster, Experiment, list[str]]:
    """The forecaster of a saved fit, the windows to prune and judge it on, and what is to be known of them.

    Windows are scaled by mean and standard deviation of the fit, whatever those of these data are. Without a split of
    the protocol they are cut as for the fit.

    Args:
        folder: as `forecheck.forecasting.saved.save_fit` wrote it.
        panel: data with the channels and the step of the fit.
        protocol: its horizon and lookback, if any, are those of the fit.

    Raises:
        DataError: if the folder holds no fit, or the data are not of its kind.
        UsageError: if it has no network, or forecasts otherwise than is asked for.
    """
    fitted = load_fit(folder)
    if isinstance(fitted, Combined) or not isinstance(fitted.forecaster, NeuralForecaster):
        name = "a combination" if isinstance(fitted, Combined) else fitted.forecaster.name
        raise UsageError(
            f"the fit in {folder} is {name}, which has no network to prune",
            "Fit a model that is trained: forecheck fit DATA --horizon H --model patchtst -o FOLDER.",
        )
    task = fitted.forecaster.task
    for what, asked, own in (
        ("horizon", protocol.horizon, task.horizon),
        ("lookback", protocol.lookback, task.lookback),
    ):
        if asked not in (None, own):
            raise UsageError(
                f"the fit in {folder} has a {what} of {own}, not {asked}", f"Leave the {what} out, or fit again."
            )
    check_uses(panel, fitted.forecaster.name)
    panel = fitted.aligned(panel)
    split = protocol.split or fitted.info.get("split")
    mean, std = fitted.scale_of(panel)
    experiment = prepare(panel, task.lookback, task.horizon, split, protocol.step, Scaler(mean, std))
    return fitted.forecaster, experiment, _notes(fitted, experiment)


def _notes(fitted: Fitted, experiment: Experiment) -> list[str]:
    """Why the loss before pruning may be lower than that of windows that were never seen."""
    data = fitted.origin.get("data") or {}
    if data.get("fingerprint") not in (None, experiment.panel.fingerprint):
        said = "these are not the data that the fit was made of: rows of their test part may have been trained on"
        return [said]
    if (own := fitted.info.get("split")) not in (None, experiment.split):
        return [f"the fit was made with the split {own}: rows of this test part may have been trained on"]
    return []
