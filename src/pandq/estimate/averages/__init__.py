"""Averages of rows and their intervals."""
