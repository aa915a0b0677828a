"""One network out of the checkpoint of a teacher-student model."""

from __future__ import annotations

from typing import Any

from torch import Tensor

NETWORKS = ('student', 'teacher', 'peer')


def network_state(checkpoint: dict[str, Any], network: str = 'teacher') -> dict[str, Tensor]:
    """The weights of one network, under the names it has when it is trained alone.

    Save them as ``{'state_dict': ...}`` and they load into the plain segmentor (the ``segmentor`` of the config)::

        weights = network_state(load_checkpoint('iter_600.pth'), 'teacher')
        torch.save({'state_dict': weights}, 'segmentor.pth')

    Args:
        checkpoint: from :func:`imbdense.mm.checkpoints.load_checkpoint`.
        network: 'student', 'teacher' or 'peer'.

    Raises:
        ValueError: the checkpoint has no such network; the message names those it has.
    """
    weights = checkpoint.get('state_dict', checkpoint)
    found = {key[len(network) + 1 :]: value for key, value in weights.items() if key.startswith(f'{network}.')}
    if not found:
        there = [name for name in NETWORKS if any(key.startswith(f'{name}.') for key in weights)]
        raise ValueError(f'the checkpoint holds no {network}; it has {there or "one bare network"}.')
    return found
