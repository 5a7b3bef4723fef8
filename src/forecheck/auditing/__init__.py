"""Checks: what an audit looks at, one file a family, each check with a stable code."""
