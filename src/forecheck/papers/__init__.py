"""The papers as commands: every claim with the experiment that tests it, our number beside theirs, and a verdict.

`forecheck.papers.catalogue` has the papers, `forecheck.papers.run.reproduce` runs them.
"""
