"""Grades of a whole class: who is in it, when it was due, what it tells on the whole."""
