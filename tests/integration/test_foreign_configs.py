"""Unmodified configs of mmseg and mmdet with ONE line of imbdense train, evaluate and predict.

The configs come out of the installed packages. The one line stands in a child config; what makes the run small enough
for a CPU (data paths, image size, length, no download) is given on the command line.
"""

from __future__ import annotations

import importlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip('mmseg')
pytest.importorskip('mmdet')

from imbdense.cli.main import run_verb
from imbdense.mm.checkpoints import load_checkpoint
from tests.integration.tiny_data import write_detection, write_pair

SEG_LINE = "model = dict(decode_head=dict(loss_decode=dict(type='imbdense.BalancedSoftmaxLoss')))"
DET_LINE = ("model = dict(bbox_head=dict(loss_cls=dict(_delete_=True, type='imbdense.LogitAdjustLoss', "
            'use_sigmoid=True, focal_gamma=2.0, focal_alpha=0.25)))')


def installed(package: str, name: str) -> Path:
    """A config file of an installed host; skips where the host ships none."""
    path = Path(importlib.import_module(package).__path__[0]) / '.mim' / 'configs' / name
    if not path.is_file():
        pytest.skip(f'{path} is not part of this installation')
    return path


def child(folder: Path, base: Path, *lines: str) -> Path:
    """A config that inherits everything and adds ``lines``."""
    path = folder / f'{base.stem}_{folder.name}.py'
    path.write_text('\n'.join([f"_base_ = ['{base}']", *lines]) + '\n')
    return path


def cityscapes(root: Path) -> Path:
    """Four images with the file names of Cityscapes and eight of its 19 classes."""
    for split in ('train', 'val'):
        for index in range(4):
            label = np.zeros((64, 128), np.uint8)
            label[:, 64:] = 1 + index
            label[20:24, 20:24] = 17
            write_pair(root, split, f'{index}', label)
            for source, target in ((f'images/{split}/{index}.png', f'leftImg8bit/{split}/{index}_leftImg8bit.png'),
                                   (f'labels/{split}/{index}.png', f'gtFine/{split}/{index}_gtFine_labelTrainIds.png')):
                (root / target).parent.mkdir(parents=True, exist_ok=True)
                (root / source).rename(root / target)
    return root


def seg_options(root: Path) -> list[str]:
    """Cityscapes configs on the small data."""
    loaders = [f'{loader}_dataloader.{key}' for loader in ('train', 'val', 'test')
               for key in (f'dataset.data_root={root}', 'num_workers=0', 'persistent_workers=False')]
    return [*loaders, 'model.pretrained=None', 'model.data_preprocessor.size=(64,64)',
            'train_dataloader.dataset.pipeline.2.scale=(128,64)',
            'train_dataloader.dataset.pipeline.3.crop_size=(64,64)',
            'val_dataloader.dataset.pipeline.1.scale=(128,64)', 'test_dataloader.dataset.pipeline.1.scale=(128,64)',
            'train_cfg.max_iters=3', 'train_cfg.val_interval=3', 'default_hooks.checkpoint.interval=3',
            'default_hooks.logger.interval=1']


def det_options(root: Path) -> list[str]:
    """COCO configs on the small data."""
    loaders = []
    for loader, split in (('train', 'train'), ('val', 'val'), ('test', 'val')):
        data = f'{loader}_dataloader'
        loaders += [f'{data}.dataset.data_root={root}', f'{data}.dataset.ann_file=annotations/{split}.json',
                    f'{data}.dataset.data_prefix.img=images/{split}/', f'{data}.num_workers=0',
                    f'{data}.persistent_workers=False']
    annotations = root / 'annotations' / 'val.json'
    return [*loaders, 'model.backbone.init_cfg=None', f'val_evaluator.ann_file={annotations}',
            f'test_evaluator.ann_file={annotations}', 'train_dataloader.dataset.pipeline.2.scale=(96,80)',
            'val_dataloader.dataset.pipeline.1.scale=(96,80)', 'test_dataloader.dataset.pipeline.1.scale=(96,80)',
            'train_cfg.max_epochs=1', 'default_hooks.logger.interval=1', 'model.test_cfg.score_thr=0.0']


def losses_of(work_dir: Path) -> list[dict[str, float]]:
    """The logged training records."""
    records = []
    for path in work_dir.glob('*/vis_data/scalars.json'):
        records += [json.loads(line) for line in path.read_text().splitlines()]
    return [record for record in records if 'loss' in record]


