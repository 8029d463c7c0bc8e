"""Raises an error with a text that no file can hold, and that a terminal obeys."""


def relu(x):
    raise ValueError("\ud800\x1b[2J" * 1_000_000)
