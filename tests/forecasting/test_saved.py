"""Fits that are saved: the same numbers from the folder, other data, and folders that were damaged."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import forecheck as fc
from forecheck.data.frequency import Frequency
from forecheck.data.panel import Panel
from forecheck.errors import DataError, UsageError, WriteError
from forecheck.files import checksum
from forecheck.forecasting.candidates import CANDIDATES
from forecheck.forecasting.saved import load_fit, save_fit
from forecheck.trials.record import sealed
from panels import TINY, hourly, ragged

SMALL = {"horizon": 6, "lookback": 24, "workers": 0}


@pytest.fixture
def fit(tmp_path):
    """Fit and save; gives the folder."""

    def run(panel, **keywords):
        fc.fit(panel, output=tmp_path / "fit", store=tmp_path / "store", **(SMALL | keywords))
        return tmp_path / "fit"

    return run


def later(folder, panel, level=()):
    return fc.forecast(panel, model_dir=folder, level=level)


def grid(result, panel, column=None):
    return np.asarray(result.columns[column or result.model]).reshape(len(panel.series), len(panel.channels), -1)


def longer(panel, rows):
    """A panel of one series with so many rows more."""
    more = hourly(len(panel.values) + rows, channels=len(panel.channels))
    return replace(more, channels=panel.channels)


# The same numbers


@pytest.mark.parametrize("panel", [hourly(300), ragged()], ids=["channels", "series"])
@pytest.mark.parametrize("refit", [True, False])
@pytest.mark.parametrize("model", ["last", "nlinear", "anchored"])
def test_a_saved_fit_forecasts_the_same_bits(panel, refit, model, fit, tmp_path):
    levels = [50, 80, 97.5]
    folder = fit(panel, model=model, refit=refit, level=[97.5])
    shutil.rmtree(tmp_path / "store")
    found = later(folder, panel, levels)
    expected = fc.forecast(panel, model=model, refit=refit, level=levels, store=tmp_path / "other", **SMALL)
    assert found.model == expected.model == model
    assert list(found.columns) == list(expected.columns)
    for name, column in expected.columns.items():
        assert np.array_equal(np.asarray(found.columns[name]), np.asarray(column)), name
    assert found.info == expected.info


def test_so_does_a_trained_one(fit, tmp_path):
    panel = hourly(120)
    keywords = {"model": "patchtst", "lookback": 16, "options": {"patchtst": TINY | {"epochs": 1, "layers": 1}}}
    folder = fit(panel, **keywords)
    found = later(folder, panel, [80])
    expected = fc.forecast(panel, level=[80], store=tmp_path / "store", **(SMALL | keywords))
    for name, column in expected.columns.items():
        assert np.array_equal(np.asarray(found.columns[name]), np.asarray(column)), name


def test_auto_is_saved_with_its_reasons(fit):
    panel = hourly(300)
    folder = fit(panel, candidates=CANDIDATES)
    described = json.loads((folder / "fit.json").read_text())
    assert described["info"]["model"] in described["info"]["validation_mse"]
    assert described["origin"]["data"]["fingerprint"] == panel.fingerprint
    assert {"fit", "versions"} <= set(described["origin"])
    assert {path.suffix for path in folder.iterdir()} == {".json", ".safetensors"}


def test_levels_that_the_windows_allow_are_there(fit):
    panel = hourly(300)  # 55 calibration windows: up to 98 %
    folder = fit(panel, model="mean")
    assert "mean-hi-98" in later(folder, panel, [1, 98]).columns
    for level, message in (
        (99, "no interval of 99 %"),
        (97.5, "fit again with --level 97.5"),
        (100, "between 0 and 100"),
    ):
        with pytest.raises(UsageError, match=message):
            later(folder, panel, [level])
    with pytest.raises(DataError, match="% interval needs at least"):
        fit(panel, model="mean", level=[99.9])


# Other data


def test_rows_that_came_later_are_forecast_from(fit):
    panel = hourly(300)
    more = longer(panel, 50)
    result = later(fit(panel, model="last"), more)
    np.testing.assert_allclose(grid(result, more)[0][:, 0], more.values[-1], rtol=1e-5)
    assert result.columns["ds"][0] == more.time[-1] + (more.time[1] - more.time[0])


def test_the_last_rows_are_enough(fit):
    panel = hourly(300)
    folder = fit(panel, model="nlinear")
    tail = Panel(panel.values[-24:], np.array([0, 24]), panel.time[-24:], ("0",), panel.channels, panel.frequency)
    np.testing.assert_array_equal(grid(later(folder, tail), tail), grid(later(folder, panel), panel))
    short = replace(tail, values=tail.values[1:], offsets=np.array([0, 23]), time=tail.time[1:])
    with pytest.raises(DataError, match="23 rows, fewer than the lookback 24"):
        later(folder, short)


@pytest.mark.parametrize("model", ["linear", "anchored"])
def test_channels_are_known_by_name(model, fit):
    panel = hourly(300, channels=3)
    folder = fit(panel, model=model, options={model: {"per_channel": True}})
    shuffled = replace(panel, values=panel.values[:, [2, 0, 1]], channels=("c2", "c0", "c1"))
    expected, found = later(folder, panel), later(folder, shuffled)
    assert found.columns["unique_id"] == expected.columns["unique_id"]
    np.testing.assert_array_equal(found.columns[model], expected.columns[model])


def test_series_have_their_own_scale(fit):
    panel = ragged()
    folder = fit(panel, model="nlinear")
    last = slice(int(panel.offsets[2]), int(panel.offsets[3]))
    one = replace(
        panel,
        values=panel.values[last],
        time=panel.time[last],
        offsets=np.array([0, last.stop - last.start]),
        series=("store_2",),
    )
    np.testing.assert_array_equal(grid(later(folder, one), one)[0], grid(later(folder, panel), panel)[2])
    with pytest.raises(DataError, match='was not fitted on series "store_9" of stores: every series is scaled'):
        later(folder, replace(one, series=("store_9",)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": ("c0", "c7")}, 'waves lacks "c1" and has "c7"; the model was fitted on channels "c0", "c1"'),
        ({"channels": ("c0", "c0")}, 'lacks "c1"'),
        (
            {"frequency": Frequency("us", 1_800_000_000)},
            "a row every 30 minutes, but the model was fitted on a row every hour",
        ),
        ({"frequency": Frequency("step"), "time": np.arange(300)}, "a row every step"),
    ],
)
def test_other_data_are_refused(change, message, fit):
    panel = hourly(300)
    folder = fit(panel, model="mean")
    with pytest.raises(DataError, match=message):
        later(folder, replace(panel, **change))


def test_more_and_fewer_channels_are_refused(fit):
    folder = fit(hourly(300), model="mean")
    with pytest.raises(DataError, match='waves has "c2"; the model was fitted on channels "c0", "c1"'):
        later(folder, hourly(300, channels=3))
    with pytest.raises(DataError, match='waves lacks "c1"'):
        later(folder, hourly(300, channels=1))


def test_what_the_fit_has_settled(fit):
    panel = hourly(300)
    folder = fit(panel, model="mean")
    assert len(fc.forecast(panel, model_dir=folder, horizon=6).columns["ds"]) == 12
    with pytest.raises(UsageError, match="forecasts 6 steps, not 7"):
        fc.forecast(panel, model_dir=folder, horizon=7)
    with pytest.raises(UsageError, match="say how many steps to forecast"):
        fc.forecast(panel)


# Folders


def test_an_earlier_fit_is_replaced_and_nothing_else_is(fit, tmp_path):
    panel = hourly(300)
    assert load_fit(fit(panel, model="mean")).forecaster.name == "mean"
    folder = fit(panel, model="last")
    assert load_fit(folder).forecaster.name == "last"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fit", "store"]
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"it holds notes\.txt, which is no part of a fit"):
        fit(panel, model="mean")
    assert (folder / "notes.txt").read_text() == "mine"
    with pytest.raises(UsageError, match="it is a file"):
        fc.fit(panel, output=folder / "notes.txt", **SMALL)
    with pytest.raises(UsageError, match="does not exist"):
        fc.fit(panel, output=tmp_path / "no" / "where", **SMALL)


def test_a_fit_that_cannot_be_written_leaves_the_earlier_one(fit, monkeypatch):
    folder = fit(hourly(300), model="mean")
    fitted = load_fit(folder)

    def fail(part):
        raise OSError("disk full")

    monkeypatch.setattr(fitted.forecaster, "save", fail)
    with pytest.raises(WriteError, match="disk full"):
        save_fit(fitted, folder)
    assert load_fit(folder).forecaster.name == "mean"


def rewrite(file, change):
    content = json.loads(file.read_text())
    change(content)
    content.pop("sha256", None)
    file.write_text(sealed(content) if file.name == "fit.json" else json.dumps(content))
    reseal(file.parent)


def rearray(file, change):
    arrays = load_file(file)
    change(arrays)
    save_file(arrays, file)
    reseal(file.parent)


def reseal(folder):
    """Checksums that are right, as somebody who means harm would write them."""
    content = json.loads((folder / "fit.json").read_text())
    del content["sha256"]
    content["files"] = {path.name: checksum(path) for path in folder.iterdir() if path.name != "fit.json"}
    (folder / "fit.json").write_text(sealed(content))


JSON_DAMAGE = {
    "no format": lambda d: d.pop("format"),
    "a newer format": lambda d: d.update(format=2),
    "no channels": lambda d: d.update(channels=[]),
    "channels that are numbers": lambda d: d.update(channels=[1, 2]),
    "a channel twice": lambda d: d.update(channels=["c0", "c0"]),
    "another number of channels": lambda d: d.update(channels=["c0", "c1", "c2"]),
    "more series": lambda d: d.update(series=["0", "1"]),
    "no frequency": lambda d: d.update(frequency=None),
    "a step backwards": lambda d: d["frequency"].update(count=-1),
    "a step of text": lambda d: d["frequency"].update(count="hour"),
    "an unknown step": lambda d: d["frequency"].update(unit="moon"),
    "no info": lambda d: d.update(info=[]),
    "info without a model": lambda d: d["info"].pop("model"),
    "a loss of text": lambda d: d["info"].update(test_mse="much"),
}
MODEL_DAMAGE = {
    "an unknown model": lambda d: d.update(name="os.system"),
    "a model that is no text": lambda d: d.update(name=["nlinear"]),
    "another model": lambda d: d.update(name="patchtst"),
    "another lookback": lambda d: d["task"].update(lookback=25),
    "another horizon": lambda d: d["task"].update(horizon=7),
    "a horizon of nothing": lambda d: d["task"].update(horizon=0),
    "a horizon that is huge": lambda d: d["task"].update(horizon=10**15),
    "a lookback of text": lambda d: d["task"].update(lookback="24"),
    "no task": lambda d: d.pop("task"),
    "a strange option": lambda d: d["config"].update(rigde=1),
    "a wrong option": lambda d: d["config"].update(ridge=-1),
    "an option of text": lambda d: d["config"].update(ridge="much"),
    "no config": lambda d: d.update(config=3),
}
ARRAY_DAMAGE = {
    "no mean": ("scaling", lambda a: a.pop("mean")),
    "a mean that is not finite": ("scaling", lambda a: a.update(mean=a["mean"] * np.nan)),
    "a scale of zero": ("scaling", lambda a: a.update(std=a["std"] * 0)),
    "another shape": ("scaling", lambda a: a.update(std=a["std"][:, :1])),
    "scales that are whole numbers": ("scaling", lambda a: a.update(std=np.ones((1, 2), dtype=np.int64))),
    "a level that is none": ("intervals", lambda a: a.update({"high": a["80"]})),
    "a level beyond 100": ("intervals", lambda a: a.update({"180": a["80"]})),
    "a width below zero": ("intervals", lambda a: a.update({"80": -a["80"]})),
    "a width of another shape": ("intervals", lambda a: a.update({"80": a["80"][:3]})),
    "no weights": ("weights", lambda a: a.pop("weight")),
    "weights of another shape": ("weights", lambda a: a.update(weight=a["weight"][:, 1:])),
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    home = tmp_path_factory.mktemp("sound")
    fc.fit(hourly(300), model="nlinear", output=home / "fit", store=home / "store", **SMALL)
    return home / "fit"


@pytest.fixture
def folder(sound, tmp_path):
    return shutil.copytree(sound, tmp_path / "copy")


def refused(folder):
    with pytest.raises(DataError, match="copy does not hold a fit"):
        load_fit(folder)


def flip(share):
    return lambda content: bytes(
        byte ^ (4 * (at == int(share * (len(content) - 1)))) for at, byte in enumerate(content)
    )


FILE_DAMAGE = {
    "empty": lambda content: b"",
    "half": lambda content: content[: len(content) // 2],
    "without its last byte": lambda content: content[:-1],
    "with a byte more": lambda content: content + b" ",
    "zeros": lambda content: bytes(len(content)),
    "noise": lambda content: np.random.default_rng(0).bytes(len(content)),
    **{f"a flipped bit at {share:g}": flip(share) for share in (0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 1)},
    "another type": lambda content: b"[1, 2]",
}
NAMES = ["fit.json", "forecaster.json", "weights.safetensors", "scaling.safetensors", "intervals.safetensors"]


@pytest.mark.parametrize("damage", FILE_DAMAGE)
@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_is_not_as_it_was_written(name, damage, folder):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(FILE_DAMAGE[damage](content))
    refused(folder)
    (folder / name).write_bytes(content)
    load_fit(folder)
    (folder / name).unlink()
    (folder / name).mkdir()
    with pytest.raises(DataError, match="copy does not hold a fit"):
        load_fit(folder)


@pytest.mark.parametrize("name", NAMES[1:])
def test_files_of_two_fits_do_not_go_together(name, folder, tmp_path):
    fc.fit(hourly(280, seed=1), model="nlinear", output=tmp_path / "other", store=tmp_path / "store", **SMALL)
    shutil.copy(tmp_path / "other" / name, folder / name)
    if (folder / name).read_bytes() != (tmp_path / "other" / name).read_bytes() or name != "forecaster.json":
        with pytest.raises(DataError, match=f"{name} is not as it was written\n  It was damaged or edited: fit again"):
            load_fit(folder)


def test_a_fit_of_an_earlier_version_has_no_checksums(folder):
    content = json.loads((folder / "fit.json").read_text())
    del content["sha256"], content["files"]
    (folder / "fit.json").write_text(json.dumps(content, indent=1))
    assert load_fit(folder).forecaster.name == "nlinear"


# Where fits are written


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_that_is_there_stays_the_same_folder(tmp_path, monkeypatch):
    """A link, a mount point or the working folder cannot be renamed away."""
    target = tmp_path / "target"
    target.mkdir()
    (tmp_path / "link").symlink_to("target")
    there = target.stat().st_ino
    for model in ("last", "mean"):
        fc.fit(hourly(280), model=model, output=tmp_path / "link", store=tmp_path / "store", **SMALL)
        assert load_fit(target).forecaster.name == model
    monkeypatch.chdir(target)
    fc.fit(hourly(280), model="last", output=".", store=tmp_path / "store", **SMALL)
    assert load_fit(target).forecaster.name == "last"
    assert target.stat().st_ino == there
    assert (tmp_path / "link").is_symlink()
    assert names(target) == sorted(NAMES)
    assert len({path.stat().st_mode for path in target.iterdir()}) == 1  # whoever may read one, may read all


def test_an_update_that_was_killed_is_finished_by_whoever_reads(folder, sound, tmp_path):
    fc.fit(hourly(280), model="last", output=tmp_path / "other", store=tmp_path / "store", **SMALL)
    (folder / ".next").mkdir()
    for name in NAMES:
        shutil.copy(tmp_path / "other" / name, folder / (".next" if name > "g" else "") / name)
    assert load_fit(folder).forecaster.name == "last"
    assert names(folder) == sorted(NAMES)


def test_what_is_no_fit_is_not_written_over(tmp_path):
    place = tmp_path / "somebodys"
    place.mkdir()
    (place / "weights.safetensors").write_bytes(b"theirs")
    with pytest.raises(UsageError, match=r"it holds weights\.safetensors without fit\.json, so it is no fit"):
        fc.fit(hourly(280), model="last", output=place, **SMALL)
    assert (place / "weights.safetensors").read_bytes() == b"theirs"
    with pytest.raises(UsageError, match="too long"):
        fc.fit(hourly(280), model="last", output=tmp_path / ("n" * 300), **SMALL)


@pytest.mark.parametrize("damage", JSON_DAMAGE)
def test_a_damaged_description(damage, folder):
    rewrite(folder / "fit.json", JSON_DAMAGE[damage])
    refused(folder)


@pytest.mark.parametrize("damage", MODEL_DAMAGE)
def test_a_damaged_model(damage, folder):
    rewrite(folder / "forecaster.json", MODEL_DAMAGE[damage])
    refused(folder)


@pytest.mark.parametrize("damage", ARRAY_DAMAGE)
def test_damaged_arrays(damage, folder):
    file, change = ARRAY_DAMAGE[damage]
    rearray(folder / f"{file}.safetensors", change)
    refused(folder)


@pytest.mark.parametrize(
    "name", ["fit.json", "forecaster.json", "weights.safetensors", "scaling.safetensors", "intervals.safetensors"]
)
@pytest.mark.parametrize("content", [None, b"", b"[" * 100_000, b"\xff\xfe", b"[]", b"\x80\x04cos\nsystem\n."])
def test_files_that_are_gone_or_something_else(name, content, folder):
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    refused(folder)


def test_weights_that_are_not_finite_do_not_forecast(folder):
    rearray(folder / "weights.safetensors", lambda arrays: arrays.update(weight=arrays["weight"] * np.inf))
    with pytest.raises(DataError, match="the forecast nlinear for waves is not finite, first for "):
        later(folder, hourly(300))


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(DataError, match="does not hold a fit\n  Make one with forecheck fit"):
        load_fit(tmp_path / "nothing")
