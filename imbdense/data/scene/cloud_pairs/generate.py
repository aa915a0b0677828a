"""One pair of clouds from configuration to files."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.scene import classes as c
from imbdense.data.scene.camera import Camera
from imbdense.data.scene.cloud_pairs.config import CHANGE_CLASSES, CloudPairConfig
from imbdense.data.scene.cloud_pairs.edits import draw_changes, draw_earthworks
from imbdense.data.scene.cloud_pairs.solve import DatedCloud, SurveyedPair, solve_changes
from imbdense.data.scene.clouds.config import CloudConfig
from imbdense.data.scene.clouds.crew import Crew
from imbdense.data.scene.clouds.fusion import Cloud
from imbdense.data.scene.clouds.generate import array_digest
from imbdense.data.scene.clouds.survey import Surveyor
from imbdense.data.scene.dial import solve_mix
from imbdense.data.scene.export_images import npz_bytes
from imbdense.data.scene.flight import plan_flight
from imbdense.data.scene.manifest import (
    MANIFEST,
    TIMING,
    Manifest,
    file_digest,
    finished_folder,
    input_digests,
    library_versions,
)
from imbdense.data.scene.pairs.edits import Edit
from imbdense.data.scene.partial import whole_folder
from imbdense.data.scene.placement import SceneObject
from imbdense.data.scene.rng import child_seed, stream
from imbdense.data.scene.shade import make_light
from imbdense.data.scene.world import Building, WorldBuilder

FORMAT = 1
STEMS = ('epoch1', 'epoch2')
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class CloudPairManifest(Manifest):
    """Content of ``manifest.json`` of a pair of clouds.

    ``change``: what was asked, per class and together, and what the points of date 2 have. ``points``: points per date
    and change class ('ignored' = ground of earthworks). ``edits``: made edits by class and operation, with their points
    at date 2. ``registration``: (x, y, z in m, rotation vector in degrees) of the rigid error of each date. ``arrays``,
    ``files``: sha256.
    """

    version: int
    seed: int
    config: dict[str, Any]
    inputs: dict[str, str]
    libs: dict[str, str]
    change: dict[str, Any]
    points: list[dict[str, int]]
    edits: dict[str, dict[str, int]]
    earthworks: list[dict[str, float]]
    mix: dict[str, Any]
    registration: list[list[float]]
    arrays: dict[str, str]
    files: dict[str, str]


def generate_cloud_pair(config: CloudPairConfig, out_dir: str | Path, *, workers: int = 1,
                        progress: Progress | None = None) -> CloudPairManifest:
    """Generate one pair into ``out_dir`` and return its manifest.

    Writes ``epoch1.<format>`` and ``epoch2.<format>``: ``xyz``, the attributes of the survey, ``scene_class`` uint8
    (STPLS3D id), ``instance`` (ids of that date, -1 = none) and ``semantic`` = the change class 0–6, -1 = ignored; see
    :meth:`imbdense.data.scene.cloud_pairs.labels.ChangeMap.label`. Both dates have a flight, sun, noise and rigid
    registration error of their own. ``edits.json`` lists the edits, ``manifest.json`` the rest. The folder appears
    whole; one that holds exactly this pair is kept. Files but ``timing.json`` do not depend on ``workers``.

    Raises:
        ImportError: Open3D is missing; tells how to install it.
        FileWriteError: ``out_dir`` cannot be written or another process is generating into it.
        ValueError: the configuration cannot be used, or a survey gives no point.
    """
    target = Path(out_dir)
    finished = finished_cloud_pair(target, config)
    if finished is not None:
        return finished
    scene = config.cloud.scene
    with whole_folder(target) as work:
        start = time.perf_counter()
        builder = WorldBuilder(scene)
        cameras = plan_flight(scene, builder.terrain)
        dial = solve_mix(scene, builder, cameras)
        fixed, edits = draw_changes(builder, dial.objects)
        everything = [*fixed, *(item for edit in edits for item in (*edit.before, *edit.after, *edit.otherwise))]
        works = draw_earthworks(builder, everything, config.earthworks)
        with Crew(min(workers, len(cameras)), work) as crew:
            surveys = [_surveyor(config.cloud, builder, date, crew, progress) for date in (0, 1)]
            pair = solve_changes(config, builder, fixed, edits, works, surveys)
        moves = [draw_registration(config, date) for date in (0, 1)]
        arrays = [_arrays(dated, move, scene.size) for dated, move in zip(pair.dates, moves)]
        for stem, values in zip(STEMS, arrays):
            _write(work, stem, values, config.cloud.formats)
        records = [_record(edit, points) for edit, points in _counted(pair)]
        (work / 'edits.json').write_text(json.dumps(records, indent=1) + '\n', encoding='utf-8')
        manifest = _manifest(config, pair, moves, arrays, dial.report,
                             {path.name: file_digest(path) for path in sorted(work.iterdir())})
        (work / MANIFEST).write_text(manifest.to_json(), encoding='utf-8')
        seconds = round(time.perf_counter() - start, 3)
        (work / TIMING).write_text(json.dumps({'workers': workers, 'seconds': seconds}) + '\n', encoding='utf-8')
    return manifest


def _surveyor(config: CloudConfig, builder: WorldBuilder, date: int, crew: Crew, progress: Progress | None) -> Surveyor:
    """What surveys date 0 or 1: flight errors, sun and all noise from a seed of that date."""
    own = config.changed(scene={'seed': child_seed(config.scene.seed, 'date', date)})
    cameras: list[Camera] = plan_flight(own.scene, builder.terrain)
    return Surveyor(own, builder.terrain, cameras, make_light(own.scene), crew, progress)


def draw_registration(config: CloudPairConfig, date: int) -> NDArray[np.float64]:
    """Return the rigid error of a date, float64 (6,): shift in m and rotation vector in degrees, normal per axis."""
    shift, angle = config.registration
    normal = stream(config.cloud.scene.seed, 'registration', date).standard_normal(6)
    return np.concatenate([shift * normal[:3], angle * normal[3:]])


def moved(xyz: NDArray[np.float64], move: NDArray[np.float64], size: float) -> NDArray[np.float64]:
    """Return points (N, 3) turned about the centre of the scene at height 0, then shifted; whole millimetres."""
    from scipy.spatial.transform import Rotation

    centre = np.array([size / 2, size / 2, 0.0])
    rotation = Rotation.from_rotvec(move[3:], degrees=True).as_matrix()
    return np.round((xyz - centre) @ rotation.T + centre + move[:3], 3)


def _arrays(dated: DatedCloud, move: NDArray[np.float64], size: float) -> dict[str, NDArray[Any]]:
    """The arrays of one date."""
    cloud: Cloud = dated.survey.cloud
    return {'xyz': moved(cloud.xyz, move, size), **cloud.attributes, 'scene_class': cloud.semantic,
            'semantic': dated.label, 'instance': cloud.instance}


def _write(folder: Path, stem: str, arrays: dict[str, NDArray[Any]], formats: tuple[str, ...]) -> None:
    """Write one date in every format."""
    for suffix in formats:
        path = folder / f'{stem}.{suffix}'
        if suffix == 'npz':
            path.write_bytes(npz_bytes(**arrays))
            continue
        from imbdense.data.points import PointCloud, write_points

        labels = {name: arrays[name].astype(np.int64) for name in ('semantic', 'instance')}
        rest = {name: value for name, value in arrays.items() if name not in ('xyz', *labels)}
        write_points(path, PointCloud(arrays['xyz'], rest, **labels))


def _counted(pair: SurveyedPair) -> list[tuple[Edit, int]]:
    """The made edits with their points at date 2."""
    edit = pair.dates[1].edit
    points = np.bincount(edit[edit >= 0], minlength=max(pair.changes.made, default=0) + 1)
    return [(item, int(points[number])) for number, item in pair.changes.made.items()]


def _record(edit: Edit, points: int) -> dict[str, Any]:
    """JSON record of one edit: where it is at the date that has it."""
    item = (edit.before or edit.after)[0]
    if isinstance(item, Building):
        name, (x, y) = c.CLASS_NAMES[c.BUILDING], item.plan.footprint.mean(axis=0)
    elif isinstance(item, SceneObject):
        name, x, y = c.CLASS_NAMES[item.class_id], item.x, item.y
    else:
        raise TypeError(f'an edit is of a building or an object, not of {item!r}')
    return {'change': edit.kind, 'operation': edit.operation, 'class': name, 'points': points,
            'position': [round(float(x), 3), round(float(y), 3)]}


def _manifest(config: CloudPairConfig, pair: SurveyedPair, moves: list[NDArray[np.float64]],
              arrays: list[dict[str, NDArray[Any]]], mix: dict[str, Any], files: dict[str, str]) -> CloudPairManifest:
    """Sum the pair up."""
    points = []
    for dated in pair.dates:
        counts = np.bincount(dated.label + 1, minlength=len(CHANGE_CLASSES) + 1)
        points.append(dict(zip(('ignored', *CHANGE_CLASSES), counts.tolist())))
    edits: dict[str, dict[str, int]] = {}
    for edit, number in _counted(pair):
        entry = edits.setdefault(f'{edit.kind}: {edit.operation}', {'number': 0, 'points': 0})
        entry['number'] += 1
        entry['points'] += number
    works = [{name: round(value, 3) for name, value in dataclasses.asdict(work).items()} for work in pair.changes.works]
    return CloudPairManifest(
        FORMAT, config.cloud.scene.seed, config.to_dict(), input_digests(config.cloud.scene), library_versions(),
        pair.report, points, dict(sorted(edits.items())), works, mix,
        [[round(float(value), 6) for value in move] for move in moves],
        {f'{stem}/{name}': array_digest(value) for stem, values in zip(STEMS, arrays)
         for name, value in values.items()},
        files)


def finished_cloud_pair(folder: Path, config: CloudPairConfig) -> CloudPairManifest | None:
    """Return the manifest of ``folder`` if it holds exactly this pair, whole; else ``None``."""
    return finished_folder(CloudPairManifest, FORMAT, folder, config.to_dict(), config.cloud.scene)
