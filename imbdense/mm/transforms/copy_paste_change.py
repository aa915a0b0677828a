"""Transform: paste objects into one date of a pair, which makes a change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_choice
from imbdense.core.compositing import Canvas, Cutout, scatter
from imbdense.data.instance_bank import Rounds
from imbdense.mm.transforms.bank_paste import BankPaste
from imbdense.mm.transforms.change_maps import CHANGE, date_key, num_dates, split_dates
from imbdense.mm.transforms.paste_prior import IMAGES, PASTES
from imbdense.registry import TRANSFORMS

Date = Literal['first', 'last', 'random']
FREE = 254
"""In the map that a paste fills: nothing pasted yet. Bank classes are below."""


@TRANSFORMS.register_module()
class CopyPasteChange(BankPaste):
    """Paste cut-out objects of an instance bank into one date of each pair; change map and land cover follow.

    Pasted into the last date, an object has appeared; into the first, it has gone. Under its pixels the land cover of
    that date becomes the object's class, and the change map 1 where the other date's land cover is another, 0 where it
    is the same. Where the other date's land cover is not known (change-only labels, or none) the pixel is changed: the
    object was cut from elsewhere. Ignored pixels stay ignored, and the image under them as it is. Which objects, how
    many and where, is as in :class:`BankPaste`.

    The bank holds images of *one* date: make it from a config of single images, ``imbdense.SegFolderDataset`` over
    ``t1`` and ``label_t1`` for example, with the classes in the order of the land cover.

    Args:
        bank, quota, classes, flips, scale, feather, rounds, ignore_index: see :class:`BankPaste`.
        date: the date that gets the objects: ``'first'``, ``'last'``, or either, drawn per pair.

    Raises:
        ValueError: kinds of change in the change map; a bank of other classes than the land cover; a bank of other
            number type or bands than one date; more than two dates. BankError: no bank, or a damaged one.
    """

    card = 'change_data'
    tasks = ('change_detection',)

    def __init__(
        self,
        bank: str,
        quota: float = 1,
        classes: Sequence[int] | None = None,
        date: Date = 'random',
        flips: Sequence[str] = ('horizontal',),
        scale: Sequence[float] = (0.8, 1.25),
        feather: int = 1,
        rounds: Rounds = 'union',
        ignore_index: int = 255,
    ) -> None:
        super().__init__(bank, quota, classes, flips, scale, feather, rounds, ignore_index)
        self.date = check_choice('date', date, get_args(Date), owner=type(self).__name__)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Paste into one sample and return it."""
        images = split_dates(results)
        self._check_pair(results, images[0])
        rng = np.random.default_rng(self.draw_seed())
        cutouts = self.draw(rng)
        date = self._draw_date(rng)
        image = np.ascontiguousarray(images[date])
        pasted, number = self._scatter(results, image.copy() if cutouts else image, cutouts, rng)
        if number == 0:
            return results
        images[date] = pasted[0]
        results['img'] = np.concatenate(images, axis=2)
        results.update(changed_maps(results, pasted[1], date))
        return results

    def prior_effect(self, context: Any) -> NDArray[np.float64]:
        """Return (C,) expected pixels per class of the change map and epoch, by simulated pastes.

        Args:
            context: an ``imbdense.mm.prior.PriorContext``.
        """
        draws = np.asarray(context.draws, np.float64)
        rng = np.random.default_rng(np.random.SeedSequence([int(context.seed), 0xC4A6]))
        chosen = rng.choice(len(draws), size=min(IMAGES, len(draws)), p=draws / draws.sum())
        repeats = -(-PASTES // len(chosen))
        change = np.zeros(context.table.num_classes)
        for index in chosen.tolist():
            sample = context.load_sample(index)
            self._check_pair(sample, None)
            blank = np.zeros((*sample[CHANGE].shape, 0), np.uint8)
            for _ in range(repeats):
                cutouts = self.draw(rng, bands=0)
                date = self._draw_date(rng)
                (_, filled), _ = self._scatter(sample, blank, cutouts, rng)
                after = changed_maps(sample, filled, date)[CHANGE]
                for sign, label in ((1, after), (-1, sample[CHANGE])):
                    known = label[label < change.size]
                    change += sign * np.bincount(known, minlength=change.size)
        given = context.table.expected_totals(draws)
        return np.maximum(given + draws.sum() * change / (repeats * len(chosen)), 0)

    def _draw_date(self, rng: np.random.Generator) -> int:
        """0 or 1."""
        return int(rng.integers(2)) if self.date == 'random' else int(self.date == 'last')

    def _scatter(
        self, results: Mapping[str, Any], image: NDArray[Any], cutouts: list[Cutout], rng: np.random.Generator
    ) -> tuple[tuple[NDArray[Any], NDArray[np.uint8]], int]:
        """(image, map of what was pasted: a class, FREE or ignored), number of objects."""
        filled = np.where(results[CHANGE] == self.ignore_index, self.ignore_index, FREE).astype(np.uint8)
        number = scatter(Canvas(image, None, None, filled, self.ignore_index), cutouts, rng) if cutouts else 0
        return (image, filled), number

    def _check_pair(self, results: Mapping[str, Any], image: NDArray[Any] | None) -> None:
        """Refuse samples that a paste would spoil."""
        name = type(self).__name__
        if CHANGE not in results:
            raise ValueError(f'{name}: no change map in results. Put it after the labels are loaded.')
        if results.get('change_mode') == 'direct' or num_dates(results) != 2:
            raise ValueError(f'{name}: it knows pairs whose change map is 0 and 1, not kinds of change or series.')
        covers = results.get('land_cover_format')
        if date_key(0) in results and covers is not None and len(self.bank.classes) != len(covers.classes):
            raise ValueError(
                f'{name}: the bank {self.folder} has the classes {self.bank.classes}, the land cover is '
                f'{covers.classes}. Make the bank with the classes of the land cover.'
            )
        bank = self.bank
        if image is not None and bank.dtype is not None and (image.dtype, image.shape[2]) != (
            bank.dtype, bank.channels
        ):  # fmt: skip
            raise ValueError(
                f'{name}: a date is {image.dtype} with {image.shape[2]} bands, the bank {self.folder} holds '
                f'{bank.dtype} with {bank.channels}. Make the bank from images of one date, loaded in the same way.'
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(bank='{self.folder}', quota={self.quota}, date='{self.date}')"


def changed_maps(results: Mapping[str, Any], filled: NDArray[np.uint8], date: int) -> dict[str, NDArray[np.uint8]]:
    """The label maps of a pair after a paste into ``date`` (0 or 1).

    Args:
        filled: (H, W) class where an object was pasted, :data:`FREE` or above elsewhere.
    """
    where = filled < FREE
    change = results[CHANGE].copy()
    other = results.get(date_key(1 - date))
    same = np.zeros_like(where) if other is None else where & (other == filled)
    change[where & ~same], change[same] = 1, 0
    maps = {CHANGE: change}
    if date_key(date) in results:
        cover = results[date_key(date)].copy()
        cover[where] = filled[where]
        maps[date_key(date)] = cover
    return maps
