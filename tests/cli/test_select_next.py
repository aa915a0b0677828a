"""``imbdense select next``: from files to the table."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

from imbdense.cli import select_next
from imbdense.cli.main import UserError
from imbdense.data.object_pool import PoolImage, PoolWriter
from tests.helpers.synthetic_pool import CLASSES, SyntheticPool, synthetic_pool

LABELLED = 15


@pytest.fixture(scope='module')
def drawn() -> SyntheticPool:
    """A small pool with errors."""
    return synthetic_pool(0, missed=0.2, wrong=0.1, images=120)


def write_pool(folder: Path, drawn: SyntheticPool, images: int, classes: np.ndarray) -> Path:
    """The first images of a pool with these classes."""
    pool = drawn.pool
    with PoolWriter(folder, pool.image_ids[:images], pool.classes, source='coco-json', dtype='float32') as writer:
        for image in range(images):
            own = slice(*pool.starts[image : image + 2])
            writer.add(image, PoolImage(classes[own], pool.obj_score[own], pool.obj_box[own], pool.obj_area[own],
                                        pool.obj_feat[own]))
    writer.finish()
    return folder


@pytest.fixture(scope='module')
def pool_folder(drawn: SyntheticPool, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The proposals on disk."""
    return write_pool(tmp_path_factory.mktemp('pool') / 'proposals', drawn, 120, drawn.pool.obj_class)


def true_classes(drawn: SyntheticPool) -> np.ndarray:
    """The class behind each proposal."""
    classes = np.full(drawn.pool.num_objects, -1, np.int32)
    classes[drawn.row[drawn.row >= 0]] = drawn.klass[drawn.row >= 0]
    return classes


def write_labels(path: Path, drawn: SyntheticPool) -> Path:
    """The proposed objects of the first images with their true classes, as COCO json."""
    pool = drawn.pool
    images = [{'id': i, 'file_name': pool.image_ids[i], 'width': 1000, 'height': 1000}
              for i in range(LABELLED)]
    annotations = [
        {'id': int(row) + 1, 'image_id': int(pool.obj_image[row]), 'category_id': int(klass) + 1,
         'bbox': [*map(float, pool.obj_box[row][:2]), 20.0, 20.0], 'area': 400, 'iscrowd': 0}
        for row, klass in enumerate(true_classes(drawn)) if pool.obj_image[row] < LABELLED
    ]
    categories = [{'id': c + 1, 'name': name} for c, name in enumerate(pool.classes)]
    path.write_text(json.dumps({'images': images, 'annotations': annotations, 'categories': categories}))
    return path


def call(*arguments: object) -> int:
    """Run the verb's part."""
    parser = argparse.ArgumentParser()
    select_next.add_arguments(parser)
    return select_next.run(parser.parse_args([str(value) for value in arguments]))


def test_table_and_file(
    drawn: SyntheticPool, pool_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = write_labels(tmp_path / 'labels.json', drawn)
    out = tmp_path / 'next.json'
    assert call(pool_folder, '--labelled', labels, '--minutes', 10, '--out', out, '--no-verify') == 0
    printed = capsys.readouterr().out
    assert 'per minute' in printed and 'all classes together: 10 images in 10 minutes' in printed
    record = json.loads(out.read_text())
    assert len(record['classes']) == CLASSES and len(record['images']) == 10
    assert not set(record['images']) & set(drawn.pool.image_ids[:LABELLED])
    inside = drawn.pool.obj_image < LABELLED
    right = (true_classes(drawn) == drawn.pool.obj_class)[inside & (drawn.pool.obj_class == 0)]
    assert record['classes'][0]['precision'][0] == pytest.approx((1 + right.sum()) / (2 + len(right)))


def test_a_pool_of_ground_truth_and_a_json_say_the_same(
    drawn: SyntheticPool, pool_folder: Path, tmp_path: Path
) -> None:
    truth = write_pool(tmp_path / 'truth', drawn, LABELLED, true_classes(drawn))
    labels = write_labels(tmp_path / 'labels.json', drawn)
    for name, path in (('a', truth), ('b', labels)):
        call(pool_folder, '--labelled', path, '--minutes', 5, '--out', tmp_path / name)
    assert (tmp_path / 'a').read_text() == (tmp_path / 'b').read_text()


def test_faults_are_named(drawn: SyntheticPool, pool_folder: Path, tmp_path: Path) -> None:
    labels = write_labels(tmp_path / 'labels.json', drawn)
    foreign = tmp_path / 'foreign.json'
    foreign.write_text(labels.read_text().replace('0003.png', 'other.png'))
    with pytest.raises(UserError, match=r'not in the pool.*other\.png'):
        call(pool_folder, '--labelled', foreign)
    with pytest.raises(UserError, match='does not exist'):
        call(pool_folder, '--labelled', tmp_path / 'nothing.json')
    with pytest.raises(UserError, match='minutes'):
        call(pool_folder, '--labelled', labels, '--minutes', 0)
    for option, value in (('--score-thr', 7), ('--minutes', 0.5)):
        with pytest.raises(UserError, match=option):
            call(pool_folder, '--labelled', labels, option, value)
    unnamed = PoolWriter(tmp_path / 'images', ['a.png'], (), source='image')
    unnamed.add(0, PoolImage(np.array([-1]), np.ones(1), np.array([[0, 0, 9, 9]]), np.ones(1), np.ones((1, 4))))
    with pytest.raises(UserError, match='names no classes'):
        call(unnamed.finish(), '--labelled', labels)


def test_labels_in_another_order_of_classes(drawn: SyntheticPool, pool_folder: Path, tmp_path: Path) -> None:
    """Classes of labels and proposals are matched by name; a class that nobody looked for is an error."""
    pool, classes = drawn.pool, true_classes(drawn)
    other = ['elsewhere', *reversed(pool.classes)]
    truth = write_pool(tmp_path / 'truth', drawn, LABELLED, classes)
    for name, names, turned in (('turned', other, np.where(classes < 0, -1, len(other) - 1 - classes)),
                                ('fewer', other[:3], np.minimum(classes, 2))):  # fmt: skip
        with PoolWriter(tmp_path / name, pool.image_ids[:LABELLED], names, source='gt', dtype='float32') as writer:
            for image in range(LABELLED):
                own = slice(*pool.starts[image : image + 2])
                writer.add(image, PoolImage(turned[own], pool.obj_score[own], pool.obj_box[own], pool.obj_area[own],
                                            pool.obj_feat[own]))
        writer.finish()
    for name, path in (('a', truth), ('b', tmp_path / 'turned')):
        call(pool_folder, '--labelled', path, '--minutes', 5, '--out', tmp_path / name)
    assert (tmp_path / 'a').read_text() == (tmp_path / 'b').read_text()
    with pytest.raises(UserError, match=rf'fewer has no class .*{pool.classes[0]}.*looked for'):
        call(pool_folder, '--labelled', tmp_path / 'fewer')
