"""A finished point segmentor as a function of the raw points of a block: prepared as its config does it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, TRANSFORMS
from numpy.typing import NDArray

from imbdense.core.checks import check_integer
from imbdense.core.points.neighbours import PointTree
from imbdense.data.points import PointCloud, PointReadError, iter_points
from imbdense.data.points.class_map import ClassMap
from imbdense.data.points.fields import Choice, make_plan
from imbdense.data.points.read import open_source
from imbdense.data.points.tiles.buckets import Attributes
from imbdense.mm.inference.finished_model import file_digest
from imbdense.mm.predictor import Predictor, innermost_dataset

LOADER = 'LoadPoints'
PROBED = 1000
"""Points of each file that are sent through the pipeline before anything is computed."""
CONTEXT = 30.0
"""Metres around a block that transforms of whole scenes (height above ground) see beside it."""
DEFAULT_BLOCK = 50.0

Points = dict[str, Any]
"""The sample of a block: ``points`` (N, 3) float32 relative to ``origin``, ``attributes``."""


class PointNetwork:
    """The model of a config with the weights of a checkpoint, for the raw points of a block.

    The test pipeline of the config is run without its loader and cut in two: transforms that act on whole scenes (grid
    sampling, height above ground) see a block with its surroundings, the others the block alone. Points that the
    pipeline reduced get the probabilities of the nearest point that was kept.

    Args:
        config, checkpoint, device: as :class:`~imbdense.mm.predictor.Predictor`.
        rotations: passes per block, turned about the vertical by equal angles; probabilities are averaged.

    Attributes:
        classes, palette: names and colours. codes: (C,) code in files of each class: the smallest that the label map of
            the config makes this class, else its index. margin: metres of surroundings that the pipeline wants.
        block: side of the crops of training in metres, else 50. facts: what the results depend on.

    Raises:
        ValueError: no segmentor of point clouds, or a pipeline without imbdense.LoadPoints.
    """

    def __init__(
        self, config: Config, checkpoint: str | Path, *, device: str | None = None, rotations: int = 1
    ) -> None:
        self.rotations = check_integer('rotations', rotations, low=1, owner='PointNetwork')
        finished = Predictor(config, checkpoint, device)
        self.model: Any = finished.model
        self.device = torch.device(finished.device)
        dataset = innermost_dataset(config)
        steps = dataset['pipeline']
        names = [str(step['type']).rsplit('.', 1)[-1] for step in steps]
        if LOADER not in names or not hasattr(self.model, 'encode_decode'):
            raise ValueError(
                f'{type(self.model).__name__} with the test pipeline {names} is no segmentor of point clouds; its '
                f'pipeline must begin with imbdense.LoadPoints.'
            )
        place = names.index(LOADER)
        self.loader: Any = TRANSFORMS.build(steps[place])
        built = [TRANSFORMS.build(step) for step in steps[:place] + steps[place + 1 :]]
        wide = [number for number, step in enumerate(built) if getattr(step, 'whole_scene', False)]
        cut = wide[-1] + 1 if wide else 0
        self.scene_steps, self.block_steps = built[:cut], built[cut:]
        self.margin = CONTEXT if self.scene_steps else 0.0
        self.classes, self.palette = finished.classes, finished.palette
        known = _class_map(dataset)
        if known is not None and not (finished.content.get('meta', {}).get('dataset_meta') or {}).get('classes'):
            self.classes, self.palette = list(known.classes), list(known.palette)
        self.codes = _codes({} if known is None else known.label_map, len(self.classes))
        self.block = _crop_side(config)
        self.facts = {
            'checkpoint': file_digest(Path(checkpoint)), 'model': str(config.model), 'pipeline': str(steps),
            'rotations': rotations,
        }  # fmt: skip

    def wanted(self, path: Path) -> Sequence[str] | None:
        """Attributes to read of a file: those of the loader without what it fills in where a file has none."""
        names = self.loader.attributes
        if names is None:
            return None
        source = open_source(path)
        return [name for name in names if name not in self.loader.fill or _has(source, name)]

    def attributes(self, cloud: PointCloud, path: Path) -> Attributes:
        """Attributes of a chunk as the loader gives them, float32 (N, k)."""
        found: Attributes = self.loader.float_attributes(cloud, str(path))
        return found

    def probe(self, path: Path) -> Points:
        """Send the first points of a file that lie near each other through the pipeline; return their sample.

        Raises:
            PointReadError, KeyError: the file lacks what the model needs.
        """
        cloud = next(iter_points(path, PROBED, attributes=self.wanted(path)))
        cloud = cloud.take(np.abs(cloud.xyz[:, :2] - cloud.xyz[0, :2]).max(axis=1) <= self.block)
        origin = np.append(np.floor(cloud.xyz[:, :2].min(axis=0)), 0.0)
        sample = _sample(cloud.xyz, self.attributes(cloud, path), origin, str(path))
        everything = np.ones(len(cloud), bool)
        try:
            self.packed(sample, everything, 0.0)
        except KeyError as error:
            raise PointReadError(path, 'fields', f'lacks what the model needs: {error.args[0]}', '') from error
        return sample

    def packed(self, sample: Points, inside: NDArray[np.bool_], angle: float) -> Points | None:
        """Inputs and data sample of a block, as the pipeline packs them; ``None`` where it keeps no point.

        Args:
            sample: points of the block and its surroundings. inside: (N,) those of the block; used where nothing was
                reduced. angle: radians about the vertical axis through the origin of the sample.
        """
        results = dict(sample)
        for step in self.scene_steps:
            results = step(results)
        if len(results['points']) == len(inside) and np.array_equal(results['points'], sample['points']):
            kept = inside
        else:
            kept = _near(results['points'], sample['points'][inside])
        results = _take(results, kept)
        results['points'] = turned(results['points'], angle)
        for step in self.block_steps:
            if results is None or len(results['points']) == 0:
                return None
            results = step(results)
        return results

    def __call__(self, sample: Points, inside: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Probabilities (n, C) float32 of the points ``inside`` of a block.

        Raises:
            ValueError: the pipeline keeps no point of a block that has some.
        """
        total = np.zeros((int(inside.sum()), len(self.classes)), np.float32)
        if not len(total):
            return total
        for number in range(self.rotations):
            angle = 2 * math.pi * number / self.rotations
            packed = self.packed(sample, inside, angle)
            if packed is None:
                raise ValueError(f'the test pipeline keeps none of the {len(total)} points of a block; does it crop?')
            raw = turned(sample['points'][inside], angle)
            kept = packed['inputs']['points'].numpy()
            said = self._probabilities(packed)
            same = kept.shape == raw.shape and np.array_equal(kept, raw)
            total += said if same else said[PointTree(kept).nearest(1, raw)[1][:, 0]]
        return total / np.float32(self.rotations)

    def _probabilities(self, packed: Points) -> NDArray[np.float32]:
        """(n, C) of the packed points."""
        with torch.inference_mode():
            data = self.model.data_preprocessor(pseudo_collate([packed]), False)
            logits = self.model.encode_decode(data['inputs'])
            found: NDArray[np.float32] = logits.float().softmax(1)[data['data_samples'][0].voxel_index].cpu().numpy()
        if found.shape[1] != len(self.classes):
            raise ValueError(f'the model gives {found.shape[1]} scores per point, but there are {len(self.classes)} '
                             f'classes: {self.classes}.')
        return found


