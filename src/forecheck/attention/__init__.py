"""Interventions: what to change (edits), where (sites), and how to reach it in a library's model (adapters)."""
