"""Trials: pure descriptions of runs, a content-addressed ledger of results, and the engines that fill it."""
