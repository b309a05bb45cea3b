"""Summaries: what is kept of rows that have gone by, and how two of them become one.

A Summary is a frozen dataclass that does not grow with the rows (or only with what the user
asked to tell apart), with `empty(...)`, `of(...)` and `merge(other)`. Merging is associative,
the empty one is its identity, and neither operand is changed.
"""
