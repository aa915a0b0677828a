"""The files of a generated data set: images, indexed labels, COCO annotations, ``dataset.json``."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.scene import classes as c
from imbdense.data.scene import mix
from imbdense.data.scene.export_coco import image_annotations
from imbdense.data.scene.export_images import png_bytes, read_png
from imbdense.data.scene.manifest import SceneManifest, library_versions
from imbdense.utils.files import atomic_write_json

if TYPE_CHECKING:
    from imbdense.data.scene.dataset import DatasetPlan

_OUR_FILES = re.compile(r'scene_\d{3,}_\d{5}\.png')


@dataclass(frozen=True)
class SceneExport:
    """What one scene contributes: split, file names, image sizes, annotations per image (ids local), and counts per
    training class: pixels, instances and images, each int64 (C,)."""

    split: str
    names: list[str]
    sizes: list[tuple[int, int]]
    annotations: list[list[dict[str, Any]]]
    pixels: NDArray[np.int64]
    instances: NDArray[np.int64]
    images: NDArray[np.int64]


def occurring(mapping: c.ClassMapping, manifests: Sequence[SceneManifest]) -> c.ClassMapping:
    """Return ``mapping``; for 'full' without the classes that have no pixel in any scene."""
    if mapping.name != 'full':
        return mapping
    seen = [k for k, raw in enumerate(mapping.members)
            if any(manifest.counts['pixels'].get(c.CLASS_NAMES[raw[0]], 0) for manifest in manifests)]
    return c.ClassMapping(
        mapping.name, tuple(mapping.classes[k] for k in seen), tuple(mapping.members[k] for k in seen),
        tuple(place for place, k in enumerate(seen) if k in mapping.things), tuple(mapping.palette[k] for k in seen))


def categories(mapping: c.ClassMapping) -> dict[int, int]:
    """Return training id → COCO category id (from 1) of the things."""
    return {training_id: number for number, training_id in enumerate(mapping.things, start=1)}


def export_scene(folder: Path, root: Path, split: str, name: str, mapping: c.ClassMapping) -> SceneExport:
    """Write the images (hard links where possible) and labels of the scene in ``folder`` and return its annotations."""
    table, wanted = mapping.table(), categories(mapping)
    part = SceneExport(split, [], [], [], *(np.zeros(len(mapping.classes), np.int64) for _ in range(3)))
    objects: set[tuple[int, int]] = set()
    for kind in ('images', 'labels'):
        (root / kind / split).mkdir(parents=True, exist_ok=True)
    for source in sorted((folder / 'images').glob('*.png')):
        semantic = read_png(folder / 'masks' / source.name).astype(np.uint8)
        instance = read_png(folder / 'inst' / source.name).astype(np.uint16)
        label = table[semantic]
        file_name = f'{name}_{source.name}'
        _link(source, root / 'images' / split / file_name)
        _replace(root / 'labels' / split / file_name, png_bytes(label, palette=mapping.palette))
        found = image_annotations(semantic, instance, mapping, wanted, 0, 0)
        counts = np.bincount(label.ravel(), minlength=256)[: len(mapping.classes)]
        part.names.append(file_name)
        part.sizes.append((label.shape[0], label.shape[1]))
        part.annotations.append(found)
        part.pixels[:] += counts
        part.images[:] += counts > 0
        objects |= {(item['category_id'], item['instance']) for item in found}
    for category_id, _ in objects:
        part.instances[mapping.things[category_id - 1]] += 1
    return part


def _link(source: Path, target: Path) -> None:
    """Hard link, or a copy where the file system has none; an older file is replaced."""
    temporary = target.with_name(f'.{target.name}.tmp-link')
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError:
        shutil.copyfile(source, temporary)
    os.replace(temporary, target)
    temporary.unlink(missing_ok=True)  # rename of two links to one file leaves both names


def _replace(target: Path, content: bytes) -> None:
    """Write and rename; no fsync per label, ``dataset.json`` is what declares the set complete."""
    temporary = target.with_name(f'.{target.name}.tmp-write')
    temporary.write_bytes(content)
    os.replace(temporary, target)


def prune(root: Path, parts: Sequence[SceneExport]) -> None:
    """Remove images and labels of an earlier plan, and left-over temporary files; other files are not touched."""
    for split in ('train', 'val'):
        kept = {name for part in parts if part.split == split for name in part.names}
        for kind in ('images', 'labels'):
            folder = root / kind / split
            for path in folder.iterdir() if folder.is_dir() else ():
                name = path.name.removeprefix('.').split('.tmp-')[0]
                if _OUR_FILES.fullmatch(name) and (path.name.startswith('.') or path.name not in kept):
                    path.unlink()


def write_annotations(path: Path, parts: Sequence[SceneExport], mapping: c.ClassMapping) -> None:
    """Write one COCO file; image and annotation ids count from 1. A split without images gets none."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for part in parts:
        for name, (height, width), found in zip(part.names, part.sizes, part.annotations):
            images.append({'id': len(images) + 1, 'file_name': name, 'height': height, 'width': width})
            for item in found:
                annotations.append(item | {'id': len(annotations) + 1, 'image_id': len(images)})
    if not images:
        path.unlink(missing_ok=True)
        return
    kinds = [{'id': number, 'name': mapping.classes[training_id], 'supercategory': 'object'}
             for training_id, number in categories(mapping).items()]
    info = {'description': 'imbdense generated aerial scenes', 'mapping': mapping.name}
    atomic_write_json(path, {'info': info, 'images': images, 'annotations': annotations, 'categories': kinds},
                      indent=None)


