"""Arithmetic of bands from a config, such as ``'dsm - dtm'``: parsed, never evaluated as code."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

_OPERATIONS: dict[type[Any], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}
_SIGNS: dict[type[Any], Callable[[Any], Any]] = {ast.USub: operator.neg, ast.UAdd: operator.pos}


class Expression:
    """A formula of names, numbers, ``+ - * /`` and parentheses.

    Attributes:
        text: as given. names: the names in it, in order of appearance.

    Raises:
        ValueError: anything else in it: calls, attributes, powers, comparisons.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            self._tree = ast.parse(text, mode='eval').body
        except (SyntaxError, ValueError) as error:
            raise ValueError(f'expr={text!r} is no formula: {error}.') from error
        names: list[str] = []
        self._check(self._tree, names)
        if not names:
            raise ValueError(f'expr={text!r} names no source.')
        self.names = tuple(dict.fromkeys(names))

    def __call__(self, values: Mapping[str, Any]) -> Any:
        """Return the value for ``values`` {name: array}; division by zero gives what NumPy gives."""
        return self._value(self._tree, values)

    def _check(self, node: ast.AST, names: list[str]) -> None:
        """Refuse what is no arithmetic."""
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
            self._check(node.left, names)
            self._check(node.right, names)
        elif isinstance(node, ast.UnaryOp) and type(node.op) in _SIGNS:
            self._check(node.operand, names)
        elif isinstance(node, ast.Name):
            names.append(node.id)
        elif not (isinstance(node, ast.Constant) and type(node.value) in (int, float)):
            raise ValueError(f'expr={self.text!r}: only names of sources, numbers, + - * / and parentheses are '
                             f'allowed, not {ast.unparse(node)!r}.')

    def _value(self, node: Any, values: Mapping[str, Any]) -> Any:
        """Value of a checked node."""
        if isinstance(node, ast.BinOp):
            return _OPERATIONS[type(node.op)](self._value(node.left, values), self._value(node.right, values))
        if isinstance(node, ast.UnaryOp):
            return _SIGNS[type(node.op)](self._value(node.operand, values))
        return values[node.id] if isinstance(node, ast.Name) else node.value

    def __repr__(self) -> str:
        return f'Expression({self.text!r})'
