"""List every component of imbdense: its name in a config, its purpose, its tasks, its card.

  imbdense list                 all kinds
  imbdense list sampler         one kind (model, sampler, transform, metric, hook, ...)
  imbdense list --json          for other programs
"""

from __future__ import annotations

import argparse
import difflib
import inspect
import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Component:
    """One registered class as ``imbdense list`` shows it."""

    kind: str
    name: str
    purpose: str
    tasks: tuple[str, ...]
    card: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('kind', nargs='?', help='only this kind of component')
    parser.add_argument('--json', action='store_true', help='print JSON')


def run(args: argparse.Namespace) -> int:
    """Print the components; exit code 0."""
    found = components(args.kind)
    if args.json:
        print(json.dumps([asdict(component) for component in found], indent=1))
    else:
        _print_kinds(found)
    return 0


def components(kind: str | None = None) -> list[Component]:
    """Return every registered component, by kind and name.

    Args:
        kind: name of one registry ('sampler', also in the plural); ``None`` = all.

    Raises:
        UserError: no such kind; the message holds the nearest ones.
    """
    from imbdense.registry import REGISTRIES

    chosen = list(REGISTRIES) if kind is None else [_known_kind(kind, list(REGISTRIES))]
    found = []
    for name in chosen:
        registry = REGISTRIES[name]
        registry.import_from_location()
        for registered, cls in sorted(registry.module_dict.items()):
            purpose = (inspect.getdoc(cls) or '').split('\n')[0]
            card = getattr(cls, 'card', '')
            path = f'docs/methods/{card}.md' if card else ''
            found.append(Component(name, f'imbdense.{registered}', purpose, tuple(getattr(cls, 'tasks', ())), path))
    return found


def _known_kind(kind: str, kinds: list[str]) -> str:
    """The kind meant by ``kind``: exact, or its plural."""
    from imbdense.cli.main import UserError

    for name in kinds:
        if kind in (name, f'{name}s'):
            return name
    near = difflib.get_close_matches(kind, kinds, n=3, cutoff=0.4)
    hint = f'Did you mean {" or ".join(near)}?' if near else f'The kinds are: {", ".join(kinds)}.'
    raise UserError(f'there is no kind {kind!r}. {hint}')


def _print_kinds(found: list[Component]) -> None:
    """Name, tasks and card of each component in one line, its purpose below; a table would break all of them."""
    from rich.console import Console
    from rich.text import Text

    console = Console(soft_wrap=True, highlight=False)
    for kind in dict.fromkeys(component.kind for component in found):
        console.print(Text(f'\n{kind}', style='bold underline'))
        for item in (component for component in found if component.kind == kind):
            line = Text(f"  type='{item.name}'", style='bold')
            line.append(f'  {", ".join(item.tasks)}', style='not bold cyan')
            line.append(f'  {item.card}', style='not bold dim')
            console.print(line)
            console.print(Text(f'      {item.purpose}'))
    if not found:
        console.print('no component of this kind yet')
