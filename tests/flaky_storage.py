"""A file backend of MMEngine's whose storage fails now and then, as the backends of users do."""

import errno
import itertools
import os

from mmengine.fileio import LocalBackend, register_backend


@register_backend('flaky')
class FlakyBackend(LocalBackend):
    """The local disk, of which some reads fail.

    Args:
        every: Each so-many-th read of this process fails.
        number: Of the error.
        only: Part of the paths that are meant.
    """

    reads = itertools.count(1)

    def __init__(self, every=1, number=errno.EIO, only=''):
        self._every, self._number, self._only = every, number, only

    def get(self, filepath):  # noqa: D102
        if self._only in str(filepath) and next(FlakyBackend.reads) % self._every == 0:
            raise OSError(self._number, os.strerror(self._number), str(filepath))
        return super().get(filepath)
