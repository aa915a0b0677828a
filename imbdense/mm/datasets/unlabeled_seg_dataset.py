"""Data set: a folder of images without labels."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from mmengine.dist import is_main_process
from mmengine.logging import print_log
from mmseg.datasets import BaseSegDataset

from imbdense.core.checks import check_choice
from imbdense.data.checks.images import image_findings
from imbdense.data.finding import Finding
from imbdense.data.readers.errors import LabelReadError
from imbdense.data.readers.splits import pair_files, read_split
from imbdense.registry import DATASETS
from imbdense.utils.files import atomic_write_text

Broken = Literal['error', 'skip']


@DATASETS.register_module()
class UnlabeledSegDataset(BaseSegDataset):
    """Images without annotations, for semi-supervised training and pseudo-labelling.

    No label is looked for, and none is read: the records hold ``img_path`` only. All usual image types are taken, in
    any mix and in sub-folders.

    Every file is looked at when the data set is built (header and end, not the pixels): one that is missing, no image
    or cut off is an error, or is left out and named in the log and, if asked for, in a report. The list is the same on
    every rank and in every run, so a resumed run draws the same images. What only decoding can find stops training
    with the name of the file; with ``broken='skip'`` the image is named in the log and the report, and the next one of
    the list takes its place, in every run the same.

    Args:
        data_root: joined in front of ``ann_file`` and ``data_prefix``.
        data_prefix: ``img_path``, the folder of the images.
        ann_file: split file, one name per line with or without suffix, or one path; '' = every image of the folder.
        img_suffix: ending to cut off from the names, e.g. ``_leftImg8bit.png``; '' = the file type.
        pipeline: transforms; they must not ask for a label.
        broken: 'error' or 'skip', see above.
        broken_report: file to write the broken images to, one line each; ``None`` = the log alone.
        metainfo: class names, if wanted; none are needed.
        indices: use only these images.
        test_mode, serialize_data, lazy_init, max_refetch: as in mmengine.

    Attributes:
        broken_images: what was wrong, per file that was left out.

    Raises:
        LabelReadError: the folder or split file is missing or empty, all images are broken, or one is and ``broken`` is
            'error'; the message names the files.
    """

    card = 'semi_segmentor'
    tasks = ('segmentation',)
    METAINFO: dict[str, Any] = {}

    def __init__(
        self,
        data_root: str | None = None,
        data_prefix: Mapping[str, str] | None = None,
        ann_file: str = '',
        img_suffix: str = '',
        pipeline: Sequence[dict[str, Any] | Callable[..., Any]] = (),
        broken: Broken = 'error',
        broken_report: str | None = None,
        metainfo: Mapping[str, Any] | None = None,
        indices: int | Sequence[int] | None = None,
        test_mode: bool = False,
        serialize_data: bool = True,
        lazy_init: bool = False,
        max_refetch: int = 1000,
    ) -> None:
        self.broken = check_choice('broken', broken, get_args(Broken), owner=type(self).__name__)
        self.broken_report = broken_report
        self.broken_images: tuple[Finding, ...] = ()
        self._undecodable: set[int] = set()
        super().__init__(
            ann_file=ann_file,
            img_suffix=img_suffix,
            metainfo=dict(metainfo or {}),
            data_root=data_root,
            data_prefix=dict(data_prefix or {'img_path': 'images'}),
            indices=indices,
            serialize_data=serialize_data,
            pipeline=list(pipeline),
            test_mode=test_mode,
            lazy_init=lazy_init,
            max_refetch=max_refetch,
        )

    def load_data_list(self) -> list[dict[str, Any]]:
        """One record per whole image, sorted or in the order of the split file."""
        names = read_split(self.ann_file) if self.ann_file and not os.path.isdir(self.ann_file) else None
        listed = [os.path.join(self.data_prefix['img_path'], name) for name in names or ()]
        if names is None or not all(map(os.path.isfile, listed)):  # else a walk through the folder is saved
            pairs = pair_files(self.data_prefix['img_path'], None, names, image_suffix=self.img_suffix)
            listed = [image for image, _ in pairs]
        findings = {image: image_findings(image)[1] for image in listed}
        self.broken_images = tuple(finding for found in findings.values() for finding in found)
        whole = [image for image in listed if not findings[image]]
        if self.broken_images:
            self._report(len(whole))
        return [{'img_path': image, 'seg_fields': []} for image in whole]

    def prepare_data(self, idx: int) -> Any:
        """An image through the pipeline; with ``broken='skip'`` the next one when its file cannot be decoded.

        Raises:
            LabelReadError: no image at all can be decoded. Other errors of the pipeline come as they are.
        """
        if self.broken == 'error':
            return super().prepare_data(idx)
        for place in ((idx + step) % len(self) for step in range(len(self))):
            if place in self._undecodable:
                continue
            try:
                return super().prepare_data(place)
            except Exception:
                error = self._decoding_error(place)
                if error is None:
                    raise
                self._undecodable.add(place)
                self._name_undecodable(self.get_data_info(place)['img_path'], error)
        raise LabelReadError(
            self.data_prefix['img_path'], 'unreadable', 'has no image that can be decoded.', 'Replace the files.'
        )

    def _decoding_error(self, place: int) -> Exception | None:
        """What the first step of the pipeline, which loads, says to an image; ``None`` when it loads."""
        try:
            found = self.pipeline.transforms[0](self.get_data_info(place))
        except Exception as error:
            return error
        return ValueError('the loader returned nothing') if found is None else None

    def _name_undecodable(self, file: str, error: Exception) -> None:
        """Log one image and append it to the report, from whichever worker found it."""
        text = str(error).splitlines()
        line = f'{file}: cannot be decoded ({type(error).__name__}: {text[0] if text else ""})'
        print_log(
            f'{type(self).__name__}: {line}; the next image takes its place.', logger='current', level=logging.WARNING
        )
        if self.broken_report:
            path = Path(self.broken_report)
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, 'a+', encoding='utf-8') as report:  # one short line: whole also beside other processes
                report.seek(0)
                if line not in report.read().splitlines():
                    report.write(line + '\n')

    def _report(self, whole: int) -> None:
        """Name the broken images: raise, or log and write them down."""
        lines = [f'{finding.file}: {finding.message}' for finding in self.broken_images]
        if self.broken == 'error' or not whole:
            first = self.broken_images[0]
            more = ''.join(f'\n  {line}' for line in lines[1:6])
            raise LabelReadError(
                first.file, first.code, first.message,
                f"{first.cure} Or leave such images out with broken='skip'. {len(lines)} of {whole + len(lines)} "
                f'images are broken.{more}',
            )
        print_log(
            f'{type(self).__name__}: {len(lines)} broken images are left out, {whole} remain:\n  '
            + '\n  '.join(lines),
            logger='current', level=logging.WARNING,
        )
        if self.broken_report and is_main_process():
            atomic_write_text(Path(self.broken_report), '\n'.join(lines) + '\n')
