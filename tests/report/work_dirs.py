"""Hand-made work dirs: what a segmentation or detection run with ReportHook leaves, without running one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CLASSES = ['background', 'building', 'road', 'tree', 'car', 'truck', 'fence', 'bike', 'pole', 'sign']
PIXELS = [52_000_000, 21_000_000, 14_000_000, 9_000_000, 900_000, 120_000, 60_000, 12_000, 9_000, 0]
PALETTE = [
    [150, 150, 140],
    [200, 90, 60],
    [90, 90, 100],
    [40, 130, 50],
    [60, 110, 240],
    [20, 40, 150],
    [140, 80, 200],
    [255, 60, 200],
    [255, 230, 0],
    [255, 150, 0],
]
LEDGER = 'class prior in %   background building\ntraining labels labels 53.5 21.6'


def write(path: Path, value: Any) -> None:
    """A JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def run_json(
    name: str, seed: int | None, classes: list[str] = CLASSES, counts: list[int] | None = PIXELS
) -> dict[str, Any]:
    """Content of run.json."""
    record: dict[str, Any] = {
        'format': 1,
        'experiment': name,
        'seed': seed,
        'config_hash': f'hash of {name}',
        'classes': classes,
        'palette': PALETTE[: len(classes)],
        'started': '2024-05-01T10:00:00',
        'updated': '2024-05-01T10:12:00',
        'finished': '2024-05-01T10:12:30',
        'max_iters': 500,
        'versions': {'torch': '2.1', 'imbdense': '0.1'},
        'machine': {'name': 'Linux, 2 CPUs'},
        'config': "model = dict(type='X')  # <tag>",
        'ledger': LEDGER,
    }
    if counts is not None:
        record['class_counts'] = {
            'format': 1,
            'classes': classes,
            'pixels': counts,
            'num_images': 120,
            'ignored_pixels': 7,
            'fingerprint': '',
        }
    return record


def confusion(recall: list[float], pixels: list[int] = PIXELS) -> np.ndarray:
    """A table with the given recalls; what is missed goes to the first two classes."""
    size = len(pixels)
    table = np.zeros((size, size), np.int64)
    for i, (r, n) in enumerate(zip(recall, pixels)):
        n = n // 10
        table[i, i] = round(r * n)
        table[i, 0 if i else 1] += round(0.7 * (1 - r) * n)
        table[i, 2 if i != 2 else 1] += n - table[i].sum()
    return table


def segmentation_run(
    root: Path, name: str, seed: int | None = 0, *, skill: float = 0.2, steps: int = 5, worst: bool = False
) -> Path:
    """A finished run: recall of the rare classes rises to ``skill``."""
    folder = root / (f'{name}_seed{seed}' if seed is not None else name)
    write(folder / 'imbdense/run.json', run_json(name, seed))
    rng = np.random.default_rng(seed)
    for step in range(100, 100 * steps + 1, 100):
        ramp = step / (100 * steps)
        recall = [0.95, 0.85, 0.8, 0.75, 0.6] + [skill * ramp] * 5
        recall = [min(max(r + rng.normal(0, 0.015), 0.0), 1.0) for r in recall]
        table = confusion(recall)
        truth = table.sum(1)
        iou = np.diag(table) / np.maximum(truth + table.sum(0) - np.diag(table), 1)
        scalars: dict[str, Any] = {f'IoU/{c}': float(v) if t else None for c, v, t in zip(CLASSES, iou, truth)}
        scalars |= {f'recall/{c}': float(r) if t else None for c, r, t in zip(CLASSES, recall, truth)}
        scalars['mIoU'] = float(iou[truth > 0].mean())
        groups = {'head': [0, 1, 2], 'medium': [3, 4, 5, 6], 'tail': [7, 8, 9]}
        artifact = {
            'kind': 'confusion',
            'classes': CLASSES,
            'counts': PIXELS,
            'groups': groups,
            'scalars': scalars,
            'table': table.tolist(),
            'per_class': {},
            'absent': [9],
        }
        write(
            folder / f'imbdense/val_{step}_confusion.json',
            {'split': 'val', 'step': step, 'scalars': {}, 'artifact': artifact},
        )
        finite = {key: value for key, value in scalars.items() if value is not None}
        write(folder / f'imbdense/val_{step}_metrics.json', {'split': 'val', 'step': step, 'scalars': finite})
    lines = [
        json.dumps({'step': s, 'loss': 2.0 / (1 + s / 80) + rng.normal(0, 0.02), 'lr': 0.1})
        for s in range(10, 100 * steps, 10)
    ]
    vis = folder / '20240501_100000/vis_data/scalars.json'
    vis.parent.mkdir(parents=True)
    vis.write_text('\n'.join(lines) + '\n')
    if worst:
        add_worst(folder, skill)
    return folder


