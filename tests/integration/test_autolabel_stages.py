"""Pre-training on autolabels of the whole pool and fine-tuning beats training on the few human labels alone.

The shipped configs of both stages on the generated scenes, shortened: 200 images, of which 5 % are labelled. The
autolabels are label maps as a model that errs would write them: of the connected regions of all classes a quarter is
rejected (255), a tenth has a wrong class. Half an hour on a free CPU core.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from PIL import Image

pytest.importorskip('mmseg')
pytest.importorskip('open3d')

from imbdense.cli.main import main
from imbdense.data.regions import connected_regions
from imbdense.utils.paths import configs_dir

SEEDS = range(3)
SHARE = 0.05
MISSED, WRONG, LEAST = 0.25, 0.1, 16
CLASSES = 10


@pytest.fixture(autouse=True)
def scope() -> Iterator[None]:
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


def autolabel(label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What a model that errs makes of an image."""
    found = np.full_like(label, 255)
    for klass, rows, columns, inside in connected_regions(label.astype(np.int64), CLASSES, LEAST):
        missed, wrong = rng.random(2) < (MISSED, WRONG)
        if not missed:
            found[rows, columns][inside] = (klass + rng.integers(1, CLASSES)) % CLASSES if wrong else klass
    return found


def make_root(root: Path, scenes: Path, seed: int) -> list[str]:
    """The data set with the files of this seed: ``selected.txt`` and ``autolabels/``; the selected names."""
    root.mkdir()
    for name in ('dataset.json', 'images', 'labels'):
        (root / name).symlink_to(scenes / name)
    rng = np.random.default_rng(seed)
    names = sorted(path.stem for path in (root / 'images' / 'train').iterdir())
    chosen = sorted(rng.choice(names, round(SHARE * len(names)), replace=False).tolist())
    (root / 'selected.txt').write_text('\n'.join(chosen) + '\n')
    (root / 'autolabels' / 'labels').mkdir(parents=True)
    for name in names:
        label = autolabel(np.asarray(Image.open(root / 'labels' / 'train' / f'{name}.png')), rng)
        Image.fromarray(label).save(root / 'autolabels' / 'labels' / f'{name}.png')
    (root / 'autolabels' / 'images.txt').write_text('\n'.join(names) + '\n')
    return chosen


def train(name: str, work: Path, root: Path, seed: int, steps: int, **changes: Any) -> tuple[float, str]:
    """(mIoU, last checkpoint) of a shipped config, shortened and without what only watches a run."""
    config = Config.fromfile(str(configs_dir() / 'selection' / f'{name}.py'))
    parts = ['human', 'autolabels'] if name.startswith('stage1') else []
    data = [f'train_dataloader.dataset.{part}' for part in parts] or ['train_dataloader.dataset']
    config.merge_from_dict({
        **{f'{place}.data_root': str(root) for place in [*data, 'val_dataloader.dataset']},
        'train_dataloader.batch_size': 4, 'val_dataloader.dataset.indices': list(range(0, 75, 5)),
        **{f'{loader}.{key}': value for loader in ('train_dataloader', 'val_dataloader')
           for key, value in (('num_workers', 0), ('persistent_workers', False))},
        'train_cfg.max_iters': steps, 'train_cfg.val_interval': steps, 'param_scheduler.1.end': steps,
        'param_scheduler.1.T_max': steps - config.param_scheduler[1].begin, 'default_hooks.checkpoint.interval': steps,
        'work_dir': str(work), 'randomness': dict(seed=seed), **changes,
    })  # fmt: skip
    for hook in ('class_counts', 'report', 'progress', 'exact_resume'):
        config.default_hooks.pop(hook)
    runner = Runner.from_cfg(config)
    runner.train()
    return float(runner.message_hub.get_scalar('val/mIoU').current()), str(work / f'iter_{steps}.pth')


def scores_of_seed(scenes: Path, work: Path, seed: int) -> dict[str, float]:
    """mIoU of the human labels alone, of the first stage, and of both."""
    root = work / 'data'
    work.mkdir()
    make_root(root, scenes, seed)
    found = {'alone': train('stage2_finetune', work / 'alone', root, seed, 150,
                            **{'optim_wrapper.optimizer.lr': 5e-3})[0]}
    found['stage 1'], start = train('stage1_autolabel', work / 'stage1', root, seed, 300)
    found['both stages'] = train('stage2_finetune', work / 'stage2', root, seed, 150, load_from=start)[0]
    print(f'seed {seed}: {found}', flush=True)
    return found


@pytest.mark.slow
def test_two_stages_beat_the_second_alone(tmp_path: Path) -> None:
    """In every seed."""
    assert main(['generate', 'scenes', '--preset', 'demo', '--out', str(tmp_path / 'scenes')]) == 0
    found = [scores_of_seed(tmp_path / 'scenes', tmp_path / f'seed_{seed}', seed) for seed in SEEDS]
    assert all(scores['both stages'] > scores['alone'] for scores in found), found
