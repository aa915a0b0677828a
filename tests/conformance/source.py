"""The package as syntax trees: which file imports what, at import time or lazily inside a function."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / 'imbdense'


@dataclass(frozen=True)
class Import:
    """One imported module name; ``lazy`` = inside a function; ``typing_only`` = under TYPE_CHECKING."""

    module: str
    line: int
    lazy: bool
    typing_only: bool


@dataclass(frozen=True)
class Source:
    """One file of the package."""

    path: Path
    module: str
    tree: ast.Module
    lines: int

    @property
    def room(self) -> str:
        """First folder below the package: core, nn, data, mm, cli, report, utils; '' for top-level files."""
        parts = self.module.split('.')
        return parts[1] if len(parts) > 2 or (self.path.name == '__init__.py' and len(parts) == 2) else ''

    @property
    def where(self) -> str:
        """Path for messages."""
        return str(self.path.relative_to(ROOT))


@lru_cache
def sources() -> tuple[Source, ...]:
    """All files of the package."""
    found = []
    for path in sorted(PACKAGE.rglob('*.py')):
        parts = list(path.relative_to(ROOT).with_suffix('').parts)
        if parts[-1] == '__init__':
            parts.pop()
        text = path.read_text('utf-8')
        found.append(Source(path, '.'.join(parts), ast.parse(text), text.count('\n')))
    return tuple(found)


def imports(source: Source) -> Iterator[Import]:
    """Every import statement, with ``from a.b import c`` resolved to the module a.b.c where that is one."""
    modules = {item.module for item in sources()}
    for node, lazy, typing_only in _statements(source.tree, False, False):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, lazy, typing_only)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ''
            for alias in node.names:
                full = f'{base}.{alias.name}'
                yield Import(full if full in modules else base, node.lineno, lazy, typing_only)


def _statements(node: ast.AST, lazy: bool, typing_only: bool) -> Iterator[tuple[ast.AST, bool, bool]]:
    """Walk with the knowledge of being inside a function or under TYPE_CHECKING."""
    for child in ast.iter_child_nodes(node):
        inside = lazy or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        under = typing_only or (isinstance(child, ast.If) and 'TYPE_CHECKING' in ast.dump(child.test))
        yield child, inside, under
        yield from _statements(child, inside, under)
