"""``imbdense VERB ...``: find the verb's module, let it parse its arguments, run it.

A verb is a module ``imbdense/cli/<verb>.py`` (dashes become underscores) with ``add_arguments(parser)`` and
``run(args) -> int``. A verb may name parts of its own, ``PARTS = {'pool': 'imbdense.cli.check_pool'}``: modules of the
same form, for ``imbdense check pool``; a verb that is nothing but its parts has only ``PARTS`` and a docstring. Nothing
but the chosen module is imported, so that ``imbdense --help`` answers at once.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import sys
from collections.abc import Sequence

VERBS: dict[str, str] = {
    'train': 'train a model from a config',
    'test': 'evaluate a checkpoint',
    'predict': 'run a model on images or folders and draw overlays; predict raster, predict points: maps and clouds',
    'pseudo-label': 'label an unlabelled set with a finished model: off-line self-training',
    'self-train': 'rounds of self-training of a segmentor: train, pseudo-label, train on both',
    'pointdc': 'point clouds without labels: image features, distillation, clusters of super-voxels',
    'stats': 'count the classes of a data set: table, plots, class_counts.json',
    'check': 'find faults in a data set before training (exit code for CI); check pool: is unlabelled data worth it',
    'browse': 'contact sheets per class, rarest first, through the real pipeline; browse points: a point cloud',
    'select': 'choose images to label: pool (make one), run (select), apply (subset of the annotations), report',
    'generate': 'generate aerial scenes with a long-tail dial, or a bank of cut-out objects',
    'prepare': 'bring a public data set into the layout of the configs',
    'calibrate': 'fit NorCal, logit adjustment, thresholds or a temperature of a finished model',
    'diagnose': 'where a finished model loses its rare classes, and what mends it',
    'convert': 'another checkpoint of a finished one: tau-normalised classifier',
    'compare': 'two change evaluations with intervals; clouds: distances of point clouds; cross-temporal: train x test',
    'report': 'one HTML file about one or several work dirs',
    'benchmark': 'speed against named peers, proof runs on real data, the imbalance grid',
    'list': 'every component with its purpose, tasks and card',
    'doctor': 'what is installed, what works, how to mend the rest',
}


class UserError(Exception):
    """A mistake the user can mend: printed as one message, without a traceback, exit code 2."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code: 0 good, 1 the verb found faults, 2 wrong use, 130 interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ('-h', '--help'):
        print(_usage())
        return 0 if arguments else 2
    if arguments[0] in ('-V', '--version'):
        from imbdense import __version__

        print(f'imbdense {__version__}')
        return 0
    verb = arguments[0]
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, n=3)
        hint = f' Did you mean {" or ".join(near)}?' if near else f' The verbs are: {", ".join(VERBS)}.'
        print(f'imbdense: there is no verb {verb!r}.{hint}', file=sys.stderr)
        return 2
    return run_verb(verb, arguments[1:])


def run_verb(verb: str, arguments: Sequence[str]) -> int:
    """Parse ``arguments`` for ``verb`` and run it; used by ``imbdense`` itself and by ``tools/*.py``."""
    module = importlib.import_module(f'imbdense.cli.{verb.replace("-", "_")}')
    parts: dict[str, str] = getattr(module, 'PARTS', {})
    if arguments and arguments[0] in parts:
        module = importlib.import_module(parts[arguments[0]])
        verb, arguments = f'{verb} {arguments[0]}', arguments[1:]
    elif not hasattr(module, 'run'):
        return _explain_parts(verb, module.__doc__ or '', list(parts), arguments)
    parser = argparse.ArgumentParser(
        prog=f'imbdense {verb}', description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    module.add_arguments(parser)
    try:
        return int(module.run(_parsed(parser, list(arguments))))
    except UserError as error:
        print(f'imbdense {verb}: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f'\nimbdense {verb}: interrupted; what was finished is kept, run the same command again to go on.',
              file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader (head, less) has seen enough; without this line Python complains at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if '--traceback' in arguments or not (words := _own_words(error)):
            raise
        print(f'imbdense {verb}: {words}', file=sys.stderr)
        return 2


def _own_words(error: Exception) -> str:
    """The message of an error that says enough: one of imbdense's classes, a file the system refuses; else ''."""
    if type(error).__module__.startswith('imbdense.'):
        return str(error)
    if isinstance(error, OSError) and error.filename is not None:
        return f'cannot use {error.filename}: {error.strerror}. Choose a file or folder that you may use.'
    return ''


def _parsed(parser: argparse.ArgumentParser, arguments: list[str]) -> argparse.Namespace:
    """The arguments; one that may be left out (CHECKPOINT) is not taken for absent at the first option before it."""
    try:
        return parser.parse_intermixed_args(arguments)
    except TypeError:  # a verb with commands of its own (`generate`), which argparse cannot intermix
        return parser.parse_args(arguments)


def _explain_parts(verb: str, text: str, parts: Sequence[str], arguments: Sequence[str]) -> int:
    """Help of a verb that is nothing but its parts, or why what was written is none of them."""
    if arguments and arguments[0] in ('-h', '--help'):
        print(text.rstrip())
        return 0
    near = difflib.get_close_matches(arguments[0], parts, n=3) if arguments else []
    hint = f'Did you mean {" or ".join(near)}?' if near else f'Write one of these first: {", ".join(parts)}.'
    said = f'there is no {arguments[0]!r}. ' if arguments else ''
    print(f'imbdense {verb}: {said}{hint} imbdense {verb} --help tells more.', file=sys.stderr)
    return 2


def _usage() -> str:
    """The list of verbs."""
    width = max(map(len, VERBS))
    lines = ['usage: imbdense VERB [options]     (imbdense VERB --help tells the options)', '']
    return '\n'.join(lines + [f'  {verb:<{width}}  {purpose}' for verb, purpose in VERBS.items()])


if __name__ == '__main__':
    raise SystemExit(main())
