"""Make labels of the proposals of another model, to train on before anybody has labelled an image.

  imbdense select autolabel proposals.json --out autolabels
  imbdense select autolabel proposals.json --out autolabels --task segmentation --background ground

PROPOSALS is a COCO json with a score (and for segmentation a mask) in every annotation. Kept are those with at least
--score-thr, and of several on one object (same class, IoU above 0.7) the best.

Detection: DIR/autolabels.json, the same file without the others. Segmentation: DIR/labels/NAME.png, masks painted by
ascending score, 255 where two classes overlap with scores that differ by less than 0.1, and DIR/images.txt, the split
file. A stopped run goes on with the same command; another one is not overwritten.

Labels of a model of your own: `imbdense pseudo-label`, whose files have the same form. Train on either with
imbdense.AutolabelDataset, then go on with the images that people have labelled: `imbdense select stages`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from imbdense.cli.main import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from imbdense.data.pseudo import FilterTable
    from imbdense.data.readers.detection import DetectionAnnotations

SAME_OBJECT_IOU = 0.7


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Proposals, thresholds, form of the labels."""
    parser.add_argument('proposals', type=Path, help='COCO json with scores')
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='folder of the labels')
    parser.add_argument('--task', choices=('detection', 'segmentation'), default='detection', help='what to write')
    parser.add_argument('--score-thr', type=float, default=0.3, help='least score (0.3)')
    parser.add_argument('--classes', nargs='+', metavar='NAME', help='segmentation: names in the order of the label '
                        'values (default: the categories of the file)')
    parser.add_argument('--background', metavar='NAME', help='segmentation: class of the pixels without a mask '
                        '(default: none, they become 255)')


def run(args: argparse.Namespace) -> int:
    """Filter, write, show."""
    from imbdense.data.instance_bank.objects import BankError
    from imbdense.data.pseudo import SidecarError, claim_folder
    from imbdense.data.readers.errors import LabelReadError
    from imbdense.data.readers.proposals import read_proposals
    from imbdense.utils.files import FileWriteError

    if not 0 <= args.score_thr <= 1:
        raise UserError(f'--score-thr must lie in [0, 1], but is {args.score_thr}.')
    if args.task == 'detection' and (args.classes or args.background):
        raise UserError('--classes and --background belong to --task segmentation: boxes keep the categories of the '
                        'file.')
    try:
        found = read_proposals(args.proposals)
        classes = label_classes(args, found)
        kept, table = trusted(found, args.score_thr)
        check(found, kept, args)
        claim_folder(args.out, {
            'proposals': hashlib.sha256(args.proposals.read_bytes()).hexdigest(), 'task': args.task,
            'score_thr': args.score_thr, 'classes': classes, 'background': args.background,
        })  # fmt: skip
        if args.task == 'detection':
            write_json(args.proposals, found, kept, args.out / 'autolabels.json')
        else:
            write_maps(found, kept, classes, args.background, args.out)
    except (LabelReadError, SidecarError, BankError, FileWriteError) as error:
        raise UserError(str(error)) from error
    show(table)
    print(f'\nlabels of {len(found)} images in {args.out}')
    return 0


def label_classes(args: argparse.Namespace, found: DetectionAnnotations) -> list[str]:
    """The names of the label values.

    Raises:
        UserError: names that do not fit together.
    """
    classes = list(args.classes or found.classes)
    missing = [name for name in found.classes if name not in classes]
    if missing:
        raise UserError(f'--classes lacks the categories {missing} of {args.proposals}.')
    if args.background is not None and args.background not in classes:
        raise UserError(f'--background {args.background} is not among the classes {classes}; name it in --classes.')
    return classes


