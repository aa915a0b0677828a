"""The proof suites: which config, which methods as config lines, which numbers to report.

A method is a set of replacements ``{dotted config path: new value}`` on one base config, so that all methods of a suite
share data, model, schedule and budget, and the table in the docs can print exactly the lines that made the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Method:
    """One row of the table: a name, the replaced config lines (or another config file), and why one would do it.

    ``trained=False``: a model with nothing to learn, which is tested only.
    """

    name: str
    lines: Mapping[str, Any] = field(default_factory=dict)
    why: str = ''
    config: str | None = None
    trained: bool = True


@dataclass(frozen=True)
class Suite:
    """One data set and model with the methods to compare.

    Attributes:
        config: base config, relative to ``configs/``.
        mean_key: result key of the overall quality (must not fall).
        rare_keys: result keys of the rare classes (must rise).
        group_keys: result keys of the groups that the table shows.
        prepare: (verb, arguments...) of ``imbdense`` that makes the data when ``data_root`` is absent, or empty.
        more_data: folder -> command as in ``prepare``, for suites that need a second data set.
        run_lines: (name of the method, seed) -> further lines, such as which images are labelled; asked when the run
            begins.
        note: one line about the setting, printed above the table.
    """

    name: str
    config: str
    methods: tuple[Method, ...]
    mean_key: str
    rare_keys: tuple[str, ...]
    group_keys: tuple[str, ...] = ()
    data_root: str = ''
    prepare: tuple[str, ...] = ()
    note: str = ''
    lines: Mapping[str, Any] = field(default_factory=dict)
    run_lines: Callable[[str, int], Mapping[str, Any]] | None = None
    more_data: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
