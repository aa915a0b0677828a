"""Data set wrapper: a subset with a chosen class imbalance, for controlled studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from mmengine.logging import print_log

from imbdense.core.checks import check_choice
from imbdense.core.sampling import Subset, balanced_subset, imbalanced_subset, target_subset
from imbdense.mm.datasets.label_source import dataset_classes
from imbdense.mm.datasets.statistics import class_table
from imbdense.registry import DATASETS

Kind = Literal['step', 'linear', 'exp', 'balanced', 'shares']


@DATASETS.register_module()
class ImbalancedSubsetDataset:
    """A part of a data set whose classes are imbalanced as asked, or balanced; the log says what was reached.

    Works with mmseg and mmdet data sets, wrapped or not; index i of the wrapper is index ``indices[i]`` inside. The
    choice depends on labels and arguments alone, so it is the same on every rank and in every run. The labels are
    counted through the cache of ``imbdense stats``.

    Args:
        dataset: a data set or its config.
        kind: 'step', 'linear', 'exp' (see :func:`imbdense.core.sampling.imbalanced_subset`), 'balanced' (see
            :func:`imbdense.core.sampling.balanced_subset`) or 'shares' (see
            :func:`imbdense.core.sampling.target_subset`: the largest subset with given class shares, to plant a shift).
        rho: largest / smallest class, >= 1; of 'step', 'linear' and 'exp'.
        mu: share of minority classes of 'step'.
        num_images: size of the subset; only for 'balanced', where it must be given.
        classes: names of the classes from the one that shall be most frequent to the rarest; ``None`` = all, as they
            are. The others are left to chance: leave out a background that is in every image.
        shares: class name -> wanted share; only for 'shares', where it must be given and ``classes`` must not.
        unit: what the shares are of: 'images' that hold the class, or 'amounts' (pixels, objects); only for 'shares'.
        tol: how far above its target a class may stay, >= 0; of 'shares' how far from its target, ``None`` = 0.05, of
            'shares' 0.01.
        seed: decides between equally good images.
        lazy_init: choose when first used.

    Raises:
        ValueError: an argument is out of range or does not belong to the kind, or a class name is unknown.
    """

    card = 'imbalanced_subset'
    tasks = ('segmentation', 'detection')

    def __init__(
        self,
        dataset: Any,
        kind: Kind = 'step',
        rho: float = 10.0,
        mu: float = 0.5,
        num_images: int | None = None,
        classes: Sequence[str] | None = None,
        tol: float | None = None,
        seed: int = 0,
        lazy_init: bool = False,
        shares: Mapping[str, float] | None = None,
        unit: str = 'images',
    ) -> None:
        name = type(self).__name__
        self.kind = check_choice('kind', kind, get_args(Kind), owner=name)
        if (num_images is None) == (kind == 'balanced'):
            raise ValueError(f"{name}: num_images must be given for kind='balanced', and for no other.")
        if (shares is None) == (kind == 'shares') or (kind == 'shares' and classes is not None):
            raise ValueError(f"{name}: shares must be given for kind='shares' (without classes), and for no other.")
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        self._options: dict[str, Any] = {'seed': seed}
        if kind == 'balanced':
            self._options.update(num_images=num_images)
        elif kind == 'shares':
            self._options.update(unit=unit, tol=0.01 if tol is None else tol)
        else:
            self._options.update(kind=kind, rho=rho, mu=mu, tol=0.05 if tol is None else tol)
        self.shares = dict(shares or {})
        self.classes = None if classes is None else tuple(classes)
        self._subset: Subset | None = None
        if not lazy_init:
            self.full_init()

    @property
    def metainfo(self) -> dict[str, Any]:
        """That of the data set inside."""
        return self.dataset.metainfo

    @property
    def subset(self) -> Subset:
        """The chosen images, with targets and achieved counts."""
        self.full_init()
        return self._subset  # type: ignore[return-value]

    @property
    def indices(self) -> list[int]:
        """Indices of the chosen images in the data set inside, ascending."""
        return self.subset.images.tolist()

    def full_init(self) -> None:
        """Load the data set inside, count it and choose."""
        if self._subset is not None:
            return
        if hasattr(self.dataset, 'full_init'):
            self.dataset.full_init()
        names = dataset_classes(self.dataset)
        order = None if self.classes is None else [_index(name, names) for name in self.classes]
        table = class_table(self.dataset)
        if self.kind == 'balanced':
            self._subset = balanced_subset(table, classes=order, **self._options)
        elif self.kind == 'shares':
            target = {_index(name, names): share for name, share in self.shares.items()}
            self._subset = target_subset(table, target, **self._options)
        else:
            self._subset = imbalanced_subset(table, order=order, **self._options)
        print_log(f'{type(self).__name__}: {self._subset.describe(names)}', logger='current')

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """The record of image ``idx``."""
        return self.dataset.get_data_info(int(self.subset.images[idx]))

    def __getitem__(self, idx: int) -> Any:
        return self.dataset[int(self.subset.images[idx])]

    def __len__(self) -> int:
        return int(self.subset.images.size)


def _index(name: str, names: Sequence[str]) -> int:
    """Position of a class name."""
    if name not in names:
        raise ValueError(f'ImbalancedSubsetDataset: there is no class {name!r}; the data set has {list(names)}.')
    return names.index(name)
