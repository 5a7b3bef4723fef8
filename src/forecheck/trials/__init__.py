"""Trials: pure descriptions of runs, a content-addressed store of results, and the engines that fill it."""
