"""Adapters: one file a library, each with an `ADAPTER`."""
