"""What ``select pool`` fills a pool from: a model with one of the sources, or features that were made elsewhere."""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imbdense.cli.main import UserError
from imbdense.core.selection import UNKNOWN_CLASS
from imbdense.data.object_pool import PoolWriter

if TYPE_CHECKING:
    from imbdense.mm.object_pool.build import ObjectExtractor
    from imbdense.mm.object_pool.images import PoolImages
    from imbdense.mm.object_pool.objects import Source
    from imbdense.mm.predictor import Predictor

Progress = Callable[[int, int], None]


def precomputed(args: argparse.Namespace, progress: Progress) -> PoolWriter:
    """Objects of a COCO json with their features from a file."""
    from imbdense.data.object_pool import add_precomputed, open_features
    from imbdense.data.readers.proposals import read_proposals

    annotations = read_proposals(args.proposals, args.classes)
    features = open_features(args.features, annotations)
    ids = [image.file_name for image in annotations.images]
    cost, group = image_costs(args.costs, ids), image_groups(args.group, ids)
    writer = _writer(args, ids, annotations.classes, '', given(args))
    add_precomputed(writer, annotations, features, cost, group, progress)
    return writer


def from_model(args: argparse.Namespace, config: Any, progress: Progress) -> PoolWriter:
    """Objects of one of the four sources, with features of the model; each rank adds its share."""
    from imbdense.mm.object_pool.build import build_pool
    from imbdense.mm.pseudo_label.live import weights_digest
    from imbdense.mm.pseudo_label.outputs import config_digest
    from imbdense.utils.distributed import rank_and_world

    # With Ray this process only writes, often on a machine without a GPU.
    extract, names, labels = extractor(args, config, args.device if args.ray is None else 'cpu')
    identity = {'weights': weights_digest(extract.predictor.model), **labels, **given(args)}
    writer = _writer(args, extract.images.ids, list(args.classes or names), config_digest(config), identity,
                     *rank_and_world())
    if args.ray is None:
        build_pool(writer, extract, workers=args.workers, progress=progress)
        return writer
    from imbdense.mm.object_pool.on_ray import build_pool_on_ray

    build_pool_on_ray(writer, partial(extractor_of_actor, args), actors=args.ray, use_gpu=args.device != 'cpu',
                      progress=progress)
    return writer


def extractor(
    args: argparse.Namespace, config: Any, device: str | None
) -> tuple[ObjectExtractor, Sequence[str], dict[str, Any]]:
    """(what finds the objects, the class names of the source, the fingerprint of labels that are objects)."""
    from imbdense.mm.object_pool.build import ImageFacts, ObjectExtractor
    from imbdense.mm.predictor import Predictor

    predictor = Predictor(config, args.checkpoint, device)
    images = _images(args, config)
    source, names, labels = _source(args, predictor, images)
    cost, group = image_costs(args.costs, images.ids), image_groups(args.group, images.ids)
    return ObjectExtractor(
        images, predictor, source, classes=_class_index(args.classes, names), facts=ImageFacts(cost, group),
        layer=args.layer, amp=args.amp), names, labels


def extractor_of_actor(args: argparse.Namespace) -> ObjectExtractor:
    """The same in an actor of Ray."""
    from imbdense.cli._runner import load_config
    from imbdense.mm.checkpoints import install_safe_loading

    config = load_config(args)
    install_safe_loading()
    return extractor(args, config, args.device)[0]


def _writer(
    args: argparse.Namespace, ids: Sequence[str], classes: Sequence[str], config_hash: str, identity: dict[str, Any],
    rank: int = 0, world: int = 1,
) -> PoolWriter:  # fmt: skip
    """The writer with the options of the command."""
    return PoolWriter(
        args.out, ids, classes, source=args.source, config_hash=config_hash, identity=identity, dtype=args.dtype,
        pca_dim=args.pca_dim, normalize=not args.no_normalize, with_costs=args.costs is not None,
        with_groups=args.group is not None, rank=rank, world=world,
    )  # fmt: skip


def _images(args: argparse.Namespace, config: Any) -> PoolImages:
    """Those of --images, else those of --split."""
    from imbdense.mm.object_pool.images import PoolImages, split_images

    if args.images is None:
        return split_images(config, args.split)
    from imbdense.cli.pseudo_label import listed_images

    files = listed_images(args.images, args.out)
    return PoolImages([file.file_name for file in files], [str(file.path) for file in files])


