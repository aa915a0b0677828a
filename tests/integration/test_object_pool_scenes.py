"""Object pools of generated scenes with a shipped segmentation config and a tiny detector; nothing is trained."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmengine.registry import DefaultScope

pytest.importorskip('open3d')
pytest.importorskip('mmdet')
pytest.importorskip('mmseg')

from imbdense.cli.main import run_verb
from imbdense.data.object_pool import open_pool
from imbdense.data.scene.dataset import DatasetPlan, generate_dataset
from tests.data.scene.conftest import tiny
from tests.mm.inference import detectors


@pytest.fixture(autouse=True)
def scope() -> Iterator[None]:
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


@pytest.fixture(scope='module')
def scenes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    root = tmp_path_factory.mktemp('data') / 'scenes'
    scene = tiny(flight={'pattern': 'nadir'}, mix={'correction_rounds': 1})
    return root, generate_dataset(DatasetPlan(scene, 2, 1, 'aerial', False), root)


def make(out: Path, *arguments: str) -> Any:
    assert run_verb('select', ['pool', *arguments, '--source', 'gt', '--out', str(out), '--device', 'cpu', '--workers',
                               '0', '--traceback']) == 0  # fmt: skip
    return open_pool(out)


def test_segmentation_config(scenes: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """Regions of all classes that the labels hold; groups by scene; features of a backbone nobody trained."""
    root, record = scenes
    roots = [f'{split}_dataloader.dataset.data_root={root}' for split in ('train', 'val', 'test')]
    config = 'segmentation/unet_scenes_ce.py'
    pool = make(tmp_path / 'pool', config, '--group', '(scene_[0-9]+)', '--cfg-options', *roots)
    assert list(pool.image_ids) == record['splits']['train']['images'] and list(pool.classes) == record['classes']
    counts = record['class_counts']['train']
    for index, name in enumerate(pool.classes):
        images = len(np.unique(pool.obj_image[pool.obj_class == index]))
        area = float(pool.obj_area[pool.obj_class == index].sum())
        assert images <= counts['images'][name] and area <= counts['pixels'][name]
        if counts['pixels'][name] > 2000:
            assert area > 0.9 * counts['pixels'][name], name
    assert pool.img_group.tolist() == [0] * pool.num_images
    assert pool.usable is None and pool.num_objects > 5 * pool.num_images
    norms = np.linalg.norm(np.asarray(pool.obj_feat, float), axis=1)
    np.testing.assert_allclose(norms, 1, atol=2e-3)


def test_detector(scenes: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """Every annotated instance is one object with its class and box."""
    root, _ = scenes
    config = detectors.config('dense', tmp_path / 'other')
    truth = json.loads((root / 'annotations' / 'train.json').read_text())
    names = [category['name'] for category in truth['categories']]
    config.train_dataloader.dataset.update(data_root=str(root), metainfo={'classes': names})
    config.custom_imports = {'imports': ['tests.mm.inference.detectors'], 'allow_failed_imports': False}
    config.dump(str(tmp_path / 'config.py'))
    pool = make(tmp_path / 'pool', str(tmp_path / 'config.py'), '--pca-dim', '4')
    real = [box for box in truth['annotations'] if not box.get('iscrowd')]
    assert pool.num_objects == len(real) > 0 and pool.obj_feat.shape[1] == 4
    owners = {image['id']: pool.image_ids.index(Path(image['file_name']).name) for image in truth['images']}
    expected = sorted((owners[box['image_id']], box['category_id'], *box['bbox'][:2]) for box in real)
    ids = [category['id'] for category in truth['categories']]
    found = sorted((int(image), ids[int(klass)], *box[:2].tolist())
                   for image, klass, box in zip(pool.obj_image, pool.obj_class, pool.obj_box))
    np.testing.assert_allclose(found, expected, atol=1e-3)
