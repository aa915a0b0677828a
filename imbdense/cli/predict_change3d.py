"""Label the change between two point clouds with a trained network or by rules; the second cloud's fields are kept.

  imbdense predict change3d CONFIG CHECKPOINT 2019.laz 2023.laz --out change.laz
  imbdense predict change3d point_cloud/m3c2_cloud_pairs 2019.laz 2023.laz --out change.laz

The clouds are covered by overlapping cylinders (those of the config's test pipeline), whose votes are summed. The
output has all points and fields of the second cloud (LAS and LAZ to the bit) and the dimension `change`: the class of
each point, 0 = unchanged. Distances without a network: `imbdense compare clouds`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.cli._device import add_device_argument
from imbdense.cli._explain import explained
from imbdense.cli._outputs import check_cloud_out
from imbdense.cli._runner import add_checkpoint_argument, add_config_arguments, check_weights, load_config
from imbdense.cli.main import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb's part."""
    add_config_arguments(parser)
    add_checkpoint_argument(parser)
    parser.add_argument('first', type=Path, help='cloud of the first epoch')
    parser.add_argument('second', type=Path, help='cloud of the second epoch')
    parser.add_argument('--out', type=Path, required=True, help='file to write: .las .laz .ply .txt .csv .npz')
    add_device_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Predict, write, tell; exit code 0."""
    from imbdense.data.points import PointReadError, PointWriteError, read_points, write_points
    from imbdense.utils.files import FileWriteError

    check_cloud_out(args.out, (args.first, args.second))
    config = load_config(args)
    with explained(args.config, args.traceback):
        try:
            labels, classes = predict(config, args.checkpoint, args.first, args.second, args.device)
            second = read_points(args.second)
            las = {path.suffix.lower() for path in (args.out, args.second)} <= {'.las', '.laz'}
            found = second.replace(attributes={**second.attributes, 'change': labels.astype(np.uint8)})
            write_points(args.out, found, like=args.second if las else None, exchange=('change',))
        except (PointReadError, PointWriteError, FileWriteError, FileNotFoundError, ValueError) as error:
            if args.traceback:
                raise
            raise UserError(str(error)) from error
    counts, width = np.bincount(labels, minlength=len(classes)), max(map(len, classes))
    for number, name in enumerate(classes):
        print(f'{number} {name:<{width}}  {counts[number]:10d}  {100 * counts[number] / len(labels):7.3f} %')
    print(f'written to {args.out}: change')
    return 0


def predict(
    config: Any, checkpoint: str | None, first: Path, second: Path, device: str | None
) -> tuple[NDArray[np.int64], list[str]]:
    """The class (N,) of every point of ``second``, and the names of the classes.

    Raises:
        ValueError: a config that is not of pairs of clouds. UserError: no checkpoint for a model with weights.
        PointReadError: of the clouds.
    """
    import torch
    from mmengine.dataset import pseudo_collate
    from mmengine.registry import MODELS

    from imbdense.data.points.pairs import URB3DCD_V2, PairFiles, PairSource, pair_layout
    from imbdense.mm.checkpoints import install_safe_loading
    from imbdense.mm.predictor import Predictor
    from imbdense.mm.transforms.load_point_pair import LoadPointPair

    install_safe_loading()
    dataset = (config.get('test_dataloader') or {}).get('dataset', {})
    kind = config.model.get('type')
    if 'point change' not in getattr(MODELS.get(kind), 'tasks', ()):
        raise ValueError(f'{kind} predicts no change between point clouds; the model must be an '
                         f'imbdense.SiamesePointChange or an imbdense.M3C2ChangeClassifier.')
    finished = Predictor(config, checkpoint, device)
    check_weights(finished.model, checkpoint)
    # Labels that the files may have are of no interest: no code of theirs is an error.
    source = PairSource(pair_layout('files', PairFiles()), URB3DCD_V2, unknown='ignore', need_labels=False)
    record = {'points_path': str(second), 'points_path_t1': str(first), 'point_source': source, 'scene': second.stem}
    item = finished.pipeline(LoadPointPair(dataset.get('voxel', 1.0), full=True).transform(record))
    with torch.no_grad():
        (sample,) = finished.model.test_step(pseudo_collate([item]))
    labels: NDArray[np.int64] = sample.pred_pts_seg.semantic.cpu().numpy()
    count = finished.model.num_classes
    names = list(map(str, getattr(finished.model, 'classes', finished.classes)))[:count]
    return labels, names if len(names) == count else [str(number) for number in range(count)]