@pytest.mark.parametrize(
    ('config', 'lines'),
    [
        ('fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py', []),
        pytest.param('fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py',
                     ["custom_imports = dict(imports=['imbdense'])",
                      "custom_hooks = [dict(type='imbdense.ClassCountHook')]"], marks=pytest.mark.slow),
        pytest.param('upernet/upernet_r50_4xb2-40k_cityscapes-512x1024.py', [], marks=pytest.mark.slow),
    ],
)
def test_mmseg_config_with_one_line(tmp_path: Path, config: str, lines: list[str]) -> None:
    """Train, find our loss in the log and the counts in the checkpoint, evaluate with the host's metric, predict."""
    root = cityscapes(tmp_path / 'cityscapes')
    path = child(tmp_path, installed('mmseg', config), SEG_LINE, *lines)
    options = ['--cfg-options', *seg_options(root)]
    work_dir = tmp_path / 'run'
    assert run_verb('train', [str(path), '--work-dir', str(work_dir), '--seed', '0', *options]) == 0
    records = losses_of(work_dir)
    assert len(records) == 3
    assert all(math.isfinite(record['decode.loss_ce_balanced']) for record in records)
    checkpoint = work_dir / 'iter_3.pth'
    content = load_checkpoint(checkpoint)
    if lines:
        assert 'imbdense' in content['meta']
    else:  # no hook: the loss counted the labels it saw
        assert content['state_dict']['decode_head.loss_decode.running.counts'][17] > 0
    scores = tmp_path / 'scores.json'
    assert run_verb('test', [str(path), str(checkpoint), '--work-dir', str(work_dir), '--out', str(scores),
                             *options]) == 0
    assert 0 <= json.loads(scores.read_text())['scores']['mIoU'] <= 100
    check_predictions(path, checkpoint, root / 'leftImg8bit' / 'val', tmp_path / 'out', options)
    with Image.open(tmp_path / 'out' / '0_leftImg8bit.png') as label:
        assert label.mode == 'P'
        assert label.size == (128, 64)
        assert max(label.getdata()) < 19


@pytest.mark.parametrize('lines', [[], pytest.param(
    ["custom_imports = dict(imports=['imbdense'])", "custom_hooks = [dict(type='imbdense.ClassCountHook')]"],
    marks=pytest.mark.slow)])
def test_mmdet_config_with_one_line(tmp_path: Path, lines: list[str]) -> None:
    """RetinaNet: the same, with boxes."""
    root = write_detection(tmp_path / 'coco', mmdet_classes())
    path = child(tmp_path, installed('mmdet', 'retinanet/retinanet_r50_fpn_1x_coco.py'), DET_LINE, *lines)
    options = ['--cfg-options', *det_options(root)]
    work_dir = tmp_path / 'run'
    assert run_verb('train', [str(path), '--work-dir', str(work_dir), '--seed', '0', *options]) == 0
    records = losses_of(work_dir)
    assert records
    assert all(math.isfinite(record['loss_cls']) and record['loss_cls'] > 0 for record in records)
    checkpoint = work_dir / 'epoch_1.pth'
    scores = tmp_path / 'scores.json'
    assert run_verb('test', [str(path), str(checkpoint), '--work-dir', str(work_dir), '--out', str(scores),
                             *options]) == 0
    assert 'coco/bbox_mAP' in json.loads(scores.read_text())['scores']
    check_predictions(path, checkpoint, root / 'images' / 'val', tmp_path / 'out', options)
    record = json.loads((tmp_path / 'out' / '000.json').read_text())
    assert (record['width'], record['height']) == (96, 80)
    assert {box['class'] for box in record['boxes']} <= set(mmdet_classes())


def mmdet_classes() -> tuple[str, ...]:
    """The class names of COCO."""
    from mmdet.datasets import CocoDataset

    return tuple(CocoDataset.METAINFO['classes'])


def check_predictions(config: Path, checkpoint: Path, images: Path, out: Path, options: list[str]) -> None:
    """A folder is predicted; a broken image beside the good ones is named, skipped and makes exit code 1."""
    arguments = [str(config), str(checkpoint), str(images), '--out', str(out)]
    assert run_verb('predict', [*arguments, *options]) == 0
    assert len(list(out.glob('*_overlay.jpg'))) == 4
    (images / 'broken.png').write_bytes(b'\x89PNG\r\n not an image')
    assert run_verb('predict', [*arguments, *options]) == 1
