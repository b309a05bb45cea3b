"""Layouts: one SQL file for each form in which files hold answers, with a header that tells."""
