"""Transform: paste objects of an instance bank, equally many of every class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_choice, check_integer, check_number
from imbdense.core.compositing import Canvas, Cutout, jittered, scatter
from imbdense.data.instance_bank import Rounds
from imbdense.mm.transforms.bank_draw import BankDraw
from imbdense.mm.transforms.host_boxes import boxes_of
from imbdense.mm.transforms.paste_objects import add_objects, masks_with_room
from imbdense.mm.transforms.paste_prior import expected_paste_amounts
from imbdense.registry import TRANSFORMS


@TRANSFORMS.register_module()
class BankPaste(BankDraw):
    """Paste cut-out objects of an instance bank into each image, the same number of every class.

    Per image and class k = ``quota`` objects are drawn uniformly with replacement, mirrored, scaled, and put at uniform
    places; every class gets the *same* k, so rare classes come more often than in nature. An object is left out when no
    place of ten fits: its box must not have an IoU above .1 with any box, and of it and of each object it covers at
    least half must stay visible (see :class:`imbdense.core.compositing.Canvas`). Cost follows the pasted pixels.

    Bank of ground truth: rare-class copy-paste. Bank of pseudo-labels: the pool of ReDB (Chen et al., ICCV 2023).

    Changes ``img`` and, where they are there, ``gt_bboxes``, ``gt_bboxes_labels``, ``gt_ignore_flags``, ``gt_masks``
    (polygons become bitmaps) and ``gt_seg_map``, in which ignored pixels stay ignored and the image under them as is.
    Boxes and label map must share class indices. Put it right after the loading transforms: the bank holds images as
    they are loaded (number type, bands and their order, size of a pixel).

    A class without an object is skipped with one warning and nobody gets its share; an empty bank changes nothing.
    Random numbers follow the host's seed; nothing is remembered between calls. The bank is opened once per worker.

    Args:
        bank: folder, from ``imbdense generate bank CONFIG --out FOLDER``.
        quota: objects per class and image; 0.25 pastes one into every fourth image.
        classes: class indices to paste; ``None`` = all of the bank.
        flips: ``'horizontal'``, ``'vertical'``; each is done with probability one half.
        scale: (lowest, highest) size factor.
        feather: pixels over which the border of a mask is softened on either side; a box without a mask has 2.
        rounds: ``'union'`` of the bank's rounds, the ``'latest'`` or the ``'first'``.
        ignore_index: value of ignored pixels in the label map.

    Raises:
        ValueError: argument out of range; a sample without annotations; an image of another number type or band count
            than the bank's; label maps that a paste would make wrong (depth, edges). BankError: no bank, or a damaged
            one.
    """

    card = 'instance_bank'
    tasks = ('segmentation', 'detection')
    modality = 'image'

    def __init__(
        self,
        bank: str,
        quota: float = 1,
        classes: Sequence[int] | None = None,
        flips: Sequence[str] = ('horizontal',),
        scale: Sequence[float] = (0.8, 1.25),
        feather: int = 1,
        rounds: Rounds = 'union',
        ignore_index: int = 255,
    ) -> None:
        owner = 'BankPaste'
        super().__init__(bank, quota, classes, rounds)
        self.flips = tuple(check_choice('flips', axis, ('horizontal', 'vertical'), owner=owner) for axis in flips)
        factors = [check_number('scale', factor, low=0, low_open=True, owner=owner) for factor in scale]
        if len(factors) != 2 or factors[0] > factors[1]:
            raise ValueError(f'{owner}: scale must be (lowest, highest), but got {tuple(scale)}.')
        self.scale = (factors[0], factors[1])
        self.feather = check_integer('feather', feather, low=0, owner=owner)
        self.ignore_index = int(ignore_index)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Paste into one sample and return it."""
        self._check(results)
        rng = np.random.default_rng(self.draw_seed())
        cutouts = self.draw(rng)
        if not cutouts:
            return results
        boxes = None if results.get('gt_bboxes') is None else boxes_of(results)
        stack = masks_with_room(results, len(cutouts))
        label = results['gt_seg_map'].copy() if 'gt_seg_map' in results else None
        given = None if stack is None or boxes is None else stack[: len(boxes)]
        image = results['img']
        bands = image.shape[2:] or (1,)
        canvas = Canvas(image.reshape(*image.shape[:2], *bands).copy(), boxes, given, label, self.ignore_index)
        if scatter(canvas, cutouts, rng) == 0:
            return results
        results['img'] = canvas.image.reshape(image.shape)
        if label is not None:
            results['gt_seg_map'] = label
        if boxes is not None:
            add_objects(results, canvas, stack)
        return results

    def draw(self, rng: np.random.Generator, bands: int | None = None) -> list[Cutout]:
        """The jittered objects for one image; ``bands=0`` without their pixels, for simulations."""
        found = []
        for item in self.drawn(rng):
            values = item.values[..., :bands]
            if item.mask is None:
                cutout = Cutout.of_box(values, item.inner_box, item.klass)
            else:
                cutout = Cutout(values, item.mask, item.klass, self.feather)
            found.append(jittered(cutout, rng, self.flips, self.scale))
        return found

    def prior_effect(self, context: Any) -> NDArray[np.float64]:
        """Return (C,) expected pixels (label maps) or objects (boxes) per class and epoch, by simulated pastes.

        Args:
            context: an ``imbdense.mm.prior.PriorContext``.

        Raises:
            ValueError: the bank has another number of classes than the data set.
        """
        if len(self.bank.classes) != context.table.num_classes:
            raise ValueError(
                f'BankPaste: {self.folder} has {len(self.bank.classes)} classes, the data set '
                f'{context.table.num_classes}. Make the bank from this data set.'
            )
        return expected_paste_amounts(context, lambda rng: self.draw(rng, bands=0), self.ignore_index)

    def _check(self, results: dict[str, Any]) -> None:
        """Refuse samples that a paste would spoil."""
        if results.get('gt_bboxes') is None and 'gt_seg_map' not in results:
            raise ValueError('BankPaste: no gt_bboxes and no gt_seg_map in results. Put it after the annotations.')
        other = [key for key in results.get('seg_fields', ()) if key != 'gt_seg_map']
        if other:
            raise ValueError(f'BankPaste: it cannot paste into {other}. Load or make these maps after it.')
        bank, image = self.bank, results['img']
        if bank.dtype is not None and (image.dtype, image.shape[2:] or (1,)) != (bank.dtype, (bank.channels,)):
            raise ValueError(
                f'BankPaste: the image is {image.dtype} of shape {image.shape}, the bank {self.folder} holds '
                f'{bank.dtype} with {bank.channels} bands. Make the bank with the config that loads the images so.'
            )
