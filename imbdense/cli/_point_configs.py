"""Verbs about images name the verb for points when they are given a config of point clouds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imbdense.cli.main import UserError

if TYPE_CHECKING:
    from mmengine.config import Config

KINDS = {
    'PackPointInputs': 'point clouds', 'PackPointPair': 'pairs of point clouds',
    'PackPointDetInputs': 'LiDAR scans with boxes',
}
"""Last transform of a pipeline -> what the config is about."""
_MEASURED = '`imbdense test {config} CHECKPOINT` measures every class'
_ERRORS = f'{_MEASURED}; `imbdense browse points` draws the errors of a cloud that was predicted'
ADVICE = {
    ('predict', 'point clouds'): 'Write `imbdense predict points {config} CHECKPOINT tile.laz --out labelled.laz`.',
    ('predict', 'pairs of point clouds'):
        'Write `imbdense predict change3d {config} CHECKPOINT first.laz second.laz --out change.laz`.',
    ('browse', 'point clouds'): 'Write `imbdense browse points tile.laz --layout NAME`: one cloud, coloured by class.',
    ('browse', 'pairs of point clouds'): 'Write `imbdense browse points second.laz`: one cloud, coloured by change.',
    ('browse', 'LiDAR scans with boxes'): '`imbdense stats {config}` counts the boxes, `imbdense check` finds faults.',
    ('diagnose', 'point clouds'): f'{_ERRORS}.',
}  # fmt: skip


def refuse_points(config: Config, verb: str) -> None:
    """Raise ``UserError`` that names the verb for points if a config is not about images."""
    kind = point_kind(config)
    if kind is not None:
        advice = ADVICE.get((verb, kind), f'There is no such verb for {kind}; {_MEASURED}.')
        raise UserError(f'{config.filename} is about {kind}, and `imbdense {verb}` is about images. '
                        + advice.format(config=config.filename))


def point_kind(config: Config) -> str | None:
    """What a config of points is about, by what its pipelines pack; ``None`` for images."""
    for split in ('test', 'val', 'train'):
        dataset = (config.get(f'{split}_dataloader') or {}).get('dataset') or {}
        while 'dataset' in dataset or 'datasets' in dataset:
            dataset = dataset['dataset'] if 'dataset' in dataset else dataset['datasets'][0]
        for step in dataset.get('pipeline') or ():
            name = str(step.get('type')).rsplit('.', 1)[-1]
            if name in KINDS:
                return KINDS[name]
    return None
