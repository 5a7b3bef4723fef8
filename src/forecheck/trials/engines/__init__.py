"""Engines: how trials get run. All keep what is finished, whatever happens to the rest."""
