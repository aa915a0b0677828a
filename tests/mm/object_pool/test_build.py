"""Pools made by tiny segmentors and detectors through the command."""

from __future__ import annotations

import json
import logging.handlers
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from PIL import Image

pytest.importorskip('mmdet')
pytest.importorskip('mmseg')

from imbdense.cli.main import run_verb
from imbdense.core.selection import OFDS, BinnedClusterSelector, KCenterGreedy, TypiClust
from imbdense.data.object_pool import open_pool
from imbdense.mm.predictor import Predictor
from tests.data.object_pool.pools import contents
from tests.helpers.two_ranks import run_two_ranks
from tests.mm.pseudo_label.cases import Case, detection, segmentation

CPU = ('--device', 'cpu', '--workers', '0', '--traceback')


@pytest.fixture(autouse=True)
def scope() -> Iterator[None]:
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


@pytest.fixture(scope='module')
def segmentor(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return segmentation(tmp_path_factory.mktemp('segmentor'), count=6)


@pytest.fixture(scope='module')
def detector(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return detection(tmp_path_factory.mktemp('detector'), count=5)


def make(*arguments: Any) -> int:
    return run_verb('select', ['pool', *map(str, arguments), *CPU])


def last_map(predictor: Predictor, path: Path) -> torch.Tensor:
    """What the backbone puts out last for an image."""
    kept: dict[str, torch.Tensor] = {}
    handle = predictor.model.backbone.register_forward_hook(lambda m, i, out: kept.update(map=out[-1]))
    predictor.sample(path)
    handle.remove()
    return kept['map']


def reference(predictor: Predictor, path: Path, mask: np.ndarray) -> np.ndarray:
    """The feature of a mask, pixel by pixel: the cells are blocks of 16 x 16 pixels."""
    feature, stride = last_map(predictor, path)[0].double().numpy(), 16
    weight = np.zeros(feature.shape[1:])
    for y, x in zip(*np.nonzero(mask)):
        weight[y // stride, x // stride] += 1 / stride**2
    assert weight.sum() >= 1
    mean = (feature * weight).sum((1, 2)) / weight.sum()
    return mean / np.linalg.norm(mean)


def test_predicted_regions_of_a_segmentor(segmentor: Case, tmp_path: Path) -> None:
    """Objects are the regions of the argmax; class, box, area, score and feature by a slow way."""
    from scipy.ndimage import label as connected

    out = tmp_path / 'pool'
    assert make(segmentor.config, segmentor.checkpoint, '--images', segmentor.images, '--out', out) == 0
    pool = open_pool(out)
    assert list(pool.image_ids) == [f'{index:03d}.png' for index in range(6)] and list(pool.classes) == list('abcd')
    predictor = Predictor(Config.fromfile(str(segmentor.config)), segmentor.checkpoint, 'cpu')
    found = 0
    for number in range(6):
        path = segmentor.images / pool.image_ids[number]
        sample = predictor.sample(path)
        label, chance = sample.pred_sem_seg.data[0].numpy(), sample.seg_logits.data.softmax(0).max(0)[0].numpy()
        rows = list(range(pool.starts[number], pool.starts[number + 1]))
        for klass in range(4):
            parts, count = connected(label == klass, np.ones((3, 3)))
            for part in range(1, count + 1):
                mask = parts == part
                if mask.sum() < 16:
                    continue
                y, x = np.nonzero(mask)
                row = rows.pop(0)
                assert pool.obj_class[row] == klass and pool.obj_area[row] == mask.sum()
                assert pool.obj_box[row].tolist() == [x.min(), y.min(), x.max() + 1, y.max() + 1]
                assert pool.obj_score[row] == pytest.approx(chance[mask].mean(), abs=1e-5)
                if mask.sum() >= 256:  # at least one cell of the 16 x 16 pixels of the last map
                    np.testing.assert_allclose(pool.obj_feat[row], reference(predictor, path, mask), atol=2e-3)
                    found += 1
        assert not rows
    assert found >= 6 and pool.img_feat.shape == (6, 8)


def test_ground_truth_regions(segmentor: Case, tmp_path: Path) -> None:
    """The training split; ignored rows belong to no object; only the chosen classes, in their order."""
    out = tmp_path / 'pool'
    assert make(segmentor.config, '--source', 'gt', '--out', out, '--classes', 'd', 'a', '--min-area', '5') == 0
    pool = open_pool(out)
    assert list(pool.classes) == ['d', 'a'] and (pool.obj_score == 1).all() and (pool.obj_box[:, 1] >= 2).all()
    root = Path(Config.fromfile(str(segmentor.config)).train_dataloader.dataset.data_root)
    for number, name in enumerate(pool.image_ids):
        label = np.asarray(Image.open(root / 'labels' / 'train' / name))
        own = slice(pool.starts[number], pool.starts[number + 1])
        assert pool.obj_area[own][pool.obj_class[own] == 0].tolist() == [float((label == 3).sum())]
        assert pool.obj_area[own][pool.obj_class[own] == 1].sum() <= (label == 0).sum()
    assert json.loads((out / 'meta.json').read_text())['source'] == 'gt'


def test_boxes_of_a_detector_and_proposals_from_a_file(detector: Case, tmp_path: Path) -> None:
    """The same boxes as proposals give the same pool; class, score and box are the model's."""
    arguments = (detector.config, detector.checkpoint, '--images', detector.images, '--dtype', 'float32')
    assert make(*arguments, '--score-thr', '0.6', '--out', tmp_path / 'pred') == 0
    pool = open_pool(tmp_path / 'pred')
    predictor = Predictor(Config.fromfile(str(detector.config)), detector.checkpoint, 'cpu')
    boxes: list[dict[str, Any]] = []
    for number, name in enumerate(pool.image_ids):
        found = predictor(detector.images / name)
        keep, own = found.scores >= 0.6, slice(pool.starts[number], pool.starts[number + 1])
        np.testing.assert_array_equal(pool.obj_box[own], found.boxes[keep])
        np.testing.assert_array_equal(pool.obj_class[own], found.labels[keep])
        np.testing.assert_array_equal(pool.obj_score[own], found.scores[keep])
        for box, klass, score in zip(pool.obj_box[own].tolist(), pool.obj_class[own].tolist(), found.scores.tolist()):
            boxes.append({'id': len(boxes), 'image_id': number, 'category_id': klass, 'score': score, 'iscrowd': 0,
                          'bbox': [box[0], box[1], box[2] - box[0], box[3] - box[1]]})  # fmt: skip
    assert 0 < pool.num_objects == len(boxes)
    record = {
        'images': [{'id': number, 'file_name': name, 'width': 100, 'height': 80}
                   for number, name in enumerate(pool.image_ids)],
        'categories': [{'id': number, 'name': name} for number, name in enumerate(pool.classes)],
        'annotations': [*boxes[::-1], {'id': 999, 'image_id': 0, 'category_id': 0, 'bbox': [1, 1, 5, 5], 'iscrowd': 1}],
    }  # fmt: skip
    (tmp_path / 'boxes.json').write_text(json.dumps(record))
    proposals = ('--source', 'coco-json', '--proposals', tmp_path / 'boxes.json')
    assert make(*arguments, *proposals, '--out', tmp_path / 'given') == 0
    given = open_pool(tmp_path / 'given')
    for number in range(pool.num_images):
        own = slice(pool.starts[number], pool.starts[number + 1])
        np.testing.assert_allclose(given.obj_feat[own], pool.obj_feat[own][::-1], atol=1e-5)
        np.testing.assert_allclose(given.obj_box[own], pool.obj_box[own][::-1], atol=1e-4)
    features = np.random.default_rng(0).normal(size=(len(boxes) + 1, 5)).astype(np.float32)
    np.save(tmp_path / 'features.npy', features)
    assert run_verb('select', ['pool', *map(str, proposals), '--features', str(tmp_path / 'features.npy'), '--out',
                               str(tmp_path / 'given2'), '--no-normalize', '--dtype', 'float32']) == 0  # fmt: skip
    given = open_pool(tmp_path / 'given2')
    np.testing.assert_array_equal(given.obj_feat[: pool.starts[1]], features[:-1][::-1][: pool.starts[1]][::-1])
    assert given.num_objects == pool.num_objects and given.img_feat is None


def test_box_features_equal_roi_align_on_the_resized_padded_image(detector: Case, tmp_path: Path) -> None:
    ops = pytest.importorskip('mmcv.ops')
    assert make(detector.config, detector.checkpoint, '--images', detector.images, '--dtype', 'float32',
                '--no-normalize', '--score-thr', '0.5', '--out', tmp_path / 'pool') == 0  # fmt: skip
    pool = open_pool(tmp_path / 'pool')
    predictor = Predictor(Config.fromfile(str(detector.config)), detector.checkpoint, 'cpu')
    compared = 0
    for number, name in enumerate(pool.image_ids):
        meta = predictor.sample(detector.images / name).metainfo
        feature = last_map(predictor, detector.images / name)
        stride = meta['batch_input_shape'][0] / feature.shape[2]
        scale = torch.tensor([*meta['scale_factor'], *meta['scale_factor']]) / stride
        for row in range(pool.starts[number], pool.starts[number + 1]):
            roi = torch.from_numpy(pool.obj_box[row].copy()) * scale
            if (roi[2:] - roi[:2]).prod() < 1:
                continue
            expected = ops.roi_align(feature, torch.cat([torch.zeros(1), roi])[None], (7, 7), 1.0, 0, 'avg', True)
            np.testing.assert_allclose(pool.obj_feat[row], expected.mean((2, 3))[0], atol=1e-4, rtol=1e-3)
            compared += 1
    assert compared > 10


def test_boxes_and_masks_of_a_coco_set(tmp_path: Path) -> None:
    """Ground truth of a detection set; an instance with a polygon is measured by its mask, and pooled over it."""
    case = detection(tmp_path, count=1)
    path = tmp_path / 'data' / 'annotations' / 'train.json'
    record = json.loads(path.read_text())
    for number, box in enumerate(record['annotations']):
        x, y, width, height = box['bbox']
        box['segmentation'] = [] if number % 2 else [[x, y, x + width, y, x, y + height]]
    path.write_text(json.dumps(record))
    assert make(case.config, case.checkpoint, '--source', 'gt', '--out', tmp_path / 'pool') == 0
    pool = open_pool(tmp_path / 'pool')
    assert pool.num_objects == len(record['annotations']) and (pool.obj_score == 1).all()
    np.testing.assert_allclose(pool.obj_area[::2], 200, atol=25)
    assert (pool.obj_area[1::2] == 400).all()
    np.testing.assert_allclose(pool.obj_box[:, 2:] - pool.obj_box[:, :2], 20)


def test_images_as_wholes(segmentor: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No labels, no boxes, no checkpoint: one object per image, which every selector without classes can use."""
    out = tmp_path / 'pool'
    arguments = (segmentor.config, '--source', 'image', '--images', segmentor.images, '--out', out)
    assert make(*arguments, '--classes', 'a') == 2 and 'knows no classes' in capsys.readouterr().err
    assert make(*arguments) == 0
    pool = open_pool(out)
    assert list(pool.classes) == [] and pool.obj_image.tolist() == list(range(6)) and (pool.obj_class == -1).all()
    sizes = [Image.open(segmentor.images / name).size for name in pool.image_ids]
    assert pool.obj_box.tolist() == [[0, 0, width, height] for width, height in sizes]
    assert pool.obj_area.tolist() == [width * height for width, height in sizes]
    np.testing.assert_allclose(pool.obj_feat, pool.img_feat, atol=1e-3)
    for selector in (TypiClust(), TypiClust(level='image'), KCenterGreedy(), BinnedClusterSelector(),
                     BinnedClusterSelector(level='image')):
        chosen = selector(pool, 3)
        assert len(chosen) == 3 and not chosen.notes and all(choice.klass == -1 for choice in chosen.choices)
    (note,) = OFDS()(pool, 2).notes
    assert note == '2 images are chosen by k-centre on image features: no other image has a trusted object.'
    (note,) = KCenterGreedy(level='class_object')(pool, 2).notes
    assert note == '2 of 2 images are random: no other image has a usable object of a known class.'


def test_a_broken_image_is_named(segmentor: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / 'images'
    folder.mkdir()
    Image.fromarray(np.zeros((48, 48, 3), np.uint8)).save(folder / 'a.png')
    (folder / 'b.png').write_bytes(b'no image')
    arguments = (segmentor.config, segmentor.checkpoint, '--images', folder, '--out', tmp_path / 'pool')
    assert make(*arguments) == 1
    assert 'left out b.png' in capsys.readouterr().err
    assert list(open_pool(tmp_path / 'pool').image_ids) == ['a.png']
    assert make(*arguments) == 1 and 'is complete already' in capsys.readouterr().out


def test_a_complete_pool_of_something_else_is_not_handed_out(
    segmentor: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever changes an option and forgets --out would go on with the pool of before."""
    arguments = (segmentor.config, segmentor.checkpoint, '--out', tmp_path / 'pool')
    assert make(*arguments) == 0 and make(*arguments) == 0
    capsys.readouterr()
    for more, said in ((('--dtype', 'float32'), 'dtype: float16 there, float32 now'),
                       (('--source', 'gt'), 'source: pred there, gt now'),
                       (('--min-area', '20'), 'min_area: 16 there, 20 now'),
                       (('--layer', 'backbone'), 'layer: None there, backbone now')):  # fmt: skip
        code = run_verb('select', ['pool', *map(str, (*arguments, *more)), '--device', 'cpu'])
        said_there = capsys.readouterr().err
        assert code == 2 and said in said_there and said_there.count(' there, ') == 1 and 'another --out' in said_there


def test_messages_are_not_buried_under_initial_weights(segmentor: Case, tmp_path: Path) -> None:
    """The host logs two lines for each parameter that a training would start from."""
    kept = logging.handlers.BufferingHandler(1000)
    logger = MMLogger.get_current_instance()
    logger.addHandler(kept)
    try:
        assert make(segmentor.config, '--source', 'gt', '--out', tmp_path / 'pool') == 0
        logger.warning('still heard')
    finally:
        logger.removeHandler(kept)
    said = [record.getMessage() for record in kept.buffer]
    assert 'still heard' in said and not any('torch.Size' in message for message in said)


def test_half_precision_and_another_layer(detector: Case, tmp_path: Path) -> None:
    """bfloat16 forward, float32 means: close to the full-precision pool; another layer has other features."""
    arguments = (detector.config, '--source', 'gt', '--split', 'val')
    assert make(*arguments, '--out', tmp_path / 'full') == make(*arguments, '--amp', '--out', tmp_path / 'half') == 0
    full, half = open_pool(tmp_path / 'full'), open_pool(tmp_path / 'half')
    np.testing.assert_allclose(half.obj_feat, full.obj_feat, atol=0.03)
    assert (half.obj_feat != full.obj_feat).any()
    assert make(*arguments, '--layer', 'backbone.first', '--out', tmp_path / 'first') == 0
    assert not np.allclose(open_pool(tmp_path / 'first').obj_feat, full.obj_feat, atol=0.03)


KILLED = """
import os, signal, sys
from imbdense.cli.main import run_verb
from imbdense.mm.object_pool import build
real, seen = build.object_features, []
def object_features(*arguments):
    seen.append(1)
    if len(seen) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments)
build.object_features = object_features
sys.exit(run_verb('select', sys.argv[1:]))
"""


def test_killed_run_goes_on_with_the_next_image(segmentor: Case, tmp_path: Path) -> None:
    """kill -9 at the fourth of six images: three are kept, and the files are those of an undisturbed run."""
    arguments = ['pool', str(segmentor.config), str(segmentor.checkpoint), '--images', str(segmentor.images), *CPU]
    code = subprocess.run([sys.executable, '-c', KILLED, *arguments, '--out', str(tmp_path / 'pool')], check=False,
                          capture_output=True, timeout=200).returncode  # fmt: skip
    assert code == -signal.SIGKILL
    shard = tmp_path / 'pool.part' / 'shard_0000'
    assert not (tmp_path / 'pool').exists() and shard.is_dir()
    from imbdense.data.object_pool.shard import Shard

    assert np.flatnonzero(Shard(shard, 6).done).tolist() == [0, 1, 2]
    assert run_verb('select', [*arguments, '--out', str(tmp_path / 'pool')]) == 0
    assert run_verb('select', [*arguments, '--out', str(tmp_path / 'straight')]) == 0
    assert contents(tmp_path / 'pool') == contents(tmp_path / 'straight')


def on_rank(case: Case, out: Path) -> int:
    os.environ['LOCAL_RANK'] = str(torch.distributed.get_rank())
    with DefaultScope.overwrite_default_scope('mmseg'):
        return make(case.config, case.checkpoint, '--images', case.images, '--out', out)


def test_two_ranks_equal_one(segmentor: Case, tmp_path: Path) -> None:
    assert run_two_ranks(on_rank, segmentor, tmp_path / 'two') == [0, 0]
    assert on_single(segmentor, tmp_path / 'one') == 0
    assert contents(tmp_path / 'two') == contents(tmp_path / 'one')


def on_single(case: Case, out: Path) -> int:
    return make(case.config, case.checkpoint, '--images', case.images, '--out', out)


@pytest.mark.parametrize(('arguments', 'message'), [
    (['CONFIG', '--source', 'pred'], '--source pred needs a CHECKPOINT'),
    (['CONFIG', '--source', 'coco-json'], '--source coco-json needs --proposals'),
    (['--source', 'gt'], 'give a CONFIG'),
    (['CONFIG', '--source', 'gt', '--images', 'x'], 'takes the annotated images of --split'),
    (['CONFIG', '--source', 'gt', '--classes', 'z'], r"there is no class ['z']"),
    (['CONFIG', '--source', 'gt', '--layer', 'backbone.layer9'], "no layer 'backbone.layer9'"),
    (['CONFIG', '--source', 'gt', '--classes', 'a', 'a'], '--classes names one more than once'),
    (['CONFIG', '--source', 'gt', '--group', '^x(.*)'], "does not match the image '000.png'"),
    (['CONFIG', '--source', 'gt', '--split', 'nowhere'], 'invalid choice'),
])  # fmt: skip
def test_wrong_use_is_explained(
    segmentor: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    given = [str(segmentor.config) if word == 'CONFIG' else word for word in arguments]
    try:
        code = run_verb('select', ['pool', *given, '--out', str(tmp_path / 'pool'), '--device', 'cpu'])
    except SystemExit as error:
        code = int(error.code or 0)
    assert code == 2 and message in capsys.readouterr().err
