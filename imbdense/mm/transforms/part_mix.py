"""Transform: paste parts of rare classes onto the terrain of a cloud."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv.transforms.utils import cache_randomness
from numpy.typing import NDArray

from imbdense.core.checks import check_integer, check_number
from imbdense.core.compositing import draw_quota
from imbdense.data.instance_bank import InstanceBank
from imbdense.mm.transforms.host_rng import host_generator
from imbdense.mm.transforms.point_fields import PointTransform, join_points, table_parts
from imbdense.mm.transforms.point_prior import expected_point_amounts
from imbdense.registry import TRANSFORMS

TRIES = 10
CELL = 0.5
"""Metres: edge of the cells in which a part and the cloud must not meet."""


@TRANSFORMS.register_module()
class RebalancedPartMix(PointTransform):
    """Paste parts (cars, poles, fences ...) of an instance bank into each cloud, the same number of every class.

    Per cloud and class ``quota`` parts are drawn uniformly with replacement, turned about the vertical, mirrored and
    set down at a drawn place on the ground, each point as high above it as it was where it was cut out. A place fits
    when no point of the cloud (or of a part pasted before) that is higher above the ground than ``clearance`` lies,
    seen from above, in one of the cells of half a metre that the part covers or in one next to them. After ten places
    that do not fit, the part is left out.

    Needs ``attributes['height']`` (``imbdense.PointHeight``), in the bank too. The ground under a part stays, although
    an aerial scanner would not have seen all of it. Random numbers follow the host's seed; what the pastes leave of
    the class shares goes to the prior ledger.

    Args:
        bank: folder, from ``imbdense generate bank CONFIG --out FOLDER`` with the config whose loading transforms are
            those of this pipeline.
        classes: class indices to paste; ``None`` = all of the bank.
        quota: parts per class and cloud; 0.25 pastes one into every fourth cloud.
        clearance: metres above ground from which on a point is in the way; lower ones are ground to stand on.

    Raises:
        ValueError: argument out of range; a bank of images, or one with other columns or classes than the cloud.
        KeyError: no height, or no labels. BankError: no bank, or a damaged one.

    Source: for images Ghiasi et al., Simple copy-paste, CVPR 2021; for clouds gt sampling of SECOND, Sensors 2018.
    """

    conformance_arguments = {'bank': 'bank'}

    def __init__(
        self, bank: str, classes: Sequence[int] | None = None, quota: float = 1, clearance: float = 0.3
    ) -> None:
        owner = 'RebalancedPartMix'
        self.folder = str(bank)
        wanted = {check_integer('classes', klass, low=0, owner=owner) for klass in classes or ()}
        self.classes = None if classes is None else sorted(wanted)
        self.quota = check_number('quota', quota, low=0, owner=owner)
        self.clearance = check_number('clearance', clearance, low=0, low_open=True, owner=owner)
        self._bank: InstanceBank | None = None

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Paste into one sample."""
        self.require(results, 'points', 'gt_semantic')
        if 'height' not in results.get('attributes', {}):
            raise KeyError("RebalancedPartMix: no attribute 'height'. Put imbdense.PointHeight before it.")
        return self.pasted(results, np.random.default_rng(self.draw_seed()))

    @cache_randomness
    def draw_seed(self) -> int:
        """The seed of one sample's draws, from the host's stream."""
        return int(host_generator().integers(2**62))

    def pasted(self, results: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        """The sample with the parts that fitted, drawn from ``rng``."""
        height = results['attributes']['height'][:, 0]
        ground = np.flatnonzero(height < self.clearance)
        taken = results['points'][height >= self.clearance, :2]
        parts: list[dict[str, Any]] = []
        instance = int(results['gt_instance'].max(initial=-1)) if results.get('gt_instance') is not None else -1
        for number in self._drawn(rng) if ground.size else ():
            item = self.bank[number]
            part = table_parts(_turned(item.values, rng), results)
            above = part['attributes']['height'][:, 0]
            for place in rng.choice(ground, TRIES).tolist():
                spot = results['points'][place]
                flat = part['points'][:, :2] + spot[:2]
                if not _meets(flat, taken):
                    base = spot[2] - height[place]
                    points = np.column_stack([flat, base + above]).astype(np.float32)
                    instance += 1
                    size = len(points)
                    parts.append({
                        **part, 'points': points, 'gt_semantic': np.full(size, item.klass, np.int64),
                        'gt_instance': np.full(size, instance, np.int64),
                    })  # fmt: skip
                    taken = np.concatenate([taken, points[above >= self.clearance, :2]])
                    break
        return join_points(results, parts)

    def prior_effect(self, context: Any) -> NDArray[np.float64]:
        """Return (C,) expected points per class and epoch, by simulated pastes.

        Args:
            context: an ``imbdense.mm.prior.PriorContext``.
        """
        if len(self.bank.classes) != context.table.num_classes:
            raise ValueError(
                f'RebalancedPartMix: {self.folder} has {len(self.bank.classes)} classes, the data set '
                f'{context.table.num_classes}. Make the bank from this data set.'
            )
        return expected_point_amounts(context, lambda sample, rng: self.pasted(sample, rng)['gt_semantic'], draws=100)

    @property
    def bank(self) -> InstanceBank:
        """The bank, opened at the first use in a process.

        Raises:
            BankError: there is none, or it is damaged. ValueError: a bank of images, or ``classes`` outside it.
        """
        if self._bank is None:
            bank = InstanceBank.open(self.folder)
            if bank.modality != 'points':
                raise ValueError(f'RebalancedPartMix: {self.folder} holds images; use imbdense.BankPaste for them.')
            if self.classes and self.classes[-1] >= len(bank.classes):
                raise ValueError(
                    f'RebalancedPartMix: classes {self.classes} for a bank of {len(bank.classes)} classes.')
            self._bank = bank
        return self._bank

    def _drawn(self, rng: np.random.Generator) -> list[int]:
        """Numbers of the parts for one cloud; classes without one are left out."""
        found: list[int] = []
        for klass in range(len(self.bank.classes)) if self.classes is None else self.classes:
            members = self.bank.members(klass)
            if len(members):
                found += members[rng.integers(len(members), size=draw_quota(self.quota, rng))].tolist()
        return found

    def __repr__(self) -> str:
        return (
            f"RebalancedPartMix(bank='{self.folder}', classes={self.classes}, quota={self.quota:g}, "
            f'clearance={self.clearance:g})'
        )


def _turned(table: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """A part with the middle of its box at x = y = 0, turned by any angle and mirrored every other time."""
    turned = table.copy()
    flat = table[:, :2] - (table[:, :2].min(axis=0) + table[:, :2].max(axis=0)) / 2
    angle, mirror = rng.uniform(0, 2 * np.pi), rng.choice([-1.0, 1.0])
    matrix = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle) * mirror, np.cos(angle) * mirror]], np.float32)
    turned[:, :2] = flat @ matrix
    return turned


def _meets(flat: NDArray[np.float32], taken: NDArray[np.float32]) -> bool:
    """Whether a point of ``taken`` (m, 2) lies in a cell that ``flat`` (n, 2) covers, or in one next to it."""
    low, high = flat.min(axis=0) - CELL, flat.max(axis=0) + CELL
    near = taken[((taken >= low) & (taken <= high)).all(axis=1)]
    if len(near) == 0:
        return False
    size = ((high - low) / CELL).astype(int) + 3
    covered = np.zeros(size, bool)
    cells = ((flat - low) / CELL).astype(int) + 1
    for along in (-1, 0, 1):
        for across in (-1, 0, 1):
            covered[cells[:, 0] + along, cells[:, 1] + across] = True
    at = ((near - low) / CELL).astype(int) + 1
    return bool(covered[at[:, 0], at[:, 1]].any())
