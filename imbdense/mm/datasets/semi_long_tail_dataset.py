"""Data set wrapper: labelled images, then images with the labels a model made for them off-line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from mmengine.logging import print_log

from imbdense.core.checks import check_choice, check_number
from imbdense.data.pseudo import PseudoLabelFolder, read_label_folder
from imbdense.mm.dataset_wrappers import image_files
from imbdense.mm.datasets.label_source import dataset_classes
from imbdense.mm.datasets.semi_dataset import OnOverlap, SemiDataset
from imbdense.registry import DATASETS

Counts = Literal['merged', 'labelled']


@DATASETS.register_module()
class SemiLongTailDataset(SemiDataset):
    """A labelled data set joined with unlabelled images and their pseudo-labels: off-line self-training.

    The labels are a finished folder of ``imbdense pseudo-label`` (a segmentor's). Index 0 ... L - 1 is a labelled
    image, L ... L + U - 1 a pseudo-labelled one; ``imbdense.TwoStreamSampler`` draws both in a fixed ratio. Class
    counts (``imbdense.ClassCountHook``, samplers, losses) are counted anew with the pixels that the rule kept.

    Records of pseudo-labelled images gain ``seg_map_path`` and, where they weigh other than 1, ``pixel_weight`` and
    ``confidence_path``, of which ``imbdense.LoadPixelWeight`` makes a map for the losses (see there); with
    ``weight_unlabeled=1`` they are samples like any other.

    Checked when built, equally on every rank: sidecar and report are whole and of one round; the classes are those of
    the labelled part, in order; every image was labelled, has its size in bytes of then, and its label map is there.
    Images that the round left out (broken, or labelled in its config) are left out and counted in the log. Images that
    are labelled too, or that validate, are found by path and by a hash of the content.

    Args:
        labeled: a data set or its config.
        unlabeled: a data set of images, with a pipeline that loads a label; config of ``imbdense.UnlabeledSegDataset``.
            Its pipeline must read index masks (no palette, no ``reduce_zero_label``).
        pseudo_dir: folder of the round, ``--out`` of ``imbdense pseudo-label``.
        weight_unlabeled: loss weight of pseudo-labelled pixels, >= 0.
        confidence_weight: multiply it with the confidence of each pixel, floor(255 p) / 255.
        counts: 'merged' = labelled and kept pseudo-labelled pixels; 'labelled' = as if the others had no labels.
        held_out, overlap, lazy_init: see :class:`SemiDataset`; name the validation set as ``held_out``.

    Raises:
        SidecarError: the folder is missing, corrupt, of another round or of other images; it is named.
        ValueError: other classes; label maps are missing; an overlap and 'error'; nothing is left; arguments.
        TypeError: ``unlabeled`` has no pipeline of its own.

    Source: Yang & Xu, Rethinking the Value of Labels for Improving Class-Imbalanced Learning, NeurIPS 2020.
    """

    card = 'self_training'
    tasks = ('segmentation',)

    def __init__(
        self,
        labeled: Any,
        unlabeled: Any,
        pseudo_dir: str,
        weight_unlabeled: float = 1.0,
        confidence_weight: bool = False,
        counts: Counts = 'merged',
        held_out: Any = None,
        overlap: OnOverlap = 'drop',
        lazy_init: bool = False,
    ) -> None:
        name = type(self).__name__
        self.pseudo_dir = str(pseudo_dir)
        self.weight_unlabeled = check_number('weight_unlabeled', weight_unlabeled, low=0.0, owner=name)
        self.confidence_weight = bool(confidence_weight)
        self.counts_unlabeled = check_choice('counts', counts, get_args(Counts), owner=name) == 'merged'
        super().__init__(labeled, unlabeled, overlap=overlap, held_out=held_out, lazy_init=lazy_init)

    def full_init(self) -> None:
        """Load both lists, compare them, and give each unlabelled image its label."""
        if self.overlap is not None:
            return
        super().full_init()
        folder = read_label_folder(self.pseudo_dir)
        own = dataset_classes(self.labeled)
        if folder.classes != own:
            raise ValueError(
                f'{type(self).__name__}: the pseudo-labels in {folder.folder} are of the classes '
                f'{list(folder.classes)}, but the labelled data set has {list(own)}. Label with a model of these '
                f'classes in this order.'
            )
        self._attach_labels(folder)

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """The record of an image."""
        if idx < self.num_labeled:
            return self.labeled.get_data_info(idx)
        return self.unlabeled.get_data_info(idx - self.num_labeled)

    def _attach_labels(self, folder: PseudoLabelFolder) -> None:
        """Keep the images with a label; everything that should have one and has none is an error."""
        owner = type(self).__name__
        names = [folder.name_of(file) for file in image_files(self.unlabeled)]
        kept = [index for index, name in enumerate(names) if name is not None]
        files = [self._files(folder, name) for name in names if name is not None]
        missing = [path for record in files for path in record.values() if not Path(path).is_file()]
        if missing:
            raise ValueError(
                f'{owner}: {len(missing)} files of {folder.folder} are missing, for example {missing[0]}. Run the same '
                f'`imbdense pseudo-label` command again; it makes what is missing.'
            )
        if not kept:
            raise ValueError(f'{owner}: no pseudo-labelled image is left of {len(self.unlabeled)}.')
        if len(kept) < len(names):
            print_log(f'{owner}: {len(names) - len(kept)} of {len(names)} unlabelled images have no pseudo-label, '
                      f'being broken or left out by the round; {len(kept)} are left.', logger='current')
        weight = {} if self.weight_unlabeled == 1.0 and not self.confidence_weight else {
            'pixel_weight': self.weight_unlabeled}
        self.unlabeled = PseudoLabelled(
            self.unlabeled, kept, [{**record, **weight} for record in files], self.labeled.metainfo,
            str(folder.folder / 'labels'),
        )  # fmt: skip
        self.datasets = [self.labeled, self.unlabeled]

    def _files(self, folder: PseudoLabelFolder, name: str) -> dict[str, Any]:
        """The files of one image, as its record names them."""
        files = {'seg_map_path': str(folder.label(name))}
        return {**files, 'confidence_path': str(folder.confidence(name))} if self.confidence_weight else files


class PseudoLabelled:
    """Some images of a data set with what a model says of them; their own labels, if any, are not read.

    Args:
        images: a data set of the host with a ``pipeline``, or some of one. indices: which.
        records: what their records gain. metainfo: with the class names. labels: folder of the label maps.
    """

    ignore_index = 255

    def __init__(
        self, images: Any, indices: Sequence[int], records: Sequence[dict[str, Any]], metainfo: dict[str, Any],
        labels: str,
    ) -> None:  # fmt: skip
        self.images, self.indices, self.records = images, list(indices), list(records)
        self.metainfo = dict(metainfo)
        self.data_prefix = {'seg_map_path': labels}
        inner = images
        while not hasattr(inner, 'pipeline') and hasattr(inner, 'dataset'):
            inner = inner.dataset
        if not hasattr(inner, 'pipeline'):
            raise TypeError(
                f'SemiLongTailDataset: {type(inner).__name__} has no pipeline. Give one data set as unlabeled, for '
                f"example dict(type='imbdense.UnlabeledSegDataset', ..., pipeline=train_pipeline)."
            )
        self.pipeline = inner.pipeline

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """The record of an image with its pseudo-label."""
        record = dict(self.images.get_data_info(self.indices[idx]))
        return {**record, 'label_map': None, 'reduce_zero_label': False, 'seg_fields': [], **self.records[idx]}

    def __getitem__(self, idx: int) -> Any:
        return self.pipeline(self.get_data_info(idx))

    def __len__(self) -> int:
        return len(self.indices)
