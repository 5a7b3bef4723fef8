"""Synthetic panels on which the right answer is known: the controls of the audit."""