def trusted(found: DetectionAnnotations, score_thr: float) -> tuple[NDArray[np.int64], FilterTable]:
    """Indices of the proposals that become labels, and how many of each class every step leaves."""
    import numpy as np

    from imbdense.core.overlaps import best_of_overlapping
    from imbdense.data.pseudo import FilterTable

    def count(indices: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.bincount(found.labels[indices], minlength=len(found.classes))

    owner = np.repeat(np.arange(len(found)), np.diff(found.indptr))
    rows = np.flatnonzero(~found.crowd)
    table = FilterTable(found.classes, 'proposals', count(rows))
    rows = rows[found.score[rows] >= score_thr]
    table.add('score', count(rows))
    groups = owner[rows] * len(found.classes) + found.labels[rows]
    rows = rows[best_of_overlapping(found.boxes[rows], found.score[rows], groups, SAME_OBJECT_IOU)]
    table.add('duplicates', count(rows))
    return rows, table


def check(found: DetectionAnnotations, kept: NDArray[np.int64], args: argparse.Namespace) -> None:
    """See that labels can be written, before the folder belongs to these proposals.

    Raises:
        UserError: nothing to learn; for label maps a proposal without a mask, or an image without a size or a name of
            its own.
    """
    if not len(kept):
        raise UserError(f'no proposal of {found.source} has a score of {args.score_thr} or more: there is nothing to '
                        f'learn. Lower --score-thr.')
    if args.task == 'detection':
        return
    bare = [index for index in kept.tolist() if found.masks[index] is None]
    if bare:
        raise UserError(f'{len(bare)} of {len(kept)} proposals have no segmentation, which --task segmentation needs.')
    for image in found.images:
        if not (image.height and image.width):
            raise UserError(f'{found.source}: the image {image.file_name} has no width and height.')
    label_names(found)


def write_json(source: Path, found: DetectionAnnotations, kept: NDArray[np.int64], target: Path) -> None:
    """The file with these annotations alone."""
    from imbdense.utils.files import atomic_write_json

    record = json.loads(source.read_text(encoding='utf-8'))
    key = 'annotations' if 'annotations' in record else 'annotation'
    record[key] = [record[key][place] for place in sorted(found.entry[kept].tolist())]
    try:
        atomic_write_json(target, record, indent=None)
    except ValueError as error:
        raise UserError(f'{source} holds NaN or Infinity, which JSON does not know. Write numbers, or leave the key '
                        f'out.') from error


def write_maps(
    found: DetectionAnnotations, kept: NDArray[np.int64], classes: list[str], background: str | None, out: Path
) -> None:
    """A label map per image, and the split file at the end."""
    import io

    import numpy as np
    from PIL import Image

    from imbdense.core.pseudo_label import paste_masks
    from imbdense.data.instance_bank.segmentation_masks import decode_segmentation
    from imbdense.utils.files import atomic_write_bytes, atomic_write_text

    value = [classes.index(name) for name in found.classes]
    names = label_names(found)
    wanted = np.isin(np.arange(len(found.labels)), kept)
    for number, (image, name) in enumerate(zip(found.images, names)):
        target = out / 'labels' / f'{name}.png'
        if target.exists():
            continue
        masks = [
            (decode_segmentation(found.masks[i], image.height, image.width, image.file_name), value[found.labels[i]],
             float(found.score[i]))
            for i in found.objects_of(number) if wanted[i]
        ]  # fmt: skip
        fill = 255 if background is None else classes.index(background)
        stream = io.BytesIO()
        Image.fromarray(paste_masks(masks, (image.height, image.width), background=fill)).save(stream, 'PNG')
        atomic_write_bytes(target, stream.getvalue())
    atomic_write_text(out / 'images.txt', '\n'.join(names) + '\n')


def label_names(found: DetectionAnnotations) -> list[str]:
    """The label of each image, relative to the folder, without its ending.

    Raises:
        UserError: an image outside the image folder, or two whose labels would be one file.
    """
    first: dict[str, str] = {}
    for image in found.images:
        path = PurePath(image.file_name)
        if path.is_absolute() or '..' in path.parts:
            raise UserError(f'{found.source}: file_name {image.file_name!r} must be the path inside the image folder: '
                            f'the label gets the same place in the folder of the labels.')
        name = str(path.with_suffix(''))
        if name in first:
            raise UserError(f'{found.source}: {first[name]!r} and {image.file_name!r} would have one label, '
                            f'{name}.png. Rename one of the images.')
        first[name] = image.file_name
    return list(first)


def show(table: FilterTable) -> None:
    """How many of each class are left."""
    from rich.console import Console
    from rich.table import Table

    heads, rows = table.rows()
    grid = Table(box=None, pad_edge=False)
    for head in heads:
        grid.add_column(head, justify='left' if head == 'class' else 'right')
    for row in rows:
        grid.add_row(*row)
    Console(highlight=False, soft_wrap=True).print(grid)
