"""Many scenes as one data set that mmseg (images + labels) and mmdet (COCO) read as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imbdense.data.claim import claimed
from imbdense.data.scene import classes as c
from imbdense.data.scene import dataset_files as files
from imbdense.data.scene.config import SceneConfig
from imbdense.data.scene.generate import generate_scene
from imbdense.data.scene.manifest import SceneManifest
from imbdense.data.scene.partial import exclusive
from imbdense.data.scene.rng import child_seed
from imbdense.data.scene.workers import map_tasks

Report = Callable[[str], None]


@dataclass(frozen=True)
class DatasetPlan:
    """What to generate.

    ``scene``: configuration of every scene; its ``seed`` seeds the data set, scene i gets a seed derived from it and i.
    ``scenes``: number of scenes, of which the last ``val`` ones form the validation split. ``mapping``: name in
    ``MAPPINGS``. ``full``: also depth, orthophoto, surface model and class map of every scene.
    """

    scene: SceneConfig
    scenes: int = 8
    val: int = 2
    mapping: str = 'aerial'
    full: bool = False

    def __post_init__(self) -> None:
        from imbdense.core.checks import check_choice, check_integer

        check_integer('scenes', self.scenes, low=1, owner='DatasetPlan')
        check_integer('val', self.val, low=0, owner='DatasetPlan')
        check_choice('mapping', self.mapping, c.MAPPINGS, owner='DatasetPlan')
        if self.val >= self.scenes:
            raise ValueError(f'DatasetPlan: val={self.val} leaves no scene for training out of scenes={self.scenes}.')

    def scene_config(self, number: int) -> SceneConfig:
        """Return the configuration of scene ``number``; label noise is for training scenes only."""
        parts: dict[str, Any] = {'seed': child_seed(self.scene.seed, 'scene', number),
                                 'output': {'depth': self.full, 'ortho': self.full}}
        if self.split(number) == 'val':
            parts['label_noise'] = {'fraction': 0.0}
        return self.scene.changed(**parts)

    def split(self, number: int) -> str:
        """Return 'train' or 'val' for scene ``number``."""
        return 'train' if number < self.scenes - self.val else 'val'


def generate_dataset(plan: DatasetPlan, out_dir: str | Path, *, workers: int = 1, report: Report | None = None
                     ) -> dict[str, Any]:
    """Generate the data set of ``plan`` into ``out_dir`` and return the content of its ``dataset.json``.

    Layout: ``images/{train,val}/<scene>_<image>.png``, ``labels/{train,val}/`` (indexed PNG with training ids, 255 =
    ignore), ``annotations/{train,val}.json`` (COCO, object classes), ``scenes/<scene>/`` (per-scene output),
    ``dataset.json`` (written last: its presence says that the set is complete). Finished scenes of an interrupted run
    are recognised and kept; the result equals that of an uninterrupted run. Scenes are shared out over ``workers``
    processes (images when there is one scene); the files do not depend on it.

    Args:
        plan: what to generate.
        out_dir: folder of the data set.
        workers: number of processes.
        report: called with one line of text per finished step.

    Raises:
        OtherDataError: the folder holds scenes of another seed or other settings.
        FileWriteError: the folder cannot be written, or another process is generating into it.
        ImportError: Open3D is missing.
        RuntimeError: a worker process died.
    """
    root = Path(out_dir)
    say = report or (lambda line: None)
    with exclusive(root), claimed(root, {'config': plan.scene.to_dict()}, 'scenes/*/manifest.json'):
        names = [f'scene_{number:03d}' for number in range(plan.scenes)]
        jobs = [(plan.scene_config(number), root / 'scenes' / name) for number, name in enumerate(names)]
        manifests: list[SceneManifest] = []
        for name, manifest in zip(names, _scenes(jobs, workers)):
            manifests.append(manifest)
            say(f'{name}: {manifest.num_images} images, imbalance ratio '
                f'{_format(manifest.imbalance_ratio)} (asked {_format(manifest.mix["asked_ratio"])})')
        mapping = files.occurring(c.MAPPINGS[plan.mapping], manifests)
        exports = [(folder, root, plan.split(number), name, mapping)
                   for number, ((_, folder), name) in enumerate(zip(jobs, names))]
        parts = list(map_tasks(_export, exports, workers))
        by_split = {split: [part for number, part in enumerate(parts) if plan.split(number) == split]
                    for split in ('train', 'val')}
        files.prune(root, parts)
        for split, chosen in by_split.items():
            files.write_annotations(root / 'annotations' / f'{split}.json', chosen, mapping)
        record = files.dataset_record(plan, mapping, dict(zip(names, manifests)), by_split)
        files.write_record(root / 'dataset.json', record)
        say(f'{root}: ' + ', '.join(f'{len(record["splits"][split]["images"])} {split} images' for split in by_split))
    return record


def _format(ratio: float | None) -> str:
    """Ratio for a line of text."""
    return '-' if ratio is None else f'{ratio:.0f}' if ratio >= 20 else f'{ratio:.1f}'


def _scenes(jobs: Sequence[tuple[SceneConfig, Path]], workers: int) -> Iterator[SceneManifest]:
    """Generate the scenes; one scene shares its images out instead."""
    if len(jobs) == 1:
        yield generate_scene(jobs[0][0], jobs[0][1], workers=workers)
        return
    yield from map_tasks(_scene, jobs, workers)


def _scene(job: tuple[SceneConfig, Path]) -> SceneManifest:
    """Task: one scene."""
    return generate_scene(job[0], job[1])


def _export(job: tuple[Path, Path, str, str, c.ClassMapping]) -> files.SceneExport:
    """Task: one scene's images and labels."""
    return files.export_scene(*job)
