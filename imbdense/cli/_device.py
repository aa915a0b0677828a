"""``--device`` of all verbs: what is asked is there, or the message says what is."""

from __future__ import annotations

import argparse


def add_device_argument(parser: argparse.ArgumentParser, of: str = '') -> None:
    """``--device``; ``of``: what runs there, where that is not the whole verb."""
    parser.add_argument('--device', type=device_name, metavar='DEVICE',
                        help=f'{of}for example cuda:1 or cpu (default: a GPU if there is one)')


def device_name(text: str) -> str:
    """The device as torch takes it.

    Raises:
        argparse.ArgumentTypeError: no device of torch, or one that this machine lacks; names those that are there.
    """
    import torch

    try:
        wanted = torch.device(text)
    except RuntimeError as error:
        raise argparse.ArgumentTypeError(
            f'{text!r} is no device; write cpu, cuda (the first GPU) or cuda:1 (the second).'
        ) from error
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted.type == 'cpu' or (wanted.type == 'cuda' and (wanted.index or 0) < gpus):
        return text
    if wanted.type != 'cuda':
        try:
            torch.empty(1, device=wanted).cpu()
            return text
        except Exception as error:  # each backend, built in or not, raises its own
            why = str(error).splitlines()[0]
    elif gpus:
        why = f'there are {gpus} GPUs'
    else:
        why = 'torch is built without CUDA' if torch.version.cuda is None else 'torch sees no GPU'
    there = ', '.join(['cpu', *(f'cuda:{number}' for number in range(gpus))])
    raise argparse.ArgumentTypeError(
        f'{text!r} is asked, but is not there ({why}). There is: {there}. Choose one of these, or leave --device out; '
        f'`imbdense doctor` tells more.'
    )
