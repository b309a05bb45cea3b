"""A cross entropy in parts."""
