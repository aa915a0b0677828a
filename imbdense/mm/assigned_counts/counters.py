"""Which counter fits which head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from imbdense.mm.assigned_counts.class_layers import ClassLayer, find_class_layers
from imbdense.mm.assigned_counts.feature_sizes import pad_divisor
from imbdense.mm.assigned_counts.images import DrawnImage

ANCHOR_HEADS = ('AnchorHead', 'RetinaHead', 'RetinaSepBNHead', 'ATSSHead', 'GFLHead', 'TOODHead', 'PAAHead', 'RPNHead')
POINT_HEADS = ('FCOSHead', 'NASFCOSHead', 'FoveaHead')
ROI_HEADS = ('BBoxHead', 'ConvFCBBoxHead', 'Shared2FCBBoxHead', 'Shared4Conv1FCBBoxHead', 'DoubleConvFCBBoxHead')
QUERY_HEADS = (
    'DETRHead', 'ConditionalDETRHead', 'DABDETRHead', 'DeformableDETRHead', 'DINOHead', 'MaskFormerHead',
    'Mask2FormerHead', 'DIIHead',
)  # fmt: skip
BY_PREDICTIONS = {
    'YOLOXHead': 'SimOTA gives each object from 1 to 10 cells by what the network predicts, and the class loss sees no '
                 'other cell',
    'RTMDetHead': 'its dynamic soft labels give each object cells by what the network predicts',
    'RTMDetSepBNHead': 'its dynamic soft labels give each object cells by what the network predicts',
}
"""Heads whose samples have no number before the network is asked, and why."""
ASSIGNERS = ('MaxIoUAssigner', 'ATSSAssigner', 'GridAssigner')
"""Assigners that look at boxes only, not at predictions."""


class Counter(Protocol):
    """Counts the samples of one image for one head, or for the stages of a cascade."""

    classes: int

    def signature(self) -> list[Any]:
        """What the counts depend on besides the images, for the cache key."""

    def count(self, image: DrawnImage) -> NDArray[Any]:
        """(heads, C + 1) int64, the background last. May draw from the global generators, which are seeded."""


@dataclass(frozen=True)
class CountedHeads:
    """A counter and the layers whose samples it counts, one per row."""

    layers: tuple[ClassLayer, ...]
    counter: Counter
    source: str


def make_counters(model: Any, layers: list[ClassLayer]) -> list[CountedHeads]:
    """Return the counters of all ``layers`` of a detector.

    Raises:
        TypeError: samples of a head can not be counted from the annotations; the message names it and says what to do.
    """
    divisor, made, stages = pad_divisor(model), [], []
    for layer in layers:
        name = host_name(layer.head)
        if name in ROI_HEADS:
            stages.append(layer)
            continue
        try:
            counter = _counter(model, layer, name, divisor)
        except TypeError as error:
            raise TypeError(_advice(layer, str(error))) from error
        made.append(CountedHeads((layer,), counter, _source(layer)))
    if stages:
        made.append(_roi_counter(model, stages[0], divisor))
    return made


def host_name(head: Any) -> str:
    """The class of the host that a head is or derives from."""
    for cls in type(head).__mro__:
        if cls.__module__.split('.')[0] in ('mmdet', 'mmseg'):
            return cls.__name__
    return type(head).__name__


def _counter(model: Any, layer: ClassLayer, name: str, divisor: int) -> Counter:
    """The counter of a head that is not a RoI head."""
    from imbdense.mm.assigned_counts.anchors import AnchorCounter, PAACounter
    from imbdense.mm.assigned_counts.grids import YOLOV3Counter
    from imbdense.mm.assigned_counts.points import FCOSCounter, FoveaCounter
    from imbdense.mm.assigned_counts.queries import QueryCounter

    head = layer.head
    if name in QUERY_HEADS:
        if getattr(head, 'num_stuff_classes', 0):
            raise TypeError('its stuff classes are in label images, not in boxes')
        return QueryCounter(_num_queries(model, head), head.num_classes)
    if name in POINT_HEADS:
        return FoveaCounter(head, divisor) if name == 'FoveaHead' else FCOSCounter(head, divisor)
    if name in BY_PREDICTIONS:
        raise TypeError(BY_PREDICTIONS[name])
    if name not in (*ANCHOR_HEADS, 'YOLOV3Head'):
        raise TypeError('this kind of head is not known, or its assignment depends on predictions')
    if getattr(head, 'assigner', None) is None:
        raise TypeError('it has no assigner, because the model was built without train_cfg')
    if type(head.assigner).__name__ not in ASSIGNERS:
        raise TypeError(f'{type(head.assigner).__name__} may look at predictions')
    if name == 'TOODHead' and int(head.initial_epoch) < 1:
        raise TypeError('with initial_epoch=0 its task-aligned assigner, which looks at predictions, is always used')
    if name == 'YOLOV3Head':
        return YOLOV3Counter(head, divisor)
    return (PAACounter if name == 'PAAHead' else AnchorCounter)(head, divisor, name == 'RPNHead')


def _roi_counter(model: Any, asked: ClassLayer, divisor: int) -> CountedHeads:
    """One counter for all stages, also where one of them is asked for, because each is fed by the one before."""
    from imbdense.mm.assigned_counts.proposals import ProposalCounter

    stages = [layer for layer in find_class_layers(model) if host_name(layer.head) in ROI_HEADS]
    try:
        return CountedHeads(tuple(stages), ProposalCounter(model, divisor), f'{_source(asked)}, first proposals')
    except TypeError as error:
        raise TypeError(_advice(asked, str(error))) from error


def _num_queries(model: Any, head: Any) -> int:
    """Queries per image, wherever the detector keeps the number."""
    for owner, name in ((head, 'num_queries'), (model, 'num_queries'), (getattr(model, 'rpn_head', None),
                                                                        'num_proposals')):  # fmt: skip
        value = getattr(owner, name, None)
        if isinstance(value, int):
            return value
    raise TypeError('neither it nor the model tells its number of queries')


def _source(layer: ClassLayer) -> str:
    """Head and assigner, for messages."""
    assigner = getattr(layer.head, 'assigner', None)
    return type(layer.head).__name__ + (f', {type(assigner).__name__}' if assigner is not None else '')


def _advice(layer: ClassLayer, reason: str) -> str:
    """A message that says what to do instead of counting."""
    return (
        f'the samples of {layer.dotted} ({type(layer.head).__name__}) can not be counted from the annotations: '
        f'{reason}. Give prior=<probability> (0.01 is the usual one), or name another layer with target=... '
        f"A loss that corrects a prior needs no such count: without class_counts and count='assigned' it counts what "
        f'it sees while it trains (running counts).'
    )
