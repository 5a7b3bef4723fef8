"""Remedies by name: which forecaster takes which, and what is said when it does not."""

from dataclasses import asdict
from pathlib import Path

import pytest

from forecheck.errors import UsageError
from forecheck.forecasters import registry
from forecheck.forecasters.base import Task
from forecheck.forecasters.remedies import REMEDIES, find_remedy, remedied
from forecheck.nn.attention import Attention
from panels import TINY

TASK = Task(lookback=48, horizon=12, channels=2, period=24)
TRAINING = ("drift-correction", "local-score", "entropy-floor", "weight-decay", "sgd", "sam")
SMALL = {"width": 8, "heads": 2, "hidden": 8, "layers": 1, "label": 8}


def config_of(model, **options):
    return asdict(registry.create(model, TASK, options).config)


@pytest.mark.parametrize("name", TRAINING)
def test_training_remedies_suit_every_model_with_attention(name):
    for model, options in (("patchtst", TINY), ("transformer", SMALL)):
        config = config_of(model, **options)
        taker, made = remedied(name, model, TASK, config)
        assert taker == model
        changed = {key: value for key, value in made.items() if value != config[key]}
        assert changed.items() <= REMEDIES[name].options.items()
        assert changed


@pytest.mark.parametrize("name", REMEDIES)
def test_patchtst_takes_every_remedy_and_keeps_its_attention(name):
    taker, made = remedied(name, "patchtst", TASK, config_of("patchtst", **TINY))
    assert taker == ("vq-patchtst" if name.startswith("vq") else "patchtst")
    assert made.items() >= REMEDIES[name].options.items()
    module = registry.create(taker, TASK, made).module
    assert sum(isinstance(each, Attention) for each in module.modules()) == TINY["layers"]


def test_the_page_of_remedies_lists_them_all_with_their_options():
    page = (Path(__file__).parents[2] / "docs" / "remedies.md").read_text()
    for name, each in REMEDIES.items():
        options = ", ".join(f"`{option}={value}`" for option, value in each.options.items())
        assert f"| `{name}` | {each.summary} | {options} |" in page
        assert each.source


def test_the_nearest_name_is_proposed():
    with pytest.raises(UsageError, match="no remedy is called 'sgb'") as refused:
        find_remedy("sgb")
    assert "Did you mean sgd?" in refused.value.remedy


def test_a_model_without_attention_of_ours_is_offered_what_it_accepts():
    config = config_of("autoformer", width=8, hidden=8, layers=1)
    with pytest.raises(
        UsageError, match="autoformer cannot take the remedy 'local-score': it has no attention"
    ) as refused:
        remedied("local-score", "autoformer", TASK, config)
    assert refused.value.remedy == "It accepts: weight-decay, sgd, sam."


def test_an_option_that_the_model_does_not_have_is_named():
    with pytest.raises(UsageError, match="cannot take the remedy 'vq': it has no option 'embedding'"):
        remedied("vq", "transformer", TASK, config_of("transformer", **SMALL))
    with pytest.raises(UsageError, match="cannot take the remedy 'sgd': it has no option 'optimizer'") as refused:
        remedied("sgd", "last", TASK, config_of("last"))
    assert refused.value.remedy == "It accepts none."


def test_a_remedy_that_changes_nothing_is_no_remedy():
    with pytest.raises(UsageError, match="cannot take the remedy 'sam': it is like that already") as refused:
        remedied("sam", "patchtst", TASK, config_of("patchtst", **TINY, sam=0.5))
    accepted = refused.value.remedy.removeprefix("It accepts: ").rstrip(".").split(", ")
    assert set(accepted) == set(REMEDIES) - {"sam"}


def test_codes_are_those_of_another_forecaster_with_options_of_its_own():
    config = config_of("differential", **TINY)
    taker, made = remedied("vq-tuned", "differential", TASK, config, {"vq-differential": {"vq_codes": 8}})
    assert (taker, made["embedding"], made["vq_codes"]) == ("vq-differential", "vq-tuned", 8)
    assert {**made, **config, "embedding": "vq-tuned"} == made
    again, _ = remedied("vq-random", taker, TASK, made)
    assert again == taker
    with pytest.raises(UsageError, match="vq-differential cannot take the remedy 'vq-tuned': it is like that already"):
        remedied("vq-tuned", taker, TASK, made)
