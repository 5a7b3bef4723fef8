"""Keywords of a verb, those of the protocol apart."""

from dataclasses import fields

from forecheck.trials.protocol import Protocol


def parted(horizon, keywords):
    """A protocol of the keywords that are its own, and the rest."""
    own = {field.name for field in fields(Protocol)} & set(keywords)
    rest = {key: value for key, value in keywords.items() if key not in own}
    return Protocol(horizon, **{key: keywords[key] for key in own}), rest
