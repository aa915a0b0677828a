"""The error of every reader: it names the file, what is wrong with it and how to mend it."""

from __future__ import annotations

from pathlib import Path


class LabelReadError(ValueError):
    """A label or annotation file cannot be used.

    Attributes:
        path: the file.
        code: short machine-readable kind: missing, unreadable, colours, values, shape, schema.
        problem: what is wrong.
        cure: what to do.
    """

    def __init__(self, path: str | Path, code: str, problem: str, cure: str) -> None:
        super().__init__(f'{path}: {problem} {cure}')
        self.path, self.code, self.problem, self.cure = str(path), code, problem, cure

    def __reduce__(self) -> tuple[type[LabelReadError], tuple[str, str, str, str]]:
        return LabelReadError, (self.path, self.code, self.problem, self.cure)
