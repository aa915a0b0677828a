"""ReportHook on a tiny runner: what is written, when, for segmentation and detection, on one and on two ranks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, METRICS, MODELS
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement, InstanceData, PixelData
from PIL import Image
from torch.utils.data import Dataset

from imbdense.mm.hooks.report_hook import ReportHook, artifacts, rarest
from imbdense.mm.prior import HUB_COUNTS
from imbdense.report.build import load_story, render
from tests.helpers.two_ranks import run_two_ranks

CLASSES = ('ground', 'road', 'bike')


def label_of(index: int) -> np.ndarray:
    """Image i has i x 10 bike pixels."""
    label = np.zeros((32, 48), np.uint8)
    label[:8] = 1
    label[20 : 20 + index, 10:20] = 2
    return label


class TinyScenes(Dataset):
    """Six images with growing amounts of the rare class."""

    metainfo = {'classes': CLASSES, 'palette': [[9, 9, 9], [90, 90, 90], [255, 0, 200]]}

    def __init__(self, folder: str, boxes: bool = False) -> None:
        self.folder, self.boxes = Path(folder), boxes

    def __len__(self) -> int:
        return 6

    def get_data_info(self, index: int) -> dict[str, Any]:
        instances = [{'bbox': [10, 20, 20, 30], 'bbox_label': 2, 'ignore_flag': 0} for _ in range(index)]
        return {'img_path': str(self.folder / f'{index}.png'), 'instances': instances}

    def __getitem__(self, index: int) -> dict[str, Any]:
        sample = BaseDataElement(metainfo={'img_path': str(self.folder / f'{index}.png'), 'ori_shape': (32, 48)})
        if not self.boxes:
            sample.gt_sem_seg = PixelData(data=torch.from_numpy(label_of(index))[None])
        return {'inputs': torch.zeros(3, 32, 48), 'data_samples': sample}


class TinyModel(BaseModel):
    """Predicts the truth, but never the class bike; detection: one good box."""

    def __init__(self, boxes: bool = False) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.boxes = boxes

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = 'tensor') -> Any:
        if mode == 'loss':
            return {'loss': self.weight.square().sum()}
        for sample in data_samples:
            if self.boxes:
                found = InstanceData(
                    bboxes=torch.tensor([[10.0, 20, 20, 30]]), labels=torch.tensor([2]), scores=torch.tensor([0.9])
                )
                sample.pred_instances = found
            else:
                truth = sample.gt_sem_seg.data
                sample.pred_sem_seg = PixelData(data=torch.where(truth == 2, 0, truth))
        return data_samples


class TinyMetric(BaseMetric):
    """Returns a NaN and has an artefact."""

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results.extend(1 for _ in data_samples)

    def compute_metrics(self, results: list) -> dict[str, float]:
        self.artifact = {
            'kind': 'confusion',
            'classes': list(CLASSES),
            'counts': [100, 50, 2],
            'per_image': [{'a': 1}],
            'scalars': {'IoU/bike': float('nan')},
            'table': np.eye(3, dtype=np.int64),
            'groups': {'tail': (2,)},
        }
        return {'mIoU': 0.5, 'IoU/ground': np.float32(0.75), 'IoU/bike': float('nan')}


@pytest.fixture(scope='module', autouse=True)
def _registered():
    for registry, cls in ((DATASETS, TinyScenes), (MODELS, TinyModel), (METRICS, TinyMetric)):
        registry.register_module(name=f'ReportTest{cls.__name__}', module=cls, force=True)


@pytest.fixture
def images(tmp_path) -> Path:
    folder = tmp_path / 'images'
    folder.mkdir()
    for i in range(6):
        Image.fromarray(np.random.default_rng(i).integers(0, 255, (32, 48, 3), dtype=np.uint8)).save(
            folder / f'{i}.png'
        )
    return folder


def make_runner(
    work_dir: Path, images: Path, boxes: bool = False, seed: int = 3, iters: int = 4, **extra: Any
) -> Runner:
    loader = {
        'dataset': {'type': 'ReportTestTinyScenes', 'folder': str(images), 'boxes': boxes},
        'batch_size': 2,
        'num_workers': 0,
        'sampler': {'type': 'DefaultSampler', 'shuffle': False},
    }
    config = Config(
        {
            'work_dir': str(work_dir),
            'model': {'type': 'ReportTestTinyModel', 'boxes': boxes},
            'train_dataloader': loader,
            'val_dataloader': loader,
            'test_dataloader': loader,
            'val_evaluator': {'type': 'ReportTestTinyMetric'},
            'test_evaluator': {'type': 'ReportTestTinyMetric'},
            'val_cfg': {},
            'test_cfg': {},
            'train_cfg': {'by_epoch': False, 'max_iters': iters, 'val_interval': 2},
            'experiment_name': f'tiny_seed{seed}',
            'optim_wrapper': {'optimizer': {'type': 'SGD', 'lr': 0.1}},
            'randomness': {'seed': seed},
            'default_scope': 'mmengine',
            'custom_hooks': [{'type': 'imbdense.ReportHook', 'images': 2}],
            'log_level': 'WARNING',
            **extra,
        }
    )
    return Runner.from_cfg(config)


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_training_leaves_run_evaluations_and_pictures(tmp_path, images):
    runner = make_runner(tmp_path / 'run', images)
    runner.message_hub.update_info(HUB_COUNTS, {'format': 1, 'classes': list(CLASSES), 'pixels': [9000, 700, 30]})
    runner.train()
    folder = tmp_path / 'run/imbdense'
    info = read(folder / 'run.json')
    assert info['classes'] == list(CLASSES) and info['seed'] == 3 and info['max_iters'] == 4
    assert info['experiment'] == 'tiny_seed3' and info['finished'] and info['class_counts']['pixels'] == [9000, 700, 30]
    record = read(folder / 'val_4_metrics.json')
    assert record['scalars']['IoU/bike'] is None and record['scalars']['IoU/ground'] == 0.75
    artifact = read(folder / 'val_2_confusion.json')['artifact']
    assert artifact['table'] == [[1, 0, 0], [0, 1, 0], [0, 0, 1]] and 'per_image' not in artifact
    assert read(folder / 'per_image_val.json') == [{'a': 1}]
    records = read(folder / 'worst/index.json')
    worst = [r for r in records if r['class'] == 'bike' and r['role'] == 'worst']
    assert [r['file'] for r in worst] == ['5.png', '4.png']  # all have IoU 0, the larger amount comes first
    assert worst[0]['iou'] == 0 and worst[0]['truth_pixels'] == 50
    assert (np.asarray(Image.open(folder / 'worst' / worst[0]['truth'])) == label_of(5)).all()
    html = render(load_story([tmp_path / 'run']))
    assert 'bike' in html and 'data:image/jpeg;base64' in html


def test_detection_keeps_images_by_missed_objects(tmp_path, images):
    runner = make_runner(tmp_path / 'run', images, boxes=True)
    runner.val()
    records = read(tmp_path / 'run/imbdense/worst/index.json')
    worst = [r for r in records if r['role'] == 'worst']
    assert [(r['file'], r['missed'], r['objects'], r['false']) for r in worst] == [
        ('5.png', 4, 5, 0),
        ('4.png', 3, 4, 0),
    ]
    assert worst[0]['predicted_boxes'] == [[10, 20, 20, 30, 2, pytest.approx(0.9, abs=0.01)]]
    assert 'data:image/jpeg' in render(load_story([tmp_path / 'run']))


def test_config_hash_ignores_the_seed_only(tmp_path, images):
    hashes = []
    for name, seed, iters in (('a', 0, 4), ('b', 1, 4), ('c', 0, 6)):
        make_runner(tmp_path / name, images, seed=seed, iters=iters).val()
        hashes.append(read(tmp_path / name / 'imbdense/run.json')['config_hash'])
    assert hashes[0] == hashes[1] != hashes[2]


def test_new_training_in_a_used_work_dir_sets_old_files_aside(tmp_path, images):
    make_runner(tmp_path / 'run', images, iters=6).train()
    make_runner(tmp_path / 'run', images, iters=2).train()
    folder = tmp_path / 'run/imbdense'
    assert sorted(p.name for p in folder.glob('val_*_metrics.json')) == ['val_2_metrics.json']
    assert len(list(folder.glob('earlier_*/val_6_metrics.json'))) == 1


def test_test_run_keeps_the_facts_of_the_training(tmp_path, images):
    make_runner(tmp_path / 'run', images, seed=8).train()
    before = read(tmp_path / 'run/imbdense/run.json')
    make_runner(tmp_path / 'run', images, seed=9).test()
    after = read(tmp_path / 'run/imbdense/run.json')
    assert (after['seed'], after['started'], after['max_iters']) == (8, before['started'], 4)
    assert (tmp_path / 'run/imbdense/test_0_metrics.json').exists()


def test_missing_image_and_unwritable_folder_do_not_end_a_training(tmp_path, images):
    (images / '5.png').unlink()
    runner = make_runner(tmp_path / 'run', images)
    (tmp_path / 'run/imbdense').write_text('a file where the folder should be')
    runner.train()
    assert runner.iter == 4


def test_small_helpers():
    assert rarest(np.array([5, 0, 2, 9]), 2) == [2, 0]

    class Holder:
        metrics = [
            type('M', (), {'artifact': {'kind': 'coco'}})(),
            type('M', (), {'artifact': {'kind': 'coco'}})(),
            object(),
        ]

    assert [kind for kind, _ in artifacts(Holder())] == ['coco', 'coco_2']
    with pytest.raises(ValueError, match='ReportHook: window'):
        ReportHook(window=1)


def _val_on_rank(images: str, work_dir: str) -> list[dict[str, Any]]:
    for registry, cls in ((DATASETS, TinyScenes), (MODELS, TinyModel), (METRICS, TinyMetric)):
        registry.register_module(name=f'ReportTest{cls.__name__}', module=cls, force=True)
    runner = make_runner(Path(work_dir), Path(images))
    runner.val()
    torch.distributed.barrier()
    return read(Path(work_dir) / 'imbdense/worst/index.json')


def test_two_ranks_keep_the_images_of_one(tmp_path, images):
    make_runner(tmp_path / 'one', images).val()
    both = run_two_ranks(_val_on_rank, str(images), str(tmp_path / 'two'))
    assert both[0] == read(tmp_path / 'one/imbdense/worst/index.json')
