"""Many pairs of clouds as one data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imbdense.data.claim import claimed
from imbdense.data.scene.cloud_pairs.config import CHANGE_CLASSES, IGNORED, CloudPairConfig
from imbdense.data.scene.cloud_pairs.generate import STEMS, CloudPairManifest, generate_cloud_pair
from imbdense.data.scene.manifest import library_versions
from imbdense.data.scene.partial import exclusive
from imbdense.data.scene.rng import child_seed
from imbdense.data.scene.workers import map_tasks
from imbdense.utils.files import atomic_write_json

Report = Callable[[str], None]


@dataclass(frozen=True)
class CloudPairPlan:
    """What to generate.

    ``pair``: configuration of every pair; its scene's ``seed`` seeds the data set, pair i gets a seed derived from it
    and i. ``scenes``: number of pairs, of which the last ``val`` ones are for validation.
    """

    pair: CloudPairConfig
    scenes: int = 8
    val: int = 2

    def __post_init__(self) -> None:
        from imbdense.core.checks import check_integer

        check_integer('scenes', self.scenes, low=1, owner='CloudPairPlan')
        check_integer('val', self.val, low=0, owner='CloudPairPlan')
        if self.val >= self.scenes:
            raise ValueError(f'CloudPairPlan: val={self.val} leaves no pair for training out of scenes={self.scenes}.')

    def pair_config(self, number: int) -> CloudPairConfig:
        """Return the configuration of pair ``number``."""
        seed = child_seed(self.pair.cloud.scene.seed, 'cloud_pair', number)
        return self.pair.changed(cloud={'scene': {'seed': seed}})

    def split(self, number: int) -> str:
        """Return 'train' or 'val' for pair ``number``."""
        return 'train' if number < self.scenes - self.val else 'val'


def generate_cloud_pairs(plan: CloudPairPlan, out_dir: str | Path, *, workers: int = 1, report: Report | None = None
                         ) -> dict[str, Any]:
    """Generate the data set of ``plan`` into ``out_dir`` and return the content of its ``dataset.json``.

    Layout: ``<split>/<pair>/epoch1.npz``, ``epoch2.npz`` and their records (see :func:`generate_cloud_pair`),
    ``dataset.json`` (written last: its presence says that the set is complete). Finished pairs of an interrupted run
    are recognised and kept; files do not depend on ``workers``, the number of processes.

    Raises:
        OtherDataError: the folder holds pairs of another seed, other settings or numbers (folders are the splits).
        FileWriteError: the folder cannot be written, or another process is generating into it.
        ImportError: Open3D is missing.
        RuntimeError: a worker process died.
    """
    root = Path(out_dir)
    say = report or (lambda line: None)
    asked = {'config': plan.pair.to_dict(), 'plan': _numbers(plan)}
    with exclusive(root), claimed(root, asked, '*/*/manifest.json'):
        names = [f'{plan.split(number)}/pair_{number:03d}' for number in range(plan.scenes)]
        for name in names:
            (root / name).parent.mkdir(exist_ok=True)
        jobs = [(plan.pair_config(number), root / name) for number, name in enumerate(names)]
        found = map_tasks(_pair, jobs, workers) if len(jobs) > 1 else \
            iter([generate_cloud_pair(*jobs[0], workers=workers)])
        manifests: dict[str, CloudPairManifest] = {}
        for name, manifest in zip(names, found):
            manifests[name] = manifest
            off = manifest.change['outside_tolerance']
            say(f'{name}: {sum(manifest.points[1].values())} points, {100 * manifest.change["share"]:.2f} % changed '
                f'(asked {100 * manifest.change["asked_share"]:g} %)' + (f'; off: {", ".join(off)}' if off else ''))
        record = _record(plan, manifests)
        atomic_write_json(root / 'dataset.json', record)
    return record


def _pair(job: tuple[CloudPairConfig, Path]) -> CloudPairManifest:
    """Task: one pair."""
    return generate_cloud_pair(*job)


def _numbers(plan: CloudPairPlan) -> dict[str, int]:
    """How many pairs."""
    return {'scenes': plan.scenes, 'val': plan.val}


def _record(plan: CloudPairPlan, manifests: dict[str, CloudPairManifest]) -> dict[str, Any]:
    """Content of ``dataset.json``; counts are of the points of date 2."""
    splits = {split: [name for name in manifests if name.startswith(f'{split}/')] for split in ('train', 'val')}
    counts = {split: {label: sum(manifests[name].points[1][label] for name in names) for label in CHANGE_CLASSES}
              for split, names in splits.items()}
    return {'classes': list(CHANGE_CLASSES), 'ignore_index': IGNORED, 'epochs': list(STEMS), 'splits': splits,
            'class_counts': counts, 'mode': plan.pair.cloud.mode, 'config': plan.pair.to_dict(),
            'plan': _numbers(plan), 'libs': library_versions(),
            'pairs': {name: item.files for name, item in manifests.items()}}
