"""What can be wrong with the files of a data set."""

from __future__ import annotations


class DatasetMissing(OSError):  # noqa: N818 - what is missing is a data set, not an error
    """Files of a data set are not there; the message says which, where, and how to get them."""


class DatasetDamaged(OSError):  # noqa: N818 - likewise
    """A file of a data set is not what it should be; the message says what was found."""
