"""Self-training on real images: a tenth of the Dubai tiles labelled, vegetation made rare, the others unlabelled.

  python -m tests.integration.dubai_rounds data/dubai_aerial work_dirs/dubai_rounds --seeds 0 1 2

Per seed: the base, one round (class-adaptive, logit adjustment 1), and label maps of the base without any threshold,
with and without the adjustment. Writes summary.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from PIL import Image

from imbdense.cli import self_train
from imbdense.cli.main import run_verb

CONFIG = 'segmentation/fpn_mobilenetv2_dubai_ce.py'
RARE, NAME, BLOCK, KEPT = 3, 'vegetation', 32, 0.1
ITERATIONS, SIZE, CROP = 150, 256, 128
"""Tiles are shrunk to SIZE pixels, so that a seed takes minutes of one core."""


def write_split(data: Path, out: Path, seed: int) -> dict[str, Any]:
    """``out/labeled/{images,labels}``: a tenth of the training tiles, in whose labels a tenth of the 32-pixel blocks of
    vegetation is left (the rest is ignored). ``out/unlabeled.txt``: the other tiles."""
    tiles = sorted((data / 'images' / 'train').iterdir())
    rng = np.random.default_rng(seed)
    count = round(len(tiles) / 10)
    while True:
        chosen = set(rng.permutation(len(tiles))[:count].tolist())
        labels = {place: read(data, tiles[place]) for place in chosen}
        if sum((label == RARE).sum() for label in labels.values()) > 10_000:
            break
    kept = 0
    for place, label in labels.items():
        height, width = label.shape
        blocks = rng.random((-(-height // BLOCK), -(-width // BLOCK))) < KEPT
        keep = np.kron(blocks, np.ones((BLOCK, BLOCK), bool))[:height, :width]
        thinned = np.where((label == RARE) & ~keep, 255, label).astype(np.uint8)
        kept += int((thinned == RARE).sum())
        for kind, source in (('images', tiles[place]), ('labels', None)):
            target = out / 'labeled' / kind / f'{tiles[place].stem}{source.suffix if source else ".png"}'
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes()) if source else Image.fromarray(thinned).save(target)
    others = [tile for place, tile in enumerate(tiles) if place not in chosen]
    (out / 'unlabeled.txt').write_text(''.join(f'{tile.resolve()}\n' for tile in others))
    truth = sum(int((read(data, tile) == RARE).sum()) for tile in others)
    return {'labelled': sorted(tiles[place].stem for place in chosen), 'labelled_rare_pixels': kept,
            'true_rare_pixels_of_unlabelled': truth}


def read(data: Path, tile: Path) -> np.ndarray:
    """The label of a tile."""
    return np.asarray(Image.open(data / 'labels' / 'train' / f'{tile.stem}.png'))


def options(data: Path, split: Path) -> list[str]:
    """The base config on the split: short, with small crops."""
    return [
        '--cfg-options', 'train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False',
        'val_dataloader.num_workers=0', 'val_dataloader.persistent_workers=False',
        f'train_dataloader.dataset.pipeline.2.scale=({SIZE},{SIZE})',
        f'val_dataloader.dataset.pipeline.1.scale=({SIZE},{SIZE})',
        f'test_dataloader.dataset.pipeline.1.scale=({SIZE},{SIZE})',
        f'train_dataloader.dataset.data_root={split / "labeled"}',
        'train_dataloader.dataset.data_prefix.img_path=images',
        'train_dataloader.dataset.data_prefix.seg_map_path=labels',
        f'val_dataloader.dataset.data_root={data}', f'test_dataloader.dataset.data_root={data}',
        'train_dataloader.batch_size=4', f'train_cfg.max_iters={ITERATIONS}', f'train_cfg.val_interval={ITERATIONS}',
        f'param_scheduler.1.end={ITERATIONS}', f'param_scheduler.1.T_max={ITERATIONS - 50}',
        f'train_dataloader.dataset.pipeline.3.crop_size=({CROP},{CROP})',
        f'model.data_preprocessor.size=({CROP},{CROP})', 'env_cfg.cudnn_benchmark=False',
    ]  # fmt: skip


def run_seed(data: Path, out: Path, seed: int) -> dict[str, Any]:
    """One seed: figures of base, round and label maps."""
    facts = write_split(data, out / 'split', seed)
    split, rounds = out / 'split', out / 'rounds'
    changes = options(data, split)
    images = str(split / 'unlabeled.txt')
    with mock.patch.object(self_train, 'runner', in_this_process):
        done = run_verb('self-train', [
            CONFIG, '--unlabeled', images, '--work-dir', str(rounds), '--rounds', '1', '--seed', str(seed),
            '--rule', 'class-adaptive', '--logit-adjust-tau', '1', *changes])  # fmt: skip
    if done != 0:
        raise RuntimeError(f'self-train ended with {done}')
    base, after = json.loads((rounds / 'rounds.json').read_text())
    facts |= {f'{what}_{name}': record['scores'][score] for what, record in (('base', base), ('round', after))
              for name, score in (('rare_IoU', f'IoU/{NAME}'), ('mIoU', 'mIoU'))}
    facts |= {'adaptive_rare_predicted': after['predicted'][RARE], 'adaptive_rare_kept': after['kept'][RARE],
              'thresholds': after['thresholds'], 'relevance': after['guards']['relevance']}
    for tau in ('0', '1'):
        maps = out / f'none_tau{tau}'
        run_verb('pseudo-label', [
            str(rounds / 'round_0' / 'config.py'), base['checkpoint'], '--images', images, '--out', str(maps),
            '--rule', 'fixed', '--threshold', '0', '--logit-adjust-tau', tau])  # fmt: skip
        report = json.loads((maps / 'pseudo_report.json').read_text())
        facts[f'none_tau{tau}_rare_pixels'] = report['table']['filters'][-1]['left'][RARE]
    return facts


def in_this_process(processes: int, lock: int) -> Callable[[Sequence[str]], int]:
    """Saves the start of a process per step; for ``self_train.runner``."""
    return lambda arguments: run_verb(arguments[0], arguments[1:])


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """All seeds; finished ones are kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data', type=Path, help='the prepared data set (imbdense prepare dubai_aerial)')
    parser.add_argument('out', type=Path)
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    args = parser.parse_args(argv)
    summary = args.out / 'summary.json'
    found = json.loads(summary.read_text()) if summary.is_file() else {}
    for seed in args.seeds:
        if str(seed) not in found:
            found[str(seed)] = run_seed(args.data, args.out / f'seed_{seed}', seed)
            summary.write_text(json.dumps(found, indent=1))
    print(json.dumps(found, indent=1))
    return found


if __name__ == '__main__':
    main()
