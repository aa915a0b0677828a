"""The page around the sections: one self-contained HTML file, no network, light and dark, printable."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from imbdense.report.style import CSS, SCRIPT


def page(title: str, subtitle: str, sections: Sequence[tuple[str, str, str]]) -> str:
    """Join (short name, heading, body) sections into a page; empty bodies are left out together with their link."""
    shown = [(_anchor(name), name, heading, body) for name, heading, body in sections if body]
    links = ''.join(f'<a href="#{anchor}">{escape(name)}</a>' for anchor, name, _, _ in shown)
    bodies = ''.join(
        f'<section id="{anchor}"><h2>{escape(heading)}</h2>{body}</section>' for anchor, _, heading, body in shown
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f'<title>{escape(title)}</title><style>{CSS}</style></head><body>'
        f'<nav><b>imbdense</b>{links}</nav><main><header><h1>{escape(title)}</h1><p class="sub">{subtitle}</p></header>'
        f'{bodies}</main><script>{SCRIPT}</script></body></html>\n'
    )


def _anchor(name: str) -> str:
    """The name as a link target."""
    return ''.join(letter if letter.isalnum() else '-' for letter in name.lower())


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, css: str = '') -> str:
    """An HTML table; cells are HTML already. The first column is left aligned, the others right."""
    head = ''.join(f'<th>{cell}</th>' for cell in header)
    body = ''.join('<tr>' + ''.join(f'<td>{cell}</td>' for cell in row) + '</tr>' for row in rows)
    return f'<div class="scroll"><table class="{css}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def tabs(panes: Sequence[tuple[str, str]]) -> str:
    """Panes with a heading each; the script makes tabs of them, without it (and in print) all are shown."""
    panes = [(name, body) for name, body in panes if body]
    if len(panes) < 2:
        return ''.join(f'<h3>{escape(name)}</h3>{body}' for name, body in panes)
    inner = ''.join(
        f'<div class="pane" data-name="{escape(name)}"><h3>{escape(name)}</h3>{body}</div>' for name, body in panes
    )
    return f'<div class="tabs">{inner}</div>'


def details(summary: str, body: str) -> str:
    """A folded part."""
    return f'<details><summary>{escape(summary)}</summary>{body}</details>'


def swatch(colour: str) -> str:
    """A small square of the class colour."""
    return f'<i class="sw" style="background:{escape(colour)}"></i>'
