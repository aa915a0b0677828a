"""A tiny finished detector or segmentor with labelled data, and a folder of unlabelled images for it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from tests.integration.tiny_data import write_detection, write_segmentation
from tests.mm.inference import detectors

CLASSES = detectors.CLASSES


@dataclass(frozen=True)
class Case:
    """A config file, a checkpoint, unlabelled images."""

    config: Path
    checkpoint: Path
    images: Path

    def arguments(self, out: Path, *more: str) -> list[str]:
        """Of ``imbdense pseudo-label``."""
        return [str(self.config), str(self.checkpoint), '--images', str(self.images), '--out', str(out), *more]


def detection(root: Path, count: int = 11, kind: str = 'dense') -> Case:
    """A detector with random weights."""
    config = detectors.config(kind, root / 'data', count=4)
    checkpoint = detectors.checkpoint(config, root / 'model.pth')
    content = torch.load(checkpoint, weights_only=True)
    for name, value in content['state_dict'].items():
        if name.endswith('retina_cls.weight'):
            value *= 0.25  # scores that are spread, not all next to 1
    torch.save(content, checkpoint)
    config.custom_imports = {'imports': ['tests.mm.inference.detectors'], 'allow_failed_imports': False}
    path = root / 'config.py'
    config.dump(str(path))
    write_detection(root / 'new', CLASSES, count=count, width=100)
    return Case(path, checkpoint, root / 'new' / 'images' / 'train')


def segmentation(root: Path, count: int = 11) -> Case:
    """A one-layer segmentor with random weights and four classes."""
    write_segmentation(root / 'data', 4)
    write_segmentation(root / 'new', 4, count=count, size=48)
    pipeline = [{'type': 'LoadImageFromFile'}, {'type': 'LoadAnnotations'}, {'type': 'PackSegInputs'}]

    def loader(split: str) -> dict[str, Any]:
        dataset = {'type': 'imbdense.SegFolderDataset', 'data_root': str(root / 'data'), 'pipeline': pipeline,
                   'metainfo': {'classes': ['a', 'b', 'c', 'd']},
                   'data_prefix': {'img_path': f'images/{split}', 'seg_map_path': f'labels/{split}'}}
        return {'batch_size': 1, 'dataset': dataset, 'sampler': {'type': 'DefaultSampler', 'shuffle': False}}

    model = {
        'type': 'EncoderDecoder',
        'data_preprocessor': {'type': 'SegDataPreProcessor', 'mean': [60.0] * 3, 'std': [30.0] * 3, 'size': (64, 64)},
        'backbone': {'type': 'TwoConvBackbone', '_scope_': 'mmdet'},
        'decode_head': {'type': 'FCNHead', 'in_channels': 8, 'in_index': 0, 'channels': 8, 'num_convs': 0,
                        'concat_input': False, 'num_classes': 4, 'dropout_ratio': 0.0},
        'test_cfg': {'mode': 'whole'},
    }  # fmt: skip
    config = Config({'default_scope': 'mmseg', 'model': model, 'train_dataloader': loader('train'),
                     'val_dataloader': loader('val'), 'test_dataloader': loader('val'),
                     'custom_imports': {'imports': ['tests.mm.inference.detectors'], 'allow_failed_imports': False}})
    path = root / 'config.py'
    config.dump(str(path))
    from mmengine.registry import MODELS, init_default_scope

    init_default_scope('mmseg')
    torch.manual_seed(0)
    built = MODELS.build(config.model)
    for parameter in built.decode_head.parameters():
        torch.nn.init.normal_(parameter, std=2.0)
    torch.save({'state_dict': built.state_dict(), 'meta': {'dataset_meta': {'classes': ['a', 'b', 'c', 'd']}}},
               root / 'model.pth')
    return Case(path, root / 'model.pth', root / 'new' / 'images' / 'train')


def spoil(case: Case, labelled: Path) -> None:
    """Add a broken image, and a labelled one under another name."""
    (case.images / 'zz_broken.png').write_bytes(b'no image')
    shutil.copy(labelled, case.images / 'zz_copy.png')
