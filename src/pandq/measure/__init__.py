"""Measure: two views in, one float64 per row out. P first, always.

All functions take P as a view and Q as a view, in any of the five kinds, and go through the
rows in blocks, so that memory does not grow with their number.
"""
