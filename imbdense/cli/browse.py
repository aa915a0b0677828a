"""Contact sheets of a data set, one page per class, rarest first, through the real pipeline of a config.

  imbdense browse configs/segmentation/unet_scenes_balanced.py --out browse

Every sample has gone through the transforms of the config, so crops that lose the rare class are seen at once.
Open index.html in the output folder; no server and no display are needed. Point clouds: `imbdense browse points`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imbdense.cli._numbers import seed_number
from imbdense.cli._point_configs import refuse_points
from imbdense.cli._runner import add_config_arguments, load_config

if TYPE_CHECKING:
    from imbdense.core.stats import ImageClassTable
    from imbdense.report.contact_sheet import Sheet, Shot

PARTS = {'points': 'imbdense.cli.browse_points'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    add_config_arguments(parser)
    parser.add_argument('--out', type=Path, default=Path('browse'), help='folder for the pages (default: browse)')
    parser.add_argument(
        '--split', choices=('train', 'val', 'test'), default='train', help='which data set of the config'
    )
    parser.add_argument('--per-class', type=int, default=12, metavar='N', help='samples per class (default: 12)')
    parser.add_argument('--classes', nargs='+', metavar='NAME', help='only these classes')
    parser.add_argument('--seed', type=seed_number, default=0, help='seed of the draw and of the transforms')


def run(args: argparse.Namespace) -> int:
    """Write index.html and one page per class; exit code 0."""
    from imbdense.cli.main import UserError
    from imbdense.report.contact_sheet import class_page, index_page
    from imbdense.utils.files import FileWriteError, atomic_write_text

    if args.per_class < 1:
        raise UserError(f'--per-class must be at least 1, but is {args.per_class}.')
    config = load_config(args, model=False)
    refuse_points(config, 'browse')
    dataset = build_dataset(config, args.split)
    browser = _Browser(config, dataset, args.per_class, args.seed)
    wanted = browser.rarest_first(args.classes)
    title = f'{Path(args.config).stem}: {args.split}'
    sheets = []
    try:
        for number, klass in enumerate(wanted, 1):
            sheet = browser.sheet(klass)
            atomic_write_text(args.out / sheet.file, class_page(sheet, title, browser.unit))
            sheets.append(sheet)
            print(f'  {number}/{len(wanted)} {sheet.name}: {sheet.images} images', file=sys.stderr, flush=True)
        note = f'{len(dataset)} images; {args.per_class} samples per class, seed {args.seed}'
        atomic_write_text(args.out / 'index.html', index_page(sheets, title, browser.unit, note))
    except FileWriteError as error:
        raise UserError(str(error)) from error
    print(args.out / 'index.html')
    return 0


def build_dataset(config: Any, split: str) -> Any:
    """Build the data set of a split with its pipeline.

    Raises:
        UserError: the config has no such split, or the data set cannot be built or read.
    """
    from mmengine.registry import DATASETS, init_default_scope

    from imbdense.cli.main import UserError

    init_default_scope(config.get('default_scope') or 'mmengine')
    loader = config.get(f'{split}_dataloader') or {}
    if not loader.get('dataset'):
        found = [key for key in ('train', 'val', 'test') if (config.get(f'{key}_dataloader') or {}).get('dataset')]
        raise UserError(f'the config has no {split}_dataloader.dataset; it has {found}. Choose with --split.')
    try:
        dataset = DATASETS.build(loader['dataset'])
        size = len(dataset)
    except (OSError, AssertionError, KeyError, ValueError, TypeError) as error:
        raise UserError(
            f'the data set of {split}_dataloader cannot be built: {type(error).__name__}: {error}'
        ) from error
    if size == 0:
        raise UserError(f'the {split} data set is empty; look at data_root, data_prefix and ann_file.')
    return dataset


class _Browser:
    """Draws samples of a data set by class and paints what is in them."""

    def __init__(self, config: Any, dataset: Any, per_class: int, seed: int) -> None:
        from imbdense.mm.dataset_wrappers import leaves
        from imbdense.mm.datasets.label_source import dataset_classes, is_detection
        from imbdense.mm.datasets.statistics import class_table
        from imbdense.report.story import palette_colours

        self.dataset, self.per_class, self.seed = dataset, per_class, seed
        self.classes = list(dataset_classes(dataset))
        first = next(leaves(dataset))
        self.unit = 'objects' if is_detection(first) else 'pixels'
        self.table: ImageClassTable = class_table(dataset)
        self.colours = palette_colours(self.classes, first.metainfo.get('palette'))
        model = config.get('model') or {}
        preprocessor = model.get('data_preprocessor') or config.get('data_preprocessor') or {}
        self.swap = bool(preprocessor.get('bgr_to_rgb', False))

    def rarest_first(self, names: list[str] | None) -> list[int]:
        """Class indices by ascending amount; absent classes last."""
        from imbdense.cli.main import UserError

        unknown = sorted(set(names or ()) - set(self.classes))
        if unknown:
            raise UserError(f'--classes: there is no class {unknown}; the classes are {self.classes}.')
        totals = self.table.totals
        order = sorted(range(len(self.classes)), key=lambda c: (totals[c] == 0, totals[c], c))
        return [c for c in order if not names or self.classes[c] in names]

    def sheet(self, klass: int) -> Sheet:
        """Draw samples among the images that hold a class, without repeats, deterministic in (seed, class)."""
        import numpy as np

        from imbdense.report.contact_sheet import Sheet

        images = self.table.images_of(klass)
        rng = np.random.default_rng((self.seed, klass))
        chosen = rng.permutation(images)[: self.per_class].tolist()
        shots = [self.shot(int(index), klass) for index in chosen]
        total = int(self.table.totals[klass])
        share = 100 * total / max(int(self.table.totals.sum()), 1)
        name = self.classes[klass]
        return Sheet(name, self.colours[name], len(images), total, share, [shot for shot in shots if shot is not None])

    def shot(self, index: int, klass: int) -> Shot | None:
        """One sample through the pipeline; ``None`` when the pipeline refuses the image."""
        from mmengine.runner import set_random_seed

        from imbdense.cli.main import UserError

        set_random_seed(self.seed * 1_000_003 + index)
        sample = self.dataset[index]
        if sample is None:
            return None
        if not isinstance(sample, dict) or not hasattr(sample.get('inputs'), 'numpy') or 'data_samples' not in sample:
            raise UserError(
                'the pipeline gives no inputs and data_samples; it must end with PackSegInputs or PackDetInputs.'
            )
        return self.paint(sample['inputs'].numpy(), sample['data_samples'], klass)

    def paint(self, inputs: Any, sample: Any, klass: int) -> Shot:
        """Overlay of masks or boxes with the class of the sheet on top."""
        import numpy as np

        from imbdense.report.contact_sheet import Shot
        from imbdense.report.images import draw_boxes, hex_rgb, overlay_label, to_rgb8

        image = np.moveaxis(inputs, 0, -1)
        image = to_rgb8(image[..., ::-1] if self.swap and image.shape[-1] == 3 else image)
        colours = [hex_rgb(self.colours[name]) for name in self.classes]
        file = Path(str(sample.metainfo.get('img_path', ''))).name
        if 'gt_sem_seg' in sample:
            label = sample.gt_sem_seg.data.numpy().reshape(image.shape[:2])
            amount = int((label == klass).sum())
            narrow = np.where((label >= 0) & (label < 255), label, 255).astype(np.uint8)
            words = f'{amount:,} pixels ({100 * amount / label.size:.3g} % of the sample)'
            return Shot(file, overlay_label(image, narrow, colours, klass), amount, words)
        instances = sample.gt_instances
        boxes = np.asarray(getattr(instances.bboxes, 'tensor', instances.bboxes)).reshape(-1, 4)
        labels = [int(label) for label in instances.labels]
        order = sorted(range(len(labels)), key=lambda i: labels[i] == klass)
        painted = draw_boxes(
            image, [boxes[i] for i in order], [colours[labels[i]] for i in order],
            [self.classes[klass] if labels[i] == klass else '' for i in order],
        )  # fmt: skip
        amount = sum(label == klass for label in labels)
        return Shot(file, painted, amount, f'{amount} of {len(labels)} objects')