def turned(points: NDArray[np.float32], angle: float) -> NDArray[np.float32]:
    """Points turned counter-clockwise about the vertical axis through the origin; angle 0 changes nothing."""
    if angle == 0:
        return points
    cos, sin = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    x, y = points[:, 0], points[:, 1]
    return np.stack((cos * x - sin * y, sin * x + cos * y, points[:, 2]), axis=1)


def _sample(xyz: NDArray[np.float64], attributes: Attributes, origin: NDArray[np.float64], path: str) -> Points:
    """The sample of some points."""
    return {
        'points': (xyz - origin).astype(np.float32), 'origin': origin, 'attributes': attributes,
        'points_path': path, 'scene': Path(path).stem,
    }  # fmt: skip


def _take(results: Points, kept: NDArray[np.bool_]) -> Points:
    """Some points of a sample."""
    from imbdense.mm.transforms.point_fields import take_points

    return take_points(results, kept)


def _near(points: NDArray[np.float32], block: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which reduced points lie in the rectangle of a block's own points."""
    low, high = block[:, :2].min(axis=0), block[:, :2].max(axis=0)
    found: NDArray[np.bool_] = ((points[:, :2] >= low) & (points[:, :2] <= high)).all(axis=1)
    return found if found.any() else np.ones(len(points), bool)


def _has(source: Any, name: str) -> bool:
    """Whether a file has an attribute."""
    try:
        make_plan(source, Choice((name,)))
    except PointReadError:
        return False
    return True


def _class_map(dataset: dict[str, Any]) -> ClassMap | None:
    """Classes and codes of the data set of a config; its files need not be there."""
    settings = {key: value for key, value in dataset.items() if key not in ('pipeline', 'lazy_init')}
    source = getattr(DATASETS.build({**settings, 'pipeline': [], 'lazy_init': True}), 'point_source', None)
    return None if source is None else source.class_map


def _codes(label_map: Mapping[int, int], classes: int) -> list[int]:
    """Code of each class in files."""
    found = [sorted(code for code, train in label_map.items() if train == index) for index in range(classes)]
    return [codes[0] if codes else index for index, codes in enumerate(found)]


def _crop_side(config: Config) -> float:
    """Metres that the crops of training measure."""
    loader = config.get('train_dataloader') or {}
    for step in (loader.get('dataset') or {}).get('pipeline') or ():
        name = str(step['type']).rsplit('.', 1)[-1]
        if name == 'BlockCrop':
            return float(step['size'])
        if name == 'SphereCrop':
            return 2.0 * float(step['radius'])
    return DEFAULT_BLOCK
