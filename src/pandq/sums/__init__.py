"""Summaries: what is kept of rows that have gone by, and how two of them become one."""
