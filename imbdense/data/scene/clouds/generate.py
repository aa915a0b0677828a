"""One cloud from configuration to files."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.scene import classes as c
from imbdense.data.scene import mix
from imbdense.data.scene.clouds.config import CloudConfig
from imbdense.data.scene.clouds.crew import Crew
from imbdense.data.scene.clouds.dial import CloudDial, solve_cloud_mix
from imbdense.data.scene.clouds.files import cloud_arrays, write_cloud
from imbdense.data.scene.clouds.stereo import depth_sigma
from imbdense.data.scene.clouds.survey import Surveyor
from imbdense.data.scene.flight import ground_sampling_distance, plan_flight
from imbdense.data.scene.manifest import (
    MANIFEST,
    TIMING,
    Manifest,
    file_digest,
    finished_folder,
    input_digests,
    library_versions,
)
from imbdense.data.scene.partial import whole_folder
from imbdense.data.scene.shade import make_light
from imbdense.data.scene.workers import ImageJob, image_folders, image_name, render_images
from imbdense.data.scene.world import WorldBuilder

FORMAT = 1
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class CloudManifest(Manifest):
    """Content of ``manifest.json`` of a cloud; equal for equal configuration and libraries, whatever the workers.

    ``counts``, each by class name: 'points', 'pixels' (of the matched grid, or echoes of a laser survey), 'instances'
    (in the scene), 'visible_instances' (with at least one point). ``shares``: of all points. ``imbalance_ratio``:
    max/min points over the present object classes; ``mix``: what the dial was asked and reached. ``gsd``: nominal
    ground sampling of the images, m. ``depth_sigma``: depth noise at flying height, m (range noise for lidar).
    ``arrays``: sha256 of the bytes of every array of the cloud; ``files``: sha256 of every file.
    """

    version: int
    mode: str
    seed: int
    config: dict[str, Any]
    inputs: dict[str, str]
    libs: dict[str, str]
    num_images: int
    gsd: float
    depth_sigma: float
    counts: dict[str, dict[str, int]]
    shares: dict[str, float]
    imbalance_ratio: float | None
    mix: dict[str, Any]
    arrays: dict[str, str]
    files: dict[str, str]


def generate_cloud(config: CloudConfig, out_dir: str | Path, *, workers: int = 1, progress: Progress | None = None
                   ) -> CloudManifest:
    """Generate one cloud into ``out_dir`` and return its manifest.

    Writes ``cloud.<format>`` (``xyz`` float64 m in scene coordinates, ``semantic`` uint8 raw STPLS3D ids 0–19,
    ``instance`` int32 with -1 = none, and the attributes of the mode), ``cameras.json``, ``instances.json``,
    ``manifest.json``; with ``config.images`` also ``images/``, ``masks/``, ``inst/`` and ``depth/`` of the same world,
    as :func:`imbdense.data.scene.generate_scene` writes them. The folder appears whole; one that holds exactly this
    cloud is kept. All files but ``timing.json`` are equal to the byte for every ``workers``.

    Args:
        config: the cloud.
        out_dir: its folder; its parent is made.
        workers: processes that share the images.
        progress: called with (images or strips done, all of them), from the start again in every round of the dial.

    Raises:
        ImportError: Open3D (or the library of a format) is missing; tells how to install it.
        FileWriteError: ``out_dir`` cannot be written or another process is generating into it.
        ValueError: the configuration cannot be used, or no voxel is seen by enough images.
    """
    target = Path(out_dir)
    finished = finished_cloud(target, config)
    if finished is not None:
        return finished
    with whole_folder(target) as work:
        start = time.perf_counter()
        builder = WorldBuilder(config.scene)
        cameras = plan_flight(config.scene, builder.terrain)
        light = make_light(config.scene)
        with Crew(min(workers, len(cameras)), work) as crew:
            survey = Surveyor(config, builder.terrain, cameras, light, crew, progress)
            dial = solve_cloud_mix(config.scene, builder, list(cameras), survey)
        files: dict[str, str] = {}
        if config.images:
            for name in image_folders(config.scene):
                (work / name).mkdir()
            results = render_images(ImageJob(config.scene, dial.world, light, {}, work), cameras, workers, None)
            files = {name: digest for result in results for name, digest in result.files.items()}
        names = write_cloud(work, dial.survey.cloud, config.formats)
        records = [camera.record(f'images/{image_name(camera.number)}.png') for camera in cameras]
        (work / 'cameras.json').write_text(json.dumps({'images': records}) + '\n', encoding='utf-8')
        (work / 'instances.json').write_text(json.dumps({'instances': dial.world.instances}) + '\n', encoding='utf-8')
        files |= {name: file_digest(work / name) for name in [*names, 'cameras.json', 'instances.json']}
        manifest = _manifest(config, dial, len(cameras), dict(sorted(files.items())))
        (work / MANIFEST).write_text(manifest.to_json(), encoding='utf-8')
        seconds = round(time.perf_counter() - start, 3)
        (work / TIMING).write_text(json.dumps({'workers': workers, 'seconds': seconds}) + '\n', encoding='utf-8')
    return manifest


def _manifest(config: CloudConfig, dial: CloudDial, images: int, files: dict[str, str]) -> CloudManifest:
    """Sum the cloud up."""
    cloud, scene = dial.survey.cloud, config.scene
    points = np.bincount(cloud.semantic, minlength=256)
    owner = np.array([0] + [c.CLASS_IDS[item['class']] for item in dial.world.instances])
    seen = np.unique(cloud.instance)
    counts = {'points': points, 'pixels': dial.survey.pixels, 'instances': np.bincount(owner[1:], minlength=256),
              'visible_instances': np.bincount(owner[seen[seen > 0]], minlength=256)}
    sigma = float(depth_sigma(config, scene.flight.agl)) if config.mode == 'photogrammetry' else \
        config.lidar.range_sigma
    weights = mix.target_weights(scene)
    return CloudManifest(
        FORMAT, config.mode, scene.seed, config.to_dict(), input_digests(scene), library_versions(), images,
        ground_sampling_distance(scene.flight), round(sigma, 6),
        {kind: {name: int(values[number]) for number, name in c.CLASS_NAMES.items()}
         for kind, values in counts.items()},
        {name: int(points[number]) / max(len(cloud), 1) for number, name in c.CLASS_NAMES.items()},
        mix.imbalance_ratio({number: float(points[number]) for number in weights}), dial.report,
        {name: array_digest(array) for name, array in cloud_arrays(cloud).items()}, files)


def array_digest(array: NDArray[Any]) -> str:
    """Return the sha256 of an array's bytes in C order."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def finished_cloud(folder: Path, config: CloudConfig) -> CloudManifest | None:
    """Return the manifest of ``folder`` if it holds exactly this cloud, whole; else ``None``."""
    return finished_folder(CloudManifest, FORMAT, folder, config.to_dict(), config.scene)
