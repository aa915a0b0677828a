"""Samplers inside a model: those that choose pixels or proposals, after the data set has been loaded and cropped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

HOLDERS = ('sampler', 'bbox_sampler')
"""Attributes in which mmseg's and mmdet's heads keep them (cascades: one per stage)."""


def element_samplers(model: Any) -> tuple[list[Any], list[str]]:
    """Return what changes the class distribution inside ``model``, and remarks for the log.

    A sampler takes part when it has ``sampling_factors(table, draws, prior) -> (C,)``: by how much the share of each
    class is multiplied, or ``None`` when that can not be told beforehand. Heads and stages act side by side on the
    same samples, so of each kind only the first, that of the main head, is returned. Region proposal networks are left
    out, as for losses: their classes are object and background.
    """
    found: dict[str, Any] = {}
    heads: dict[str, list[str]] = {}
    remarks: list[str] = []
    for name, module in model.named_modules():
        if 'rpn' in name.split('.')[0]:
            continue
        kinds = []
        for sampler in _held(module):
            positive = getattr(sampler, 'pos_sampler', sampler)
            if hasattr(positive, 'sampling_factors') and positive is not sampler:
                remarks.append(f'{type(positive).__name__} inside {type(sampler).__name__}: its effect is unknown.')
            elif hasattr(sampler, 'sampling_factors'):
                found.setdefault(type(sampler).__name__, sampler)
                kinds.append(type(sampler).__name__)
        if hasattr(module, 'loss_decode'):
            heads[name] = kinds
    for kind in found:
        without = [name for name, kinds in heads.items() if kind not in kinds]
        if heads and without:
            remarks.append(
                f'{", ".join(without)} has no {kind}: losses there take the prior that it leaves in the main head.'
            )
    return list(found.values()), remarks


def _held(module: Any) -> Iterator[Any]:
    """The samplers a module keeps."""
    for name in HOLDERS:
        holder = getattr(module, name, None)
        yield from holder if isinstance(holder, (list, tuple)) else [holder]
