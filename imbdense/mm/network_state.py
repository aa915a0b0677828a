"""One network out of the checkpoint of a teacher-student model."""

from __future__ import annotations

from typing import Any

from torch import Tensor

NETWORKS = ('student', 'teacher', 'peer')


def network_state(checkpoint: dict[str, Any], network: str = 'teacher') -> dict[str, Tensor]:
    """The weights of one network, under the names it has when it is trained alone.

    Saved as ``{'state_dict': ...}`` they load into the plain model (the ``segmentor`` or ``detector`` of the config);
    ``imbdense convert network`` does that.

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
