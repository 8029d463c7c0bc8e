"""Reads where there is no memory."""

import ctypes


def relu(x):
    return ctypes.string_at(0)
