"""The stages of ``imbdense pointdc``: their configs, folders and results."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imbdense.cli._self_training import INTERRUPTED, write_if_other
from imbdense.cli.main import UserError
from imbdense.utils.files import atomic_write_bytes, atomic_write_json

if TYPE_CHECKING:
    from mmengine.config import Config

STAGES = ('features', 'distill', 'warmup', 'iterate')
DONE, SCORES = 'stage.json', 'scores.json'
WEIGHTS = {'distill': 'cmd.pth', 'iterate': 'svc.pth'}
LOADER, HOOK = 'LoadFeatureVolume', 'SuperVoxelClusterHook'


class PointDCStages:
    """The stages of one config in one folder.

    Args:
        config: with ``stages`` and, unless nothing is distilled, ``feature_volume``; both are taken out of what is
            trained. folder: of all stages. seed: of every training.
        execute: runs an ``imbdense`` verb and gives its exit code.
    """

    def __init__(self, config: Config, folder: Path, seed: int, execute: Callable[[Sequence[str]], int]) -> None:
        self.config, self.folder, self.seed, self.execute = copy.deepcopy(config), folder, seed, execute
        self.volume = self.config.pop('feature_volume', None)
        self.changes = dict(self.config.pop('stages', None) or {})
        unknown = set(self.changes) - set(STAGES)
        if unknown:
            raise UserError(f'stages of the config has {sorted(unknown)}; the stages are {", ".join(STAGES[1:])}.')
        distils = bool(self.config.model.get('distill'))
        self.names = STAGES if distils else STAGES[2:]
        if distils and self.volume is None:
            raise UserError("the config has model.distill but no feature_volume = dict(extractor='rgb+lbp').")

    def run(self, name: str) -> None:
        """One stage, unless it is finished."""
        if name not in self.names:
            raise UserError(f'the model has no `distill`, so its stages are {", ".join(self.names)}, without {name}.')
        if name == 'features':
            self._features()
            return
        place = self.place(name)
        if (place / DONE).is_file():
            print(f'== {name}: finished in {place}', flush=True)
            return
        from imbdense.benchmark.runs import validation_scores
        from imbdense.mm.checkpoints import latest_checkpoint

        config = self._stage_config(name)
        config.load_from = str(self._weights_before(name) or '') or None
        write_if_other(place / 'config.py', config.pretty_text)
        arguments = ['train', str(place / 'config.py'), '--work-dir', str(place), '--resume', '--seed', str(self.seed)]
        print(f'\n== {name}: imbdense {" ".join(arguments)}', flush=True)
        code = self.execute(arguments)
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        if code:
            raise UserError(f'the stage {name} failed (exit code {code}; see above). Mend it and run the same command '
                            'again: finished stages are kept.')
        checkpoint = latest_checkpoint(place)
        if checkpoint is None:
            raise UserError(f'the stage {name} left no checkpoint in {place}. Add a CheckpointHook to the config.')
        scores = {} if name == 'distill' else validation_scores(place)
        atomic_write_json(place / DONE, {'stage': name, 'checkpoint': checkpoint.name, 'scores': scores})
        if name in WEIGHTS:
            atomic_write_bytes(self.folder / WEIGHTS[name], checkpoint.read_bytes())
        atomic_write_json(self.folder / SCORES, self.scores())

    def scores(self) -> dict[str, dict[str, float]]:
        """Scores of the finished stages that have some."""
        found = {}
        for name in self.names[self.names.index('warmup'):]:
            path = self.place(name) / DONE
            if path.is_file():
                found[name] = json.loads(path.read_text(encoding='utf-8'))['scores']
        return found

    def place(self, name: str) -> Path:
        """``<folder>/<stage>-<hash>``; the hash is that of the config of this stage and of all before it."""
        told = [str(self.seed), json.dumps(self.volume, sort_keys=True, default=str)]
        for stage in STAGES[1:]:
            if stage in self.names:
                told.append(json.dumps(self._stage_config(stage).to_dict(), sort_keys=True, default=str))
            if stage == name:
                break
        return self.folder / f'{name}-{hashlib.sha256("".join(told).encode()).hexdigest()[:8]}'

    def _stage_config(self, name: str) -> Config:
        """The config of one training stage, without the weights it starts from."""
        config = copy.deepcopy(self.config)
        config.merge_from_dict(dict(self.changes.get(name) or {}))
        config.model.stage = name
        if name == 'distill':  # nothing to cluster, nothing to validate
            config.custom_hooks = [hook for hook in config.get('custom_hooks') or [] if HOOK not in hook['type']]
            for key in ('val_cfg', 'val_dataloader', 'val_evaluator'):
                config[key] = None
        for step in _steps(config, LOADER):
            if self.volume is not None and step.get('tag') is None:
                step['tag'] = self._gatherer().tag
        return config

    def _weights_before(self, name: str) -> Path | None:
        """Checkpoint of the stage before; ``None`` for the first one."""
        earlier = [stage for stage in self.names[: self.names.index(name)] if stage != 'features']
        if not earlier:
            return None
        place = self.place(earlier[-1])
        if not (place / DONE).is_file():
            raise UserError(f'the stage {name} starts from {earlier[-1]}, which is not finished in {place}. Run '
                            f'--stage {earlier[-1]} (or all) with the same config and seed first.')
        return place / str(json.loads((place / DONE).read_text(encoding='utf-8'))['checkpoint'])

    def _gatherer(self) -> Any:
        """The tool that makes volumes."""
        from imbdense.mm.feature_volume import MultiViewFeatureVolume

        return MultiViewFeatureVolume(**self.volume)

    def _features(self) -> None:
        """Volumes of the scenes of every data set of the config whose pipeline loads some."""
        from mmengine.registry import DATASETS, init_default_scope

        init_default_scope(self.config.get('default_scope') or 'mmengine')
        gatherer, done = self._gatherer(), 0
        for split in ('train', 'val', 'test'):
            dataset = (self.config.get(f'{split}_dataloader') or {}).get('dataset')
            folders = {step['folder'] for step in _steps(dataset or {}, LOADER)}
            for folder in sorted(folders):
                built = DATASETS.build({**copy.deepcopy(dataset), 'pipeline': []})
                records = [built.get_data_info(index) for index in range(len(built))]
                print(f'== features: {len(records)} scenes of the {split} split in {folder}', flush=True)
                done += len(gatherer.write(records, Path(folder), lambda line: print(f'   {line}', flush=True)))
        if not done:
            print('== features: all volumes are there', flush=True)


def table(scores: dict[str, dict[str, float]]) -> str:
    """A row per stage."""
    heads = ('stage', 'mIoU', 'oAcc', 'mAcc', 'NMI')
    rows = [heads] + [(name, *(f'{found[key]:.4f}' if key in found else '-' for key in heads[1:]))
                      for name, found in scores.items()]  # fmt: skip
    widths = [max(len(row[place]) for row in rows) for place in range(len(heads))]
    return '\n'.join(['', *('  '.join(cell.rjust(width) for cell, width in zip(row, widths)) for row in rows)])


def _steps(config: Any, name: str) -> Iterator[Any]:
    """Every dict of a config whose type ends with ``name``."""
    if isinstance(config, dict):
        if str(config.get('type', '')).rsplit('.', 1)[-1] == name:
            yield config
        for value in config.values():
            yield from _steps(value, name)
    elif isinstance(config, (list, tuple)):
        for value in config:
            yield from _steps(value, name)
