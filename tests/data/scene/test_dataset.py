from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imbdense.data.scene import classes as c
from imbdense.data.scene.dataset import DatasetPlan, generate_dataset
from imbdense.data.scene.export_images import read_png
from tests.data.scene.conftest import tiny
from tests.data.scene.test_export import decode
from tests.data.scene.test_generate import digests

pytest.importorskip('open3d')


def plan(**parts: Any) -> DatasetPlan:
    scene = tiny(flight={'pattern': 'nadir'}, mix={'correction_rounds': 1}, label_noise={'fraction': 0.4})
    return DatasetPlan(**({'scene': scene, 'scenes': 2, 'val': 1} | parts))


@pytest.fixture(scope='module')
def dataset(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    root = tmp_path_factory.mktemp('data') / 'set'
    return root, generate_dataset(plan(), root)


def test_layout_and_record(dataset: tuple[Path, dict[str, Any]]) -> None:
    root, record = dataset
    assert json.loads((root / 'dataset.json').read_text()) == record
    assert record['classes'] == list(c.MAPPINGS['aerial'].classes) and record['ignore_index'] == 255
    for split in ('train', 'val'):
        names = sorted(path.name for path in (root / 'images' / split).iterdir())
        assert names == record['splits'][split]['images'] and names
        assert names == sorted(path.name for path in (root / 'labels' / split).iterdir())
    assert not list(root.rglob('.*'))
    assert not (root / 'scenes/scene_000/depth').exists()


def test_labels_coco_and_counts_agree(dataset: tuple[Path, dict[str, Any]]) -> None:
    root, record = dataset
    mapping = c.MAPPINGS['aerial']
    for split in ('train', 'val'):
        coco = json.loads((root / 'annotations' / f'{split}.json').read_text())
        assert [item['name'] for item in coco['categories']] == record['things']
        assert len({item['id'] for item in coco['annotations']}) == len(coco['annotations'])
        pixels = np.zeros(256, np.int64)
        for image in coco['images']:
            label = read_png(root / 'labels' / split / image['file_name'])
            pixels += np.bincount(label.ravel(), minlength=256)
            union = np.zeros(label.shape, np.int64)
            for item in (entry for entry in coco['annotations'] if entry['image_id'] == image['id']):
                mask = decode(item['segmentation']['counts'], label.shape)
                x, y, width, height = item['bbox']
                assert mask.sum() == item['area'] and mask[y:y + height, x:x + width].sum() == item['area']
                assert (label[mask] == mapping.things[item['category_id'] - 1]).all()
                union += mask
            assert union.max() <= 1
            things = np.isin(label, mapping.things)
            assert (union[~things] == 0).all() and (things & (union == 0)).sum() <= 0.02 * max(things.sum(), 200)
        assert {name: pixels[k] for k, name in enumerate(record['classes'])} == record['class_counts'][split]['pixels']


def test_label_noise_is_for_training_only_and_clean_masks_are_kept(dataset: tuple[Path, dict[str, Any]]) -> None:
    root, _ = dataset
    train, val = (json.loads((root / 'scenes' / name / 'manifest.json').read_text()) for name in
                  ('scene_000', 'scene_001'))
    assert train['counts']['pixels'] != train['counts']['annotated_pixels']
    assert val['counts']['pixels'] == val['counts']['annotated_pixels']
    assert (root / 'scenes/scene_000/masks_clean').is_dir() and not (root / 'scenes/scene_001/masks_clean').exists()
    faults = [item for item in json.loads((root / 'scenes/scene_000/instances.json').read_text())['instances']
              if item['fault']]
    assert faults and all((item['annotated_class'] is None) == (item['fault'] == 'drop') for item in faults)


def test_worker_count_does_not_matter(tmp_path: Path, dataset: tuple[Path, dict[str, Any]]) -> None:
    root, record = dataset
    assert generate_dataset(plan(), tmp_path / 'two', workers=2) == record
    assert digests(tmp_path / 'two') == digests(root)


def test_scene_seeds_follow_the_data_set_seed_and_not_the_number_of_scenes() -> None:
    few, many, other = plan(), plan(scenes=5), plan(scene=plan().scene.changed(seed=99))
    assert few.scene_config(0).seed == many.scene_config(0).seed != other.scene_config(0).seed
    assert len({many.scene_config(k).seed for k in range(5)}) == 5
    assert few.scene_config(1).label_noise.fraction == 0 and few.scene_config(0).label_noise.fraction == 0.4


def test_another_mapping_reuses_the_scenes_and_prunes_nothing_foreign(tmp_path: Path) -> None:
    root = tmp_path / 'set'
    generate_dataset(plan(scenes=2, val=1), root)
    (root / 'images/train/mine.png').write_bytes(b'keep me')
    stamps = [path.stat().st_mtime_ns for path in sorted(root.glob('scenes/*/manifest.json'))]
    record = generate_dataset(plan(scenes=2, val=0, mapping='full'), root)  # scene_001 moves from val to train
    assert 'aircraft' not in record['classes'] and len(record['classes']) >= 8
    assert list((root / 'images/val').iterdir()) == [] and not (root / 'annotations/val.json').exists()
    assert (root / 'images/train/mine.png').exists()
    after = [path.stat().st_mtime_ns for path in sorted(root.glob('scenes/*/manifest.json'))]
    assert after[0] == stamps[0] and after[1] != stamps[1]  # noise belongs to training scenes: that one is made again
    for name in record['splits']['train']['images']:
        label = read_png(root / 'labels/train' / name)
        assert set(np.unique(label)) <= {*range(len(record['classes'])), 255}


@pytest.mark.parametrize(('parts', 'words'), [({'scenes': 0}, 'scenes'), ({'val': 2}, 'val=2'),
                                              ({'mapping': 'coco'}, 'mapping')])
def test_bad_plans_are_named(parts: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        plan(**parts)


def test_host_reads_the_segmentation_and_the_coco_files(dataset: tuple[Path, dict[str, Any]]) -> None:
    root, record = dataset
    mmseg, mmdet = pytest.importorskip('mmseg.datasets'), pytest.importorskip('mmdet.datasets')
    meta = {'classes': record['classes'], 'palette': record['palette']}
    segmentation = mmseg.BaseSegDataset(data_root=str(root), metainfo=meta, img_suffix='.png', seg_map_suffix='.png',
                                        data_prefix={'img_path': 'images/val', 'seg_map_path': 'labels/val'},
                                        pipeline=[{'type': 'LoadImageFromFile'}, {'type': 'mmseg.LoadAnnotations'}])
    assert len(segmentation) == len(record['splits']['val']['images'])
    assert segmentation[0]['gt_seg_map'].max() in {*range(len(record['classes'])), 255}
    detection = mmdet.CocoDataset(data_root=str(root), ann_file='annotations/train.json',
                                  data_prefix={'img': 'images/train/'}, metainfo={'classes': record['things']},
                                  pipeline=[])
    assert len(detection) == len(record['splits']['train']['images'])
    assert sum(len(detection.get_data_info(k)['instances']) for k in range(len(detection))) > 0