def _source(
    args: argparse.Namespace, predictor: Predictor, images: PoolImages
) -> tuple[Source, Sequence[str], dict[str, Any]]:
    """(source, its class names, the fingerprint of the labels where they are the objects)."""
    from imbdense.mm.object_pool import objects

    if args.source == 'image':
        return objects.whole_image, [], {}
    if args.source == 'coco-json':
        from imbdense.data.readers.proposals import read_proposals

        annotations = read_proposals(args.proposals)
        return objects.external_proposals(annotations, images), annotations.classes, {}
    if args.source == 'pred':
        return objects.predicted_objects(predictor.model, args.score_thr, args.min_area), predictor.classes, {}
    from imbdense.mm.datasets.label_source import dataset_classes
    from imbdense.mm.inference.save_outputs import data_fingerprint
    from imbdense.mm.prior import locate

    located = (locate(images.dataset, index) for index in images.indices)
    labels = data_fingerprint([base.get_data_info(local) for base, local in located])
    return objects.ground_truth(images, args.min_area), dataset_classes(images.dataset), {'labels': labels}


def _class_index(wanted: Sequence[str] | None, names: Sequence[str]) -> Mapping[int, int]:
    """Class index of the source -> class index of the pool; an unknown class stays unknown."""
    unknown = [name for name in wanted or () if name not in names]
    if unknown:
        raise UserError(f'--classes: there is no class {unknown}; there are {list(names)}.')
    known = {list(names).index(name): place for place, name in enumerate(wanted or names)}
    return known if names else {UNKNOWN_CLASS: UNKNOWN_CLASS}


def image_groups(pattern: str | None, ids: Sequence[str]) -> list[int]:
    """(M,) number of the group of each image, in the order of their first image; 0 without a pattern.

    Raises:
        UserError: no regular expression, one without a group, or an image that it does not match.
    """
    if pattern is None:
        return [0] * len(ids)
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise UserError(f'--group {pattern!r} is no regular expression: {error}.') from error
    if expression.groups < 1:
        raise UserError(f"--group {pattern!r} has no group in parentheses; '(.*)/' takes the folder.")
    numbers: dict[str, int] = {}
    found = []
    for name in ids:
        match = expression.search(name)
        if match is None or match[1] is None:
            raise UserError(f'--group {pattern!r} does not match the image {name!r}.')
        found.append(numbers.setdefault(match[1], len(numbers)))
    return found


def image_costs(path: Path | None, ids: Sequence[str]) -> list[float]:
    """(M,) minutes of each image; 1 without a file.

    Raises:
        UserError: the file cannot be read, lacks an image, or holds something else than positive numbers.
    """
    if path is None:
        return [1.0] * len(ids)
    try:
        costs = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise UserError(f'--costs {path} cannot be read ({error}).') from error
    if not isinstance(costs, dict):
        raise UserError(f'--costs {path} must hold an object {{image: minutes}}.')
    for name in ids:
        value = costs.get(name)
        if not isinstance(value, (int, float)) or not math.isfinite(value) or value <= 0:
            raise UserError(f'--costs {path}: the image {name!r} needs a number of minutes > 0, but has {value!r}.')
    return [float(costs[name]) for name in ids]


def file_digest(path: Path | None) -> str | None:
    """First 16 digits of the sha256 of a file."""
    if path is None:
        return None
    with open(path, 'rb') as stream:
        return hashlib.file_digest(stream, 'sha256').hexdigest()[:16]


def given(args: argparse.Namespace) -> dict[str, Any]:
    """What the command line says about the objects, their features, costs and groups; weights and labels come on
    top."""
    facts: dict[str, Any] = {'group': args.group, 'costs': file_digest(args.costs)}
    if args.source == 'coco-json':
        facts['proposals'] = file_digest(args.proposals)
    if args.features is not None:
        return {**facts, 'features': file_digest(args.features)}
    if args.source in ('gt', 'pred'):
        facts['min_area'] = args.min_area
    if args.source == 'pred':
        facts['score_thr'] = args.score_thr
    return {**facts, 'layer': args.layer, 'amp': args.amp}


def differences(args: argparse.Namespace, meta: Mapping[str, Any]) -> list[str]:
    """In what a complete pool is not what the command line asks for, in words; weights, labels and images are not
    compared, since that takes the model."""
    made_from = meta.get('made_from', {})
    present = {**{key: made_from.get(key) for key in given(args)}, 'source': meta.get('source'),
               'dtype': meta['dtype'], 'pca_dim': meta.get('pca_dim'), 'normalized': meta.get('normalized')}
    wanted = {**given(args), 'source': args.source, 'dtype': args.dtype, 'pca_dim': args.pca_dim,
              'normalized': not args.no_normalize}
    if args.classes is not None:
        present['classes'], wanted['classes'] = meta['classes'], list(args.classes)
    return [f'{key}: {present[key]} there, {wanted[key]} now' for key in wanted if present[key] != wanted[key]]
