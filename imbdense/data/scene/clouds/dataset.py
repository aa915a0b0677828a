"""Many clouds as one data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imbdense.data.claim import claimed
from imbdense.data.scene import classes as c
from imbdense.data.scene.clouds.config import CloudConfig
from imbdense.data.scene.clouds.generate import CloudManifest, generate_cloud
from imbdense.data.scene.manifest import library_versions
from imbdense.data.scene.partial import exclusive
from imbdense.data.scene.rng import child_seed
from imbdense.data.scene.workers import map_tasks
from imbdense.utils.files import atomic_write_json, atomic_write_text

Report = Callable[[str], None]


@dataclass(frozen=True)
class CloudPlan:
    """What to generate.

    ``cloud``: configuration of every cloud; its scene's ``seed`` seeds the data set, cloud i gets a seed derived from
    it and i. ``scenes``: number of clouds, of which the last ``val`` ones are for validation. ``mapping``: name in
    ``MAPPINGS``; files hold raw ids whatever it is, ``dataset.json`` tells the training classes.
    """

    cloud: CloudConfig
    scenes: int = 8
    val: int = 2
    mapping: str = 'clean6'

    def __post_init__(self) -> None:
        from imbdense.core.checks import check_choice, check_integer

        check_integer('scenes', self.scenes, low=1, owner='CloudPlan')
        check_integer('val', self.val, low=0, owner='CloudPlan')
        check_choice('mapping', self.mapping, c.MAPPINGS, owner='CloudPlan')
        if self.val >= self.scenes:
            raise ValueError(f'CloudPlan: val={self.val} leaves no scene for training out of scenes={self.scenes}.')

    def cloud_config(self, number: int) -> CloudConfig:
        """Return the configuration of cloud ``number``."""
        return self.cloud.changed(scene={'seed': child_seed(self.cloud.scene.seed, 'scene', number)})

    def split(self, number: int) -> str:
        """Return 'train' or 'val' for cloud ``number``."""
        return 'train' if number < self.scenes - self.val else 'val'


def generate_clouds(plan: CloudPlan, out_dir: str | Path, *, workers: int = 1, report: Report | None = None
                    ) -> dict[str, Any]:
    """Generate the data set of ``plan`` into ``out_dir`` and return the content of its ``dataset.json``.

    Layout: ``scenes/<scene>/`` (see :func:`generate_cloud`), ``splits/train.txt`` and ``val.txt`` (one path of a cloud
    per line, relative to the data set), ``dataset.json`` (written last: its presence says that the set is complete).
    Finished clouds of an interrupted run are recognised and kept; the result equals that of an uninterrupted run.
    Clouds are shared out over ``workers`` processes (images when there is one cloud); files do not depend on it.

    Raises:
        OtherDataError: the folder holds clouds of another seed or other settings.
        FileWriteError: the folder cannot be written, or another process is generating into it.
        ImportError: Open3D (or the library of a format) is missing.
        RuntimeError: a worker process died.
    """
    root = Path(out_dir)
    say = report or (lambda line: None)
    with exclusive(root), claimed(root, {'config': plan.cloud.to_dict()}, 'scenes/*/manifest.json'):
        names = [f'scene_{number:03d}' for number in range(plan.scenes)]
        jobs = [(plan.cloud_config(number), root / 'scenes' / name) for number, name in enumerate(names)]
        (root / 'scenes').mkdir(exist_ok=True)
        found = map_tasks(_cloud, jobs, workers) if len(jobs) > 1 else \
            iter([generate_cloud(*jobs[0], workers=workers)])
        manifests: dict[str, CloudManifest] = {}
        for name, manifest in zip(names, found):
            manifests[name] = manifest
            say(f'{name}: {sum(manifest.counts["points"].values())} points, imbalance ratio '
                f'{_format(manifest.imbalance_ratio)} (asked {_format(manifest.mix["asked_ratio"])})')
        suffix = plan.cloud.formats[0]
        by_split = {split: [name for number, name in enumerate(names) if plan.split(number) == split]
                    for split in ('train', 'val')}
        for split, chosen in by_split.items():
            atomic_write_text(root / 'splits' / f'{split}.txt',
                              ''.join(f'scenes/{name}/cloud.{suffix}\n' for name in chosen))
        record = _record(plan, manifests, by_split)
        atomic_write_json(root / 'dataset.json', record)
    return record


def _cloud(job: tuple[CloudConfig, Path]) -> CloudManifest:
    """Task: one cloud."""
    return generate_cloud(*job)


def _format(ratio: float | None) -> str:
    """Ratio for a line of text."""
    return '-' if ratio is None else f'{ratio:.0f}' if ratio >= 20 else f'{ratio:.1f}'


def _record(plan: CloudPlan, manifests: dict[str, CloudManifest], by_split: dict[str, list[str]]) -> dict[str, Any]:
    """Content of ``dataset.json``."""
    mapping = c.MAPPINGS[plan.mapping]
    raw = {split: {label: sum(manifests[name].counts['points'][label] for name in names) for label in c.CLASS_IDS}
           for split, names in by_split.items()}
    members = {label: [c.CLASS_NAMES.get(number, str(number)) for number in ids]
               for label, ids in zip(mapping.classes, mapping.members)}
    return {
        'classes': list(mapping.classes), 'palette': [list(color) for color in mapping.palette], 'ignore_index': -1,
        'mapping': {'name': mapping.name, 'members': members},
        'label_map': {str(number): k for k, ids in enumerate(mapping.members) for number in ids},
        'raw_classes': {str(number): label for number, label in c.CLASS_NAMES.items()},
        'splits': by_split, 'mode': plan.cloud.mode,
        'class_counts': {split: {label: sum(counts.get(name, 0) for name in names) for label, names in members.items()}
                         for split, counts in raw.items()},
        'raw_counts': raw,
        'seed': plan.cloud.scene.seed, 'config': plan.cloud.to_dict(),
        'plan': {'scenes': plan.scenes, 'val': plan.val, 'mapping': plan.mapping}, 'libs': library_versions(),
        'scenes': {name: manifest.digest() for name, manifest in manifests.items()},
    }
