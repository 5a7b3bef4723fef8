import contextlib
import math
from dataclasses import dataclass
from typing import Literal, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecheck.errors import UsageError
from forecheck.forecasters import registry
from forecheck.forecasters.base import Task
from forecheck.forecasters.options import read_option


@given(st.integers())
def test_whole_numbers_come_back_from_text(number):
    assert read_option(str(number), int) == number
    assert read_option(number, int) == number


@given(st.floats(allow_nan=False))
def test_numbers_come_back_from_text(number):
    assert read_option(repr(number), float) == number
    assert read_option(repr(number), float | None) == number


@given(st.text())
def test_words_stay_as_they_are(text):
    assert read_option(text, str) == text


@given(st.text(), st.sampled_from([int, float, bool, Literal["a", "b"], int | None, tuple[int, ...]]))
def test_any_text_is_read_or_refused_by_value_error(text, kind):
    with contextlib.suppress(ValueError):
        read_option(text, kind)


@pytest.mark.parametrize(
    ("value", "kind", "read"),
    [
        ("8", int, 8),
        (8.0, int, 8),
        (" 8 ", int, 8),
        ("1e-3", float, 1e-3),
        ("-inf", float, -math.inf),
        (3, float, 3.0),
        ("true", bool, True),
        ("Yes", bool, True),
        ("1", bool, True),
        ("off", bool, False),
        ("FALSE", bool, False),
        (True, bool, True),
        ("none", float | None, None),
        ("None", Optional[int], None),  # noqa: UP045  both notations are met in configs
        ("", float | None, None),
        (None, float | None, None),
        ("0", float | None, 0.0),
        ("7", Optional[int], 7),  # noqa: UP045
        ("layer", Literal["batch", "layer"], "layer"),
        ("2", Literal[1, 2], 2),
        ("1:2:3", tuple[int, ...], (1, 2, 3)),
        ([1, 2], tuple[int, ...], (1, 2)),
        (5, tuple[int, ...], (5,)),
        ("0.5", tuple[float, ...], (0.5,)),
        ("softmax", str, "softmax"),
    ],
)
def test_values_are_read_as_the_type_of_the_field(value, kind, read):
    found = read_option(value, kind)
    assert found == read
    assert type(found) is type(read)


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        ("eight", int, "must be a whole number"),
        ("1.5", int, "must be a whole number"),
        (1.5, int, "must be a whole number"),
        (math.inf, int, "must be a whole number"),
        (None, int, "must be a whole number"),
        ("", float, "must be a number"),
        ("nan", float, "must be a number"),
        (None, float, "must be a number"),
        (10**400, float, "must be a number"),
        ("maybe", bool, "must be true or false"),
        ("2", bool, "must be true or false"),
        ("little", float | None, "must be a number, or none"),
        ("group", Literal["batch", "layer"], "must be one of batch, layer"),
        ("1:x", tuple[int, ...], "must be a whole number"),
    ],
)
def test_wrong_values_are_refused_in_words(value, kind, message):
    with pytest.raises(ValueError, match=rf"\A{message}\Z"):
        read_option(value, kind)


def test_an_option_from_text_is_in_the_config():
    config = registry.read_config(registry.find("dlinear"), {"ridge": "0", "kernel": "7", "per_channel": "yes"})
    assert (config.ridge, config.kernel, config.per_channel, config.bias) == (0.0, 7, True, True)
    assert registry.read_config(registry.find("nlinear"), {"ridge": "none"}).ridge is None


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("nlinear", {"rigde": 0}, r"nlinear has no option 'rigde'\n  Options: ridge, bias, per_channel\."),
        ("last", {"ridge": 0}, r"last has no option 'ridge'\n  Options: none\."),
        ("nlinear", {"ridge": "much"}, r"option nlinear\.ridge = 'much': must be a number, or none"),
        ("nlinear", {"ridge": "-1"}, r"nlinear: ridge must be finite and not negative, got -1\.0"),
        ("nlinear", {"bias": "perhaps"}, r"option nlinear\.bias = 'perhaps': must be true or false"),
        ("dlinear", {"kernel": "4"}, r"dlinear: kernel must be odd and positive, got 4"),
        ("patchtst", {"norm": "group"}, r"option patchtst\.norm = 'group': must be one of batch, layer"),
    ],
)
def test_wrong_options_name_model_option_and_what_is_allowed(model, options, message):
    with pytest.raises(UsageError, match=message):
        registry.read_config(registry.find(model), options)


@pytest.mark.parametrize("options", [{"patch": 60}, {"heads": 3}, {"stride": 0}])
def test_what_cannot_be_built_for_the_task_is_a_usage_error(options):
    with pytest.raises(UsageError, match="patchtst: "):
        registry.create("patchtst", Task(48, 12, 2), options)
    with pytest.raises(UsageError, match="seasonal repeats the last 60 steps"):
        registry.create("seasonal", Task(48, 12, 2, period=60))


@pytest.mark.parametrize(
    ("name", "nearest"), [("nlinaer", "nlinear"), ("patchTST", "patchtst"), ("PatchTst", "patchtst"), ("mena", "mean")]
)
def test_a_wrong_name_gets_the_nearest(name, nearest):
    with pytest.raises(
        UsageError, match=rf"no forecaster is called '{name}'\n  Did you mean {nearest}\? Known: last, "
    ):
        registry.find(name)


def test_a_name_like_none_gets_the_list():
    with pytest.raises(UsageError, match=r"no forecaster is called 'xyzzy'\n  Known: last, seasonal, "):
        registry.find("xyzzy")


def test_a_registered_class_is_found(monkeypatch):
    monkeypatch.setattr(registry, "_REGISTRY", dict(registry._REGISTRY))

    @registry.register
    class Mine(registry.find("last")):
        name = "mine"
        rank = 77

    assert registry.find("mine") is Mine
    assert [forecaster.rank for forecaster in registry.all_forecasters()] == sorted(
        forecaster.rank for forecaster in registry.all_forecasters()
    )


def test_defaults_are_those_of_the_config():
    @dataclass(frozen=True)
    class Config:
        width: int = 3

    class Mine(registry.find("last")):
        pass

    Mine.Config = Config
    assert registry.defaults(Mine) == {"width": 3}
    assert registry.defaults(registry.find("nlinear")) == {"ridge": None, "bias": True, "per_channel": False}
