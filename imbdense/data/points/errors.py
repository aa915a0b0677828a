"""The error of every reader and writer of point clouds."""

from __future__ import annotations

from imbdense.data.readers.errors import LabelReadError


class PointReadError(LabelReadError):
    """A point-cloud file cannot be used; the message names it, what is wrong with it and how to mend it.

    Attributes:
        path, code, problem, cure: as of :class:`~imbdense.data.readers.errors.LabelReadError`; ``code`` is one of
            missing, suffix, backend (a package is not installed), unreadable, truncated, empty, coordinates, colours,
            fields, columns, labels, unlabelled, ignored, schema.
    """

    def __reduce__(self) -> tuple[type[PointReadError], tuple[str, str, str, str]]:
        return PointReadError, (self.path, self.code, self.problem, self.cure)


class PointWriteError(ValueError):
    """A cloud does not fit the file that is to hold it; the message names the file and says what to do."""
