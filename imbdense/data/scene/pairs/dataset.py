"""Many pairs as one data set that ``imbdense.ChangePairDataset`` reads as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from imbdense.data.claim import claimed
from imbdense.data.scene import classes as c
from imbdense.data.scene.manifest import library_versions
from imbdense.data.scene.pairs.config import PairConfig
from imbdense.data.scene.pairs.generate import PairManifest, generate_pair
from imbdense.data.scene.pairs.tiles import CHANGE_CLASSES, CHANGE_PALETTE, prune_tiles, write_tiles
from imbdense.data.scene.partial import exclusive
from imbdense.data.scene.rng import child_seed
from imbdense.data.scene.workers import map_tasks
from imbdense.utils.files import atomic_write_json, atomic_write_text

Report = Callable[[str], None]
_GAP = 50.0


@dataclass(frozen=True)
class PairPlan:
    """What to generate.

    ``pair``: configuration of every pair; its scene's ``seed`` seeds the data set, pair i gets a seed derived from it
    and i. ``scenes``: number of pairs, of which the last ``val`` ones are for validation: no place is in both splits.
    ``tile``: side of the tiles in pixels; it must divide the side of the scenes.
    """

    pair: PairConfig
    scenes: int = 16
    val: int = 4
    tile: int = 256

    def __post_init__(self) -> None:
        from imbdense.core.checks import check_integer

        check_integer('scenes', self.scenes, low=1, owner='PairPlan')
        check_integer('val', self.val, low=0, owner='PairPlan')
        check_integer('tile', self.tile, low=16, owner='PairPlan')
        if self.val >= self.scenes:
            raise ValueError(f'PairPlan: val={self.val} leaves no scene for training out of scenes={self.scenes}.')
        if self.pair.count % self.tile:
            raise ValueError(f'PairPlan: tiles of {self.tile} px do not divide scenes of {self.pair.count} px; choose '
                             f'scene.size as a multiple of {self.tile * self.pair.gsd:g} m, or another tile.')

    def pair_config(self, number: int) -> PairConfig:
        """Return the configuration of pair ``number``; the scenes lie side by side, 50 m apart, west to east."""
        east, north = self.pair.scene.output.origin
        place = (east + number * (self.pair.scene.size + _GAP), north)
        return self.pair.changed(scene={'seed': child_seed(self.pair.scene.seed, 'pair', number),
                                        'output': {'origin': place}})

    def split(self, number: int) -> str:
        """Return 'train' or 'val' for pair ``number``."""
        return 'train' if number < self.scenes - self.val else 'val'


def generate_pairs(plan: PairPlan, out_dir: str | Path, *, workers: int = 1, report: Report | None = None
                   ) -> dict[str, Any]:
    """Generate the data set of ``plan`` into ``out_dir`` and return the content of its ``dataset.json``.

    Layout: ``t1/``, ``t2/`` (RGB), ``label_change/`` (0 unchanged, 1 changed), ``label_t1/``, ``label_t2/`` (land
    cover; indexed PNG, 255 = unknown), ``splits/train.txt`` and ``val.txt``, ``rasters/<pair>/`` (the GeoTIFFs of
    :func:`generate_pair`), ``dataset.json`` (written last: its presence says that the set is complete). Finished pairs
    of an interrupted run are recognised and kept; the result equals that of an uninterrupted run and does not depend on
    ``workers``, the number of processes.

    Args:
        plan: what to generate.
        out_dir: folder of the data set.
        workers: number of processes that generate scenes.
        report: called with one line of text per finished pair.

    Raises:
        OtherDataError: the folder holds pairs of another seed or other settings.
        FileWriteError: the folder cannot be written, or another process is generating into it.
        ImportError: Open3D or rasterio is missing.
        RuntimeError: a worker process died.
    """
    root = Path(out_dir)
    say = report or (lambda line: None)
    mapping = c.MAPPINGS[plan.pair.mapping]
    with exclusive(root), claimed(root, {'config': plan.pair.to_dict()}, 'rasters/*/manifest.json'):
        names = [f'pair_{number:03d}' for number in range(plan.scenes)]
        jobs = [(plan.pair_config(number), root, name, plan.tile) for number, name in enumerate(names)]
        manifests: list[PairManifest] = []
        tiles: list[list[str]] = []
        for name, (manifest, found) in zip(names, map_tasks(_pair, jobs, workers)):
            manifests.append(manifest)
            tiles.append(found)
            say(f'{name}: {100 * manifest.change_share:.2f} % changed (asked {100 * manifest.asked_share:g} %), '
                f'{len(found)} tiles')
        prune_tiles(root, {tile for found in tiles for tile in found})
        by_split = {split: [number for number in range(plan.scenes) if plan.split(number) == split]
                    for split in ('train', 'val')}
        (root / 'splits').mkdir(exist_ok=True)
        for split, numbers in by_split.items():
            lines = [tile for number in numbers for tile in tiles[number]]
            atomic_write_text(root / 'splits' / f'{split}.txt', ''.join(f'{line}\n' for line in lines))
        record = _record(plan, mapping, dict(zip(names, manifests)), by_split)
        atomic_write_json(root / 'dataset.json', record)
    return record


def _pair(job: tuple[PairConfig, Path, str, int]) -> tuple[PairManifest, list[str]]:
    """Task: one pair, and its tiles."""
    config, root, name, tile = job
    folder = root / 'rasters' / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    manifest = generate_pair(config, folder)
    return manifest, write_tiles(folder, root, name, tile, c.MAPPINGS[config.mapping])


def _record(plan: PairPlan, mapping: c.ClassMapping, manifests: dict[str, PairManifest], by_split: dict[str, list[int]]
            ) -> dict[str, Any]:
    """Content of ``dataset.json``."""
    entries = list(manifests.values())
    tables = {split: np.sum([np.array(entries[number].from_to) for number in numbers], axis=0).tolist()
              for split, numbers in by_split.items() if numbers}
    shares = {split: float(np.mean([entries[number].change_share for number in numbers]))
              for split, numbers in by_split.items() if numbers}
    names = list(manifests)
    return {
        'classes': list(CHANGE_CLASSES), 'palette': [list(color) for color in CHANGE_PALETTE], 'ignore_index': c.VOID,
        'dates': 2, 'land_cover': list(mapping.classes), 'land_cover_palette': [list(rgb) for rgb in mapping.palette],
        'splits': {split: [names[number] for number in numbers] for split, numbers in by_split.items()},
        'change_share': shares, 'from_to': tables,
        'outside_tolerance': [name for name, item in manifests.items() if not item.within_tolerance],
        'plan': {'scenes': plan.scenes, 'val': plan.val, 'tile': plan.tile}, 'config': plan.pair.to_dict(),
        'libs': library_versions(),
        'pairs': {name: {'change_share': item.change_share, 'imbalance_ratio': item.imbalance_ratio,
                         'files': item.files} for name, item in manifests.items()},
    }
