"""Assignments, and who grades them."""