def dataset_record(plan: DatasetPlan, mapping: c.ClassMapping, manifests: Mapping[str, SceneManifest],
                   by_split: Mapping[str, Sequence[SceneExport]]) -> dict[str, Any]:
    """Return the content of ``dataset.json``.

    ``imbalance_ratio``: max/min pixels over the training classes with pixels in the train split;
    ``object_imbalance_ratio``: the dial's own ratio (raw object classes of the profile) over the clean masks of the
    train scenes.
    """
    counts = {split: {kind: {label: int(sum(getattr(part, kind)[k] for part in parts))
                             for k, label in enumerate(mapping.classes)
                             if kind != 'instances' or k in mapping.things}
                      for kind in ('pixels', 'instances', 'images')} for split, parts in by_split.items()}
    names = list(manifests)
    train = [manifests[name] for number, name in enumerate(names) if plan.split(number) == 'train']
    dial = mix.target_weights(plan.scene.changed(mix={'class_absent_prob': 0.0}))
    raw = {number: float(sum(item.counts['pixels'][c.CLASS_NAMES[number]] for item in train)) for number in dial}
    total = sum(counts['train']['pixels'].values())
    return {
        'classes': list(mapping.classes), 'palette': [list(color) for color in mapping.palette],
        'ignore_index': c.VOID, 'mapping': {'name': mapping.name, 'members': {
            label: [c.CLASS_NAMES.get(number, str(number)) for number in raw_ids]
            for label, raw_ids in zip(mapping.classes, mapping.members)}},
        'things': [mapping.classes[k] for k in mapping.things],
        'splits': {split: {'scenes': [name for number, name in enumerate(names) if plan.split(number) == split],
                           'images': [name for part in parts for name in part.names]}
                   for split, parts in by_split.items()},
        'class_counts': counts,
        'train_shares': {label: value / max(total, 1) for label, value in counts['train']['pixels'].items()},
        'imbalance_ratio': mix.imbalance_ratio({k: float(value) for k, value in
                                                enumerate(counts['train']['pixels'].values())}),
        'object_imbalance_ratio': mix.imbalance_ratio(raw),
        'seed': plan.scene.seed, 'config': plan.scene.to_dict(),
        'plan': {field.name: getattr(plan, field.name) for field in dataclasses.fields(plan) if field.name != 'scene'},
        'libs': library_versions(),
        'scenes': {name: manifest.digest() for name, manifest in manifests.items()},
    }


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write ``dataset.json`` atomically."""
    atomic_write_json(path, dict(record))
