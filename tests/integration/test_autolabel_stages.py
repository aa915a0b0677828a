"""Pre-training on autolabels of the whole pool and fine-tuning beats training on the few human labels alone.

400 generated pictures of four classes, of which 5 % are labelled. Two makers of the autolabels: a model trained on
these 20 pictures (`imbdense pseudo-label`), and proposals of another model that misses a quarter of the objects and
gives a tenth of them a wrong class (`imbdense select autolabel`). Paired over the seeds. Minutes on a free CPU core.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip('mmseg')

from imbdense.benchmark.segmentation_shapes import CLASSES, write_shapes
from imbdense.cli.main import main
from imbdense.data.regions import connected_regions
from imbdense.utils.paths import configs_dir

SEEDS = range(3)
LABELLED = 20
CONFIG = """
_base_ = ['{configs}/_base_/schedules/adamw_200.py', '{configs}/_base_/runtime/segmentation.py']
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor', mean=[110.0] * 3, std=[40.0] * 3, bgr_to_rgb=True, pad_val=0, seg_pad_val=255,
        size=(32, 32), test_cfg=dict(size_divisor=4)),
    backbone=dict(
        type='UNet', base_channels=8, num_stages=3, strides=(1, 1, 1), enc_num_convs=(2, 2, 2), dec_num_convs=(2, 2),
        downsamples=(True, True), enc_dilations=(1, 1, 1), dec_dilations=(1, 1), norm_cfg=norm_cfg),
    decode_head=dict(
        type='FCNHead', in_channels=8, in_index=2, channels=16, num_convs=1, concat_input=False, dropout_ratio=0.1,
        num_classes=4, norm_cfg=norm_cfg, align_corners=False,
        init_cfg=dict(type='Normal', std=0.1, override=dict(name='conv_seg')),
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, avg_non_ignore=True)),
    train_cfg=dict(), test_cfg=dict(mode='whole'))
load = [dict(type='LoadImageFromFile'), dict(type='imbdense.LoadSegMask')]
crop = [dict(type='RandomCrop', crop_size=(32, 32)), dict(type='RandomFlip', prob=0.5), dict(type='PackSegInputs')]
part = dict(type='imbdense.SegFolderDataset', data_root='{root}', metainfo=dict(classes={classes}))
human = dict(part, data_prefix=dict(img_path='images/train', seg_map_path='labels/train'), ann_file='{selected}',
             pipeline=load + crop)
autolabels = dict(human, data_prefix=dict(img_path='images/train', seg_map_path='{autolabels}/labels'),
                  ann_file='{autolabels}/images.txt')
first = {first}
train_dataloader = dict(
    batch_size=16, num_workers=0, sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(type='imbdense.AutolabelDataset', human=human, autolabels=autolabels) if first else human)
val_dataloader = dict(
    batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(part, data_prefix=dict(img_path='images/val', seg_map_path='labels/val'),
                 pipeline=load + [dict(type='PackSegInputs')]))
