"""What a data set consists of, whether it came from a config, a folder or an annotation file."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from imbdense.data.change.pairs import PairFiles
from imbdense.data.change.transitions import TransitionCounts, count_transitions
from imbdense.data.finding import Finding
from imbdense.data.readers.detection import DetectionAnnotations
from imbdense.data.readers.labels import LabelFormat
from imbdense.data.scan.instances import InstanceRecords
from imbdense.data.scan.result import ScanResult
from imbdense.data.scan.scanner import scan_labels


@dataclass(frozen=True)
class SegmentationSplit:
    """Images and label masks of one split.

    Attributes:
        name: train, val, ...
        images: image files; ``labels``: label files, in the same order ('' where there is none).
        label_format: class list and how stored numbers become classes.
        root: label folder, None = the deepest common one. ``cache_name``: see ``scan_labels``.
        findings: what was wrong before any label was read.
    """

    name: str
    images: tuple[str, ...]
    labels: tuple[str, ...]
    label_format: LabelFormat
    root: str | None = None
    cache_name: str = ''
    findings: tuple[Finding, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names."""
        return self.label_format.classes

    def scan(self, *, regions: bool = True, workers: int | None = None, progress: bool = False) -> ScanResult:
        """Count the labels (cached)."""
        files = [label for label in self.labels if label]
        return scan_labels(
            files,
            self.label_format,
            root=self.root,
            name=self.cache_name,
            regions=regions,
            positions=64 if regions else 0,
            workers=workers,
            progress=progress,
        )


@dataclass(frozen=True)
class ChangeSplit(SegmentationSplit):
    """Pairs of images of one split: ``images`` and ``labels`` are those of the first date and of the change map.

    Attributes:
        pairs: all files.
        land_cover_format: of the land-cover maps; None = there are none.
    """

    pairs: tuple[PairFiles, ...] = ()
    land_cover_format: LabelFormat | None = None

    def transitions(self, *, workers: int | None = None) -> TransitionCounts | None:
        """Count the transitions between land covers (cached); None where there are none.

        Raises:
            LabelReadError: a broken label map. ValueError: maps of different size.
        """
        if self.land_cover_format is None or not all(pair.land_cover and pair.change for pair in self.pairs):
            return None
        return count_transitions(
            self.pairs, self.label_format, self.land_cover_format, root=self.root, workers=workers
        )


@dataclass(frozen=True)
class PointSplit(SegmentationSplit):
    """Labelled clouds of one split: ``images`` and ``labels`` are both the files of the scenes.

    Attributes:
        wanted: attributes that the pipeline takes from every file; ``None`` = all that a file has.
        filled: those it gives a value where a file has none, so that files may differ in them.
    """

    wanted: tuple[str, ...] | None = None
    filled: tuple[str, ...] = ()


@dataclass(frozen=True)
class RasterSplit(SegmentationSplit):
    """A part of one place: ``images`` and ``labels`` are both its rasters.

    Attributes:
        count: counts the labels of this part, block by block (cached).
    """

    count: Callable[[], ScanResult] | None = None

    def scan(self, *, regions: bool = True, workers: int | None = None, progress: bool = False) -> ScanResult:
        """Count the labels in this process; there are no regions, which blocks would cut.

        Raises:
            ValueError, OSError: a value that is no class, or a broken raster.
        """
        if self.count is None:
            raise ValueError(f'the split {self.name} says not how its rasters are counted.')
        return self.count()


@dataclass(frozen=True)
class DetectionSplit:
    """Images and objects of one split.

    Attributes:
        name: train, val, ...
        source: annotation file or folder.
        classes: class names.
        images: image files; ``sizes``: (height, width) as annotated, (0, 0) = unknown.
        records: the objects that count.
        findings: what the annotation reader found.
    """

    name: str
    source: str
    classes: tuple[str, ...]
    images: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    records: InstanceRecords
    findings: tuple[Finding, ...] = field(default=())


class BoxSplit(DetectionSplit):
    """LiDAR scans with boxes in space: ``images`` are the scans, areas of ``records`` are no pixels."""


Split = SegmentationSplit | DetectionSplit


def detection_split(name: str, found: DetectionAnnotations, image_dir: str) -> DetectionSplit:
    """The split of what a reader found; crowd objects do not count."""
    labels, areas = [], []
    for index in range(len(found)):
        kept = [number for number in found.objects_of(index) if not found.crowd[number]]
        labels.append(found.labels[kept].tolist())
        areas.append(found.area[kept].tolist())
    return DetectionSplit(
        name,
        found.source,
        found.classes,
        tuple(os.path.join(image_dir, image.file_name) for image in found.images),
        tuple((image.height, image.width) for image in found.images),
        InstanceRecords.of_lists(labels, areas, int(found.crowd.sum())),
        found.findings,
    )
