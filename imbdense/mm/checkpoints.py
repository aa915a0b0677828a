"""Find and load checkpoints without running code that is hidden in them.

The host tries ``torch.load(weights_only=True)`` and, when the file holds anything else, silently loads it as a pickle,
which executes whatever the author of the file wrote into it; its allow-list also holds ``getattr``. Here only tensors,
plain containers, NumPy arrays and the host's own log buffers are accepted, and everything else is an error.
"""

from __future__ import annotations

import difflib
import json
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging.history_buffer import HistoryBuffer
from mmengine.runner.checkpoint import CheckpointLoader

MAGIC = (b'PK', b'\x80')
"""How files of torch begin: archives, and the pickles that came before torch 1.6."""
DAMAGED = 'take an earlier checkpoint of the same run or fetch the file again.'
_STATISTICS = ('mean', 'max', 'min', 'current')


class CheckpointError(RuntimeError):
    """A checkpoint is missing, damaged or not safe to load; the message names the file and the cure."""


def load_checkpoint(path: str | Path, map_location: Any = 'cpu') -> dict[str, Any]:
    """Return the dict stored in the checkpoint file ``path``; tensors, containers and NumPy arrays only.

    Args:
        path: a ``.pth`` file written by mmengine, by torch (a bare state dict) or by us.
        map_location: as in ``torch.load``.

    Raises:
        CheckpointError: the file is not there, truncated, holds Python objects, or is no dict.
    """
    file = find_checkpoint(path)
    try:
        with torch.serialization.safe_globals(_allowed_globals()):
            content = torch.load(file, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(_unsafe_message(file, str(error))) from error
    except Exception as error:  # a damaged file can make the reader fail in any way
        raise CheckpointError(
            f'{file} cannot be read as a checkpoint ({_first_line(error)}). It is damaged or truncated: {DAMAGED}'
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(f'{file} must hold a dict of weights, but holds a {type(content).__name__}.')
    return content


def find_checkpoint(path: str | Path) -> Path:
    """The file ``path``, if it is there and whole as far as its beginning and end tell; nothing is loaded.

    Raises:
        CheckpointError: the file is not there, no file of torch, or truncated.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        near = sorted(str(other) for other in file.parent.glob('*.pth'))[:5] if file.parent.is_dir() else []
        hint = f' In the same folder: {", ".join(near)}.' if near else ''
        raise CheckpointError(f'there is no checkpoint {file}.{hint}')
    with open(file, 'rb') as handle:
        head = handle.read(4)
    if not head.startswith(MAGIC):
        raise CheckpointError(f'{file} is no checkpoint: torch wrote no file that begins with {head!r}. Name the .pth '
                              f'file of a training.')
    if head.startswith(MAGIC[0]) and not zipfile.is_zipfile(file):
        raise CheckpointError(f'{file} is truncated: {DAMAGED}')
    return file


def latest_checkpoint(work_dir: str | Path) -> Path | None:
    """The checkpoint ``--resume`` starts from: the one ``last_checkpoint`` names, else the newest whole one.

    A work dir that was moved or a ``last_checkpoint`` file that a crash left empty are both handled: the named file is
    looked up by its base name, then ``iter_N.pth`` and ``epoch_N.pth`` by the largest N.
    """
    folder = Path(work_dir)
    pointer = folder / 'last_checkpoint'
    if pointer.is_file():
        name = pointer.read_text(encoding='utf-8').strip()
        for candidate in (Path(name), folder / Path(name).name):
            if name and candidate.is_file():
                return candidate
    numbered = []
    for file in folder.glob('*.pth'):
        match = re.fullmatch(r'(?:iter|epoch)_(\d+)\.pth', file.name)
        if match:
            numbered.append((int(match[1]), file))
    return max(numbered)[1] if numbered else None


def install_safe_loading() -> None:
    """Make every load of the host (``load_from``, ``init_cfg=Pretrained``, resume, http) use :func:`load_checkpoint`.

    Affects this process only. The other schemes of the host end in one of these. ``torchvision://`` works without
    torchvision, which the host would import only to look up the URL.
    """
    CheckpointLoader.register_scheme('', load_from_local, force=True)
    CheckpointLoader.register_scheme(('http://', 'https://'), load_from_http, force=True)
    CheckpointLoader.register_scheme(('torchvision://', 'modelzoo://'), load_from_torchvision, force=True)


def load_from_local(filename: str, map_location: Any) -> dict[str, Any]:
    """The host's loader of local files, made safe (the host prints the name of this function)."""
    return load_checkpoint(filename, map_location)


def load_from_http(filename: str, map_location: Any = None, model_dir: str | None = None) -> dict[str, Any]:
    """The host's loader of URLs, made safe: download into the torch hub folder, then :func:`load_checkpoint`.

    One process of each machine downloads; the others wait for it and read the same file.
    """
    from mmengine.dist import barrier, get_rank

    folder = Path(model_dir or Path(torch.hub.get_dir()) / 'checkpoints')
    target = folder / filename.rsplit('/', 1)[-1]
    if get_rank() == 0 and not target.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(filename, str(target))
        except OSError as error:
            raise CheckpointError(
                f'cannot download {filename} ({error}). Fetch it on a machine with a network, and set the path of the '
                f'file in the config (load_from, or checkpoint of init_cfg); or set init_cfg=None for random weights.'
            ) from error
    barrier()
    return load_checkpoint(target, map_location)


def load_from_torchvision(filename: str, map_location: Any = None) -> dict[str, Any]:
    """``torchvision://resnet50``: the URL from the host's own list, then :func:`load_from_http`.

    Raises:
        CheckpointError: the list has no such model; the message holds near names.
    """
    import mmengine

    name = filename.split('://', 1)[1]
    urls = json.loads((Path(mmengine.__path__[0]) / 'hub' / 'torchvision_0.12.json').read_text(encoding='utf-8'))
    if name not in urls:
        near = difflib.get_close_matches(name, urls, n=3)
        raise CheckpointError(f'{filename}: no such model. Near names: {", ".join(near) or "none"}.')
    return load_from_http(urls[name], map_location)


def _allowed_globals() -> list[Any]:
    """What a checkpoint of mmengine may hold besides tensors: NumPy arrays and scalars, and log buffers."""
    dtypes = {type(np.dtype(code)) for code in '?bBhHiIlLqQefdU'}
    multiarray = np._core.multiarray if hasattr(np, '_core') else np.core.multiarray
    globals_: list[Any] = [slice, np.ndarray, np.dtype, multiarray._reconstruct, multiarray.scalar, *dtypes]
    # NumPy 1 and 2 name their private module differently; accept files written by either.
    for function in (multiarray._reconstruct, multiarray.scalar):
        globals_ += [(function, f'numpy.{core}.multiarray.{function.__name__}') for core in ('core', '_core')]
    aliases: list[tuple[Callable[..., Any], str]] = [
        (_statistic_method, f'{module}.getattr') for module in ('builtins', '__builtin__')
    ]
    return globals_ + [HistoryBuffer, *aliases]


def _statistic_method(owner: Any, name: str) -> Any:
    """Stands for ``getattr`` inside checkpoints: a log buffer pickles its statistics as ``getattr(buffer, name)``."""
    if owner is HistoryBuffer and name in _STATISTICS:
        return getattr(HistoryBuffer, name)
    raise pickle.UnpicklingError(f'the file asks for attribute {name!r} of {owner!r}')


def _unsafe_message(file: Path, reason: str) -> str:
    """Say which object is refused and how to convert a file one trusts."""
    match = re.search(r'GLOBAL (\S+)', reason)
    what = f'the Python object {match[1]}' if match else f'something else than weights ({_first_line(reason)})'
    return (
        f'{file} holds {what}. Loading it could run code that is hidden in the file, so it was refused. If you trust '
        f'its origin, convert it once:\n  python -c "import torch; c = torch.load({str(file)!r}, map_location=\'cpu\', '
        f'weights_only=False); torch.save({{\'state_dict\': c.get(\'state_dict\', c)}}, \'converted.pth\')"'
    )


def _first_line(error: Exception | str) -> str:
    """The first line of a message of torch, which may be a page long."""
    return str(error).strip().split('\n', 1)[0][:200]
