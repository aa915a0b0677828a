"""What a ReDB round asks of the kind of data it works on: images with boxes, or point clouds with boxes in space."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from imbdense.core.pseudo_label import MemoryEnsemble
from imbdense.data.instance_bank import BankObject
from imbdense.data.instance_bank.objects import Modality
from imbdense.data.pseudo import PseudoBoxes
from imbdense.mm.dataset_wrappers import children
from imbdense.mm.pseudo_label.outputs import ImageFile, Record
from imbdense.mm.pseudo_label.redb_filters import JudgedImage
from imbdense.mm.pseudo_label.redb_labels import LABELS
from imbdense.mm.pseudo_label.redb_records import Host
from imbdense.utils.stopwatch import Stopwatch


class RoundWorld(Protocol):
    """The model of a running training and everything of a round that depends on the data.

    Thresholds, counts, thinning, quotas, memory, files and ranks are the same for all: :mod:`.redb_round`.

    Attributes:
        model: without wrappers. classes: names. modality: of the bank. min_size: least side of a box where none is
            given, pixels or metres.
    """

    model: Any
    classes: list[str]
    modality: Modality
    min_size: float

    def samples(self, dataset: Any) -> list[ImageFile]:
        """The unlabelled samples."""

    def hosts(self, dataset: Any) -> list[Host]:
        """The labelled samples with objects, for the examination."""

    def evaluating(self) -> AbstractContextManager[None]:
        """Evaluation mode without gradient, then what was before."""

    def counted(self, image: ImageFile, iou_thr: float, topk: int, clock: Stopwatch) -> Record:
        """Boxes, labels, scores and overlapped boxes counts of a sample."""

    def examined(
        self, image: ImageFile, record: Record, chosen: NDArray[np.bool_], hosts: Sequence[Host], iou_thr: float,
        score_thr: float,
    ) -> Record:  # fmt: skip
        """``accepted`` (N,): which of the chosen boxes are found again among the surroundings of a labelled sample."""

    def sides(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 2 or 3) sizes of boxes."""

    def objects(self, one: JudgedImage) -> Iterator[BankObject]:
        """What goes into the bank of a sample: its boxes marked ``banked``."""

    def memory(self, options: Mapping[str, Any]) -> MemoryEnsemble:
        """An empty memory with the overlap of these boxes."""

    def to_json(self, labels: Sequence[PseudoBoxes]) -> dict[str, Any]:
        """The content of the label file."""

    def from_json(self, content: Mapping[str, Any]) -> Iterator[PseudoBoxes]:
        """Undo :meth:`to_json`."""

    def hand_over(self, dataset: Any, labels: Mapping[str, PseudoBoxes]) -> None:
        """Train with these from now on: path of a sample -> its labels."""


def read_round(world: RoundWorld, folder: Path, images: Sequence[ImageFile]) -> dict[str, PseudoBoxes]:
    """Path of a sample -> its labels of a complete round; broken samples are not in it."""
    content = json.loads((folder / LABELS).read_text(encoding='utf-8'))
    path_of = {image.file_name: str(image.path) for image in images}
    return {path_of[one.file_name]: one for one in world.from_json(content)}


def transforms_of(part: Any, kind: type) -> Iterator[Any]:
    """All transforms of a type in a data set, its wrappers and nested pipelines."""
    if isinstance(part, kind):
        yield part
        return
    nested: list[Any] = list(children(part)) if hasattr(part, 'dataset') or hasattr(part, 'datasets') else []
    for name in ('pipeline', 'transforms'):
        value = getattr(part, name, None)
        nested += [] if value is None else value if isinstance(value, (list, tuple)) else [value]
    nested += list(getattr(part, 'branch_pipelines', {}).values())
    for inner in nested:
        yield from transforms_of(inner, kind)
