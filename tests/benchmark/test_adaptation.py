"""The drawn shapes of two domains, and the page of the benchmark of adaptation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from imbdense.benchmark import adaptation
from imbdense.benchmark.domain_shapes import CLASSES, SIZE, SOURCE, TARGET, draw_scene, write_shapes
from imbdense.benchmark.runs import Run
from imbdense.benchmark.suites import Method, Suite
from imbdense.core.overlaps import box_iou


def annotations(root: Path, domain: str, split: str) -> dict[str, Any]:
    """A COCO file."""
    return json.loads((root / domain / 'annotations' / f'{split}.json').read_text())


def test_both_domains_have_the_ratio_and_the_validation_is_balanced(tmp_path: Path) -> None:
    write_shapes(tmp_path, seed=3, copies=2, validation=7)
    for domain, split, expected in (('source', 'train', [200, 20, 2]), ('target', 'train', [200, 20, 2]),
                                    ('target', 'val', [7, 7, 7])):
        content = annotations(tmp_path, domain, split)
        labels = [item['category_id'] - 1 for item in content['annotations']]
        assert np.bincount(labels, minlength=3).tolist() == expected
        assert [item['name'] for item in content['categories']] == list(CLASSES)
        pictures = [np.asarray(Image.open(tmp_path / domain / 'images' / split / image['file_name']))
                    for image in content['images']]
        assert {picture.shape for picture in pictures} == {(SIZE, SIZE, 3)}
        for image in content['images']:
            own = np.array([item['bbox'] for item in content['annotations'] if item['image_id'] == image['id']])
            corners = np.concatenate([own[:, :2], own[:, :2] + own[:, 2:]], axis=1)
            assert corners.min() >= 0 and corners.max() <= SIZE
            assert (box_iou(corners, corners) - np.eye(len(corners))).max() < 0.2
    before = (tmp_path / 'source' / 'images' / 'train' / '0001.png').read_bytes()
    write_shapes(tmp_path / 'again', seed=3, copies=2, validation=7)
    write_shapes(tmp_path / 'other', seed=4, copies=2, validation=7)
    assert (tmp_path / 'again' / 'source' / 'images' / 'train' / '0001.png').read_bytes() == before
    assert (tmp_path / 'other' / 'source' / 'images' / 'train' / '0001.png').read_bytes() != before


def test_the_target_is_smaller_noisier_and_bluer() -> None:
    sides, noise, blue = {}, {}, {}
    for name, camera in (('source', SOURCE), ('target', TARGET)):
        drawn = [draw_scene(np.random.default_rng(seed), np.array([0, 1, 2]), camera) for seed in range(30)]
        sides[name] = np.mean([boxes[:, 2] - boxes[:, 0] for _, boxes in drawn])
        images = np.stack([image for image, _ in drawn]).astype(float)
        noise[name] = np.abs(np.diff(images, axis=2)).mean()
        blue[name] = images[..., 2].mean() / images[..., 0].mean()
    assert sides['target'] / sides['source'] == pytest.approx(0.8, abs=0.05)
    assert noise['target'] > 1.5 * noise['source'] and blue['target'] > 1.5 * blue['source']


def test_page(tmp_path: Path) -> None:
    """A gain of the rare class counts, unless the frequent one pays more than three points for it."""
    def run(seed: int, name: str, values: list[float], log: str = '') -> Run:
        folder = tmp_path / f'{name}{seed}'
        folder.mkdir()
        scores = {f'coco/bbox_AP50/{klass}': value for klass, value in zip(CLASSES, values)}
        (folder / 'result.json').write_text(json.dumps({'metrics': scores}))
        (folder / 'log.txt').write_text(log)
        return Run(Suite('s', '', (), '', ()), Method(name), seed, folder)

    cost = 'x\nPseudoLabelRoundHook: rounds 9.5 % of 100.0 s; predict 5.0 s.\n'
    page = adaptation.results_page([
        run(1, 'mean_teacher', [0.7, 0.8, 0.2]), run(1, 'redb', [0.68, 0.9, 0.4], cost),
        run(2, 'mean_teacher', [0.7, 0.8, 0.2]), run(2, 'redb', [0.66, 0.9, 0.4]),
    ])  # fmt: skip
    assert '| 1 | redb | 0.680 | 0.900 | 0.400 |' in page
    assert 'seed 1: ReDB - mean teacher: cross +0.200, disc -0.020: as wanted' in page
    assert 'seed 2: ReDB - mean teacher: cross +0.200, disc -0.040: NOT as wanted' in page
    assert 'rounds 9.5 % of 100.0 s; predict 5.0 s.' in page


def test_lines_fit_the_configs(tmp_path: Path) -> None:
    """Every replaced line exists, and the two adaptations share data, schedule and start."""
    pytest.importorskip('mmengine')
    import argparse

    from mmengine.config import Config

    from imbdense.benchmark.runs import write_config
    from imbdense.utils.paths import configs_dir

    args = argparse.Namespace(work_dir=tmp_path)
    source = adaptation._run(tmp_path, 1, adaptation.SOURCE)
    source.folder.mkdir()
    (source.folder / 'last_checkpoint').write_text(str(source.folder / 'iter_336.pth'))
    runs = [adaptation._run(tmp_path, 1, method) for method in adaptation._methods(args, source)]
    first, second = (Config.fromfile(str(write_config(run, configs_dir()))) for run in runs)
    write_config(source, configs_dir())
    for key in ('load_from', 'optim_wrapper', 'param_scheduler', 'train_cfg', 'val_dataloader', 'randomness'):
        assert first[key] == second[key], key
    pastes = [step.bank for step in second.train_dataloader.dataset.unlabeled.pipeline if 'bank' in step]
    assert pastes == [second.custom_hooks[1].bank, second.custom_hooks[1].source_bank]