def add_worst(folder: Path, skill: float) -> None:
    """Stored pictures of two rare classes."""
    records = []
    target = folder / 'imbdense/worst'
    target.mkdir(parents=True)
    for number, name in enumerate(('bike', 'pole')):
        rng = np.random.default_rng(number)
        image = (
            np.kron(rng.integers(60, 200, (12, 16, 3)), np.ones((16, 16, 1))) + rng.normal(0, 8, (192, 256, 3))
        ).clip(0, 255)
        truth = np.kron(rng.integers(0, 4, (3, 4)), np.ones((64, 64))).astype(np.uint8)
        truth[80:104, 100:150] = CLASSES.index(name)
        prediction = truth.copy()
        prediction[80:104, 100 + round(50 * skill) : 150] = 2
        truth[:10] = 255
        names = {key: f'{name}_0_{key}.png' for key in ('image', 'truth', 'prediction')}
        for key, array in (('image', image.astype(np.uint8)), ('truth', truth), ('prediction', prediction)):
            Image.fromarray(array).save(target / names[key])
        records += [
            {
                'kind': 'segmentation',
                'role': role,
                'class': name,
                'file': f'scene_{number}.png',
                'iou': skill,
                'truth_pixels': 1200,
                'predicted_pixels': round(1200 * skill),
                'window': [0, 0, 192, 256],
                **names,
            }
            for role in ('worst', 'showcase')
        ]
    write(target / 'index.json', records)


def detection_run(root: Path, name: str, seed: int = 0, *, skill: float = 0.1) -> Path:
    """A detection run with COCO artefact, worst images as boxes; classes in another order in the artefact."""
    folder = root / f'{name}_seed{seed}'
    classes = ['Person', 'Car', 'OtherVehicle']
    info = run_json(name, seed, classes, None)
    info['class_counts'] = {'format': 1, 'classes': classes, 'instances': [504, 572, 12], 'num_images': 170}
    write(folder / 'imbdense/run.json', info)
    values = {'Person': 0.4, 'Car': 0.6, 'OtherVehicle': skill}
    points = np.linspace(0, 1, 101)
    for step in (100, 200):
        scalars = {f'bbox_AP/{c}': v * step / 200 for c, v in values.items()} | {'bbox_mAP': sum(values.values()) / 3}
        records = [
            {
                'class': c,
                'AP': v,
                'AP50': v,
                'AR': v,
                'objects': 10,
                'recall_at_fp': {'0.1': v},
                'pr50': {'recall': points.tolist(), 'precision': (1 - points**2).tolist()},
            }
            for c, v in values.items()
        ]
        artifact = {
            'kind': 'coco',
            'classes': classes[::-1],
            'counts': [12, 572, 504],
            'groups': {'tail': [0], 'head': [1]},
            'scalars': scalars,
            'per_class': records[::-1],
            'metric': 'bbox',
        }
        write(
            folder / f'imbdense/val_{step}_coco.json',
            {'scalars': {f'coco/{k}': v for k, v in scalars.items()}, 'artifact': artifact},
        )
    target = folder / 'imbdense/worst'
    target.mkdir()
    Image.fromarray(np.full((120, 160, 3), 90, np.uint8)).save(target / 'a.png')
    write(
        target / 'index.json',
        [
            {
                'kind': 'detection',
                'class': 'OtherVehicle',
                'file': 'a.jpg',
                'missed': 1,
                'objects': 2,
                'false': 0,
                'image': 'a.png',
                'truth_boxes': [[10, 20, 60, 70, 2], [80, 20, 99, 40, 0]],
                'predicted_boxes': [[12, 20, 60, 70, 2, 0.8]],
            }
        ],
    )
    return folder


def add_score_artifacts(folder: Path, step: int = 500) -> None:
    """Ranking and calibration artefacts beside the last evaluation."""
    x = np.linspace(0, 1, 50)
    ranking = [
        {
            'class': c,
            'auroc': 0.9,
            'auroc_lo': 0.88,
            'auroc_hi': 0.91,
            'ap': 0.3,
            'ap_lo': 0.3,
            'ap_hi': 0.3,
            'prevalence': 0.01,
            'fpr95': 0.2,
            'curve': {'fpr': x.tolist(), 'tpr': x.tolist(), 'precision': (1 - x / 2).tolist()},
        }
        for c in CLASSES[:9]
    ]
    write(
        folder / f'imbdense/val_{step}_ranking.json',
        {
            'scalars': {},
            'artifact': {
                'kind': 'ranking',
                'classes': CLASSES,
                'counts': PIXELS,
                'groups': {},
                'scalars': {'macro_auroc': 0.9},
                'per_class': ranking,
            },
        },
    )
    bins = {'count': [5, 0, 9], 'confidence': [0.2, None, 0.9], 'accuracy': [0.1, None, 0.7]}
    classes = [{'class': c, 'gap': -0.02, 'cwECE': 0.1, 'reliability': bins} for c in CLASSES]
    write(
        folder / f'imbdense/val_{step}_calibration.json',
        {
            'scalars': {},
            'artifact': {
                'kind': 'calibration',
                'classes': CLASSES,
                'counts': PIXELS,
                'groups': {},
                'scalars': {'ECE': 0.11, 'NLL': 0.4},
                'reliability': bins,
                'per_class': classes,
            },
        },
    )
