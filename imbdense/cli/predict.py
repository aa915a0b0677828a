"""Run a trained model on images or folders; write labels or boxes and overlays.

  imbdense predict CONFIG CHECKPOINT photo.jpg folder/ --out predictions

Segmentation writes NAME.png (class indices with the class colours as palette), detection NAME.json; both write
NAME_overlay.jpg with a legend. Files that cannot be read are named and skipped (exit code 1). Maps of georeferenced
rasters of any size, of one or two dates: `imbdense predict raster`; labels of point clouds: `imbdense predict points`;
change between two clouds: `imbdense predict change3d`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imbdense.cli._device import add_device_argument
from imbdense.cli._explain import explained
from imbdense.cli._numbers import share
from imbdense.cli._point_configs import refuse_points
from imbdense.cli._runner import add_config_arguments, load_config, make_folder
from imbdense.cli.main import UserError

if TYPE_CHECKING:
    from imbdense.mm.predictor import Prediction, Predictor

PARTS = {
    'raster': 'imbdense.cli.predict_raster', 'points': 'imbdense.cli.predict_points',
    'change3d': 'imbdense.cli.predict_change3d',
}
SUFFIXES = ('.jpg', '.jpeg', '.png', '.tif', '.tiff', '.bmp', '.webp')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to run, on what, where to write."""
    add_config_arguments(parser)
    parser.add_argument('checkpoint', help='the .pth file')
    parser.add_argument('paths', nargs='+', type=Path, help='image files and folders (searched recursively)')
    parser.add_argument('--out', type=Path, default=Path('predictions'), help='folder for the results (predictions)')
    parser.add_argument('--score-thr', type=share, default=0.3, help='detection: least score of a drawn box (0.3)')
    add_device_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Predict every image; 0 when all worked, 1 when some were skipped."""
    config = load_config(args)
    refuse_points(config, 'predict')
    images = list(find_images(args.paths, args.out))
    if not images:
        raise UserError(f'no image ({", ".join(SUFFIXES)}) in {", ".join(map(str, args.paths))}.')
    make_folder(args.out, 'the folder of the results', '--out')
    with explained(args.config, args.traceback):
        from imbdense.mm.checkpoints import install_safe_loading
        from imbdense.mm.predictor import Predictor

        install_safe_loading()
        predictor = Predictor(config, args.checkpoint, args.device)
    failures = []
    for path, name in _with_progress(images):
        try:
            prediction = predictor(path)
            write_prediction(predictor, prediction, path, args.out / name, args.score_thr)
        except Exception as error:  # one bad file must not end a long job; the file is named
            if args.traceback:
                raise
            failures.append(f'{path}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ""}')
    print(f'{len(images) - len(failures)} of {len(images)} images predicted; results in {args.out}')
    for failure in failures:
        print(f'skipped {failure}', file=sys.stderr)
    return 1 if failures else 0


def find_images(paths: Sequence[Path], out: Path) -> Iterator[tuple[Path, Path]]:
    """Yield (file, name of the result below ``out`` without suffix) for files and, recursively, folders.

    A folder keeps its structure, so equal names in two subfolders do not meet; results of an earlier run are left out.

    Raises:
        UserError: a path does not exist.
    """
    taken: set[Path] = set()
    for path in paths:
        if not path.exists():
            raise UserError(f'there is no file or folder {path}.')
        files = [path] if path.is_file() else sorted(p for p in path.rglob('*') if p.suffix.lower() in SUFFIXES)
        for file in files:
            if path.is_dir() and out.resolve() in file.resolve().parents:
                continue
            name = Path(file.name) if path.is_file() else file.relative_to(path)
            unique = name.with_suffix('')
            if unique in taken:  # a.jpg beside a.png, or two folders with equal names
                unique = name.with_name(f'{name.stem}_{name.suffix[1:]}' if name.suffix else name.name)
            number = 2
            while unique in taken:
                unique, number = name.with_name(f'{name.stem}_{number}'), number + 1
            taken.add(unique)
            yield file, unique


def write_prediction(predictor: Predictor, prediction: Prediction, path: Path, target: Path, score_thr: float) -> None:
    """Write the result and the overlay of one image beside each other."""
    import numpy as np
    from PIL import Image, ImageOps

    from imbdense.utils.files import atomic_open, atomic_write_json
    from imbdense.utils.overlay import draw_boxes, draw_labels

    with Image.open(path) as handle:
        image = np.asarray(ImageOps.exif_transpose(handle).convert('RGB'))
    if prediction.label is not None:
        label = Image.fromarray(prediction.label)
        if prediction.label.dtype == np.uint8:
            label.putpalette([channel for colour in predictor.palette for channel in colour])
        with atomic_open(target.with_name(f'{target.name}.png')) as stream:
            label.save(stream, 'PNG')
        overlay = draw_labels(image, prediction.label, predictor.classes, predictor.palette)
    else:
        atomic_write_json(target.with_name(f'{target.name}.json'), boxes_record(predictor, prediction, path, image))
        keep = prediction.scores >= score_thr
        overlay = draw_boxes(image, prediction.boxes[keep], prediction.labels[keep], prediction.scores[keep],
                             predictor.classes, predictor.palette)
    with atomic_open(target.with_name(f'{target.name}_overlay.jpg')) as stream:
        overlay.save(stream, 'JPEG', quality=90)


def boxes_record(predictor: Predictor, prediction: Prediction, path: Path, image: Any) -> dict[str, Any]:
    """All boxes of one image as JSON: ``{image, width, height, boxes: [{class, label, score, bbox_xyxy}]}``."""
    return {
        'image': str(path),
        'width': int(image.shape[1]),
        'height': int(image.shape[0]),
        'boxes': [
            {'class': predictor.classes[label], 'label': int(label), 'score': round(float(score), 5),
             'bbox_xyxy': [round(float(value), 2) for value in box]}
            for box, label, score in zip(prediction.boxes, prediction.labels, prediction.scores)
        ],
    }


def _with_progress(images: list[tuple[Path, Path]]) -> Iterator[tuple[Path, Path]]:
    """The images behind a progress bar where there is a terminal."""
    if not sys.stdout.isatty():
        yield from images
        return
    from rich.progress import track

    yield from track(images, description='predict')
