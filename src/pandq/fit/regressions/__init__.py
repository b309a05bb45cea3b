"""Regressions fitted in passes over rows: to their optimum, or to a posterior."""
