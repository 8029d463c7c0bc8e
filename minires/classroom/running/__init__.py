"""Calling functions of somebody else's file, and reading what came of it."""
