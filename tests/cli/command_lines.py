"""Parts of command lines that several tests share."""

from panels import TINY


def tiny(**options):
    """Options that make an audited model tiny."""
    return [argument for key, value in (TINY | options).items() for argument in ("--set", f"patchtst.{key}={value}")]