test_dataloader = val_dataloader
val_evaluator = test_evaluator = dict(type='imbdense.ConfusionMetric')
optim_wrapper = dict(optimizer=dict(lr={rate}))
default_hooks = dict(checkpoint=dict(interval=200, max_keep_ckpts=1, save_best=None))
"""


def imbdense(*arguments: object) -> None:
    """Run a verb."""
    assert main([*map(str, arguments)]) == 0


def train(folder: Path, root: Path, seed: int, *, autolabels: str = '', rate: float = 5e-3, start: str = '') -> float:
    """Train on the human labels, or with ``autolabels`` on these too; the mIoU at the end."""
    config = folder / 'config.py'
    folder.mkdir(parents=True)
    config.write_text(CONFIG.format(configs=configs_dir(), root=root, classes=CLASSES, selected=f'selected_{seed}.txt',
                                    autolabels=autolabels, first=bool(autolabels), rate=rate))
    options = ['--cfg-options', f'load_from={start}'] if start else []
    imbdense('train', config, '--work-dir', folder, '--seed', seed, *options)
    lines = [json.loads(line) for path in folder.glob('*/vis_data/scalars.json')
             for line in path.read_text().splitlines()]
    return [record['mIoU'] for record in lines if 'mIoU' in record][-1]


def write_proposals(root: Path, path: Path, seed: int) -> None:
    """The objects of the training pictures as COCO json, a quarter missed, a tenth of a wrong class."""
    rng = np.random.default_rng([seed, 2])
    images: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    for number, file in enumerate(sorted((root / 'images' / 'train').iterdir())):
        label = np.asarray(Image.open(root / 'labels' / 'train' / file.name))
        height, width = label.shape
        images.append({'id': number, 'file_name': file.name, 'width': width, 'height': height})
        for klass, rows, columns, inside in connected_regions(np.where(label == 0, -1, label.astype(int)), 4, 16):
            missed, wrong = rng.random(2) < (0.25, 0.1)
            if missed:
                continue
            mask = np.zeros(label.shape, np.uint8)
            mask[rows, columns] = inside
            flat = np.r_[0, mask.ravel(order='F'), 0]
            edges = np.flatnonzero(np.diff(flat))
            counts = np.diff(np.r_[0, edges, mask.size]).tolist()
            boxes.append({
                'id': len(boxes) + 1, 'image_id': number, 'score': float(rng.uniform(0.5, 1)), 'iscrowd': 0,
                'category_id': 1 + (klass + int(rng.integers(1, 3)) - 1) % 3 if wrong else klass,
                'bbox': [columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start],
                'area': int(inside.sum()), 'segmentation': {'size': [height, width], 'counts': counts},
            })  # fmt: skip
    categories = [{'id': number, 'name': name} for number, name in enumerate(CLASSES) if number]
    path.write_text(json.dumps({'images': images, 'annotations': boxes, 'categories': categories}))


def scores_of_seed(root: Path, work: Path, seed: int) -> dict[str, float]:
    """mIoU of the human labels alone, and of two stages with each kind of autolabels (after the first stage too)."""
    names = sorted(path.stem for path in (root / 'images' / 'train').iterdir())
    chosen = np.random.default_rng(seed).choice(len(names), LABELLED, replace=False)
    (root / f'selected_{seed}.txt').write_text('\n'.join(names[i] for i in sorted(chosen)) + '\n')
    found = {'human labels alone': train(work / 'alone', root, seed)}
    imbdense('pseudo-label', work / 'alone' / 'config.py', work / 'alone' / 'iter_200.pth', '--images',
             root / 'images' / 'train', '--out', root / f'own_{seed}', '--rule', 'fixed', '--threshold', 0.5)
    write_proposals(root, work / 'proposals.json', seed)
    imbdense('select', 'autolabel', work / 'proposals.json', '--out', root / f'proposed_{seed}', '--task',
             'segmentation', '--classes', *CLASSES, '--background', CLASSES[0])
    for maker in ('own', 'proposed'):
        first = train(work / maker / 'stage1', root, seed, autolabels=f'{maker}_{seed}')
        start = work / maker / 'stage1' / 'iter_200.pth'
        found[f'{maker}, first stage'] = first
        found[maker] = train(work / maker / 'stage2', root, seed, rate=5e-4, start=str(start))
    return found


@pytest.mark.slow
def test_two_stages_beat_the_second_alone(tmp_path: Path) -> None:
    """In every seed, for proposals of another model; the labels of the own model are told beside them."""
    root = write_shapes(tmp_path / 'shapes')
    found = [scores_of_seed(root, tmp_path / f'seed_{seed}', seed) for seed in SEEDS]
    for name in found[0]:
        values = np.array([scores[name] for scores in found])
        print(f'{name}: mIoU {values.mean():.3f} ± {values.std(ddof=1):.3f} {values.round(3).tolist()}')
    assert all(scores['proposed'] > scores['human labels alone'] for scores in found), found
