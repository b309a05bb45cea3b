"""Bounds on the floor, certified by votes."""
