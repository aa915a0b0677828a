"""One scene from configuration to files."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from imbdense.data.scene import classes as c
from imbdense.data.scene import mix
from imbdense.data.scene.camera import Camera
from imbdense.data.scene.config import SceneConfig
from imbdense.data.scene.dial import DialResult, solve_mix
from imbdense.data.scene.export_geotiff import write_ortho
from imbdense.data.scene.flight import ground_sampling_distance, plan_flight
from imbdense.data.scene.label_noise import Fault, draw_faults
from imbdense.data.scene.manifest import (
    FORMAT,
    MANIFEST,
    TIMING,
    SceneManifest,
    file_digest,
    finished_scene,
    input_digests,
    library_versions,
)
from imbdense.data.scene.partial import whole_folder
from imbdense.data.scene.raycast import RayCaster
from imbdense.data.scene.shade import make_light
from imbdense.data.scene.workers import ImageJob, ImageResult, image_folders, image_name, render_images
from imbdense.data.scene.world import WorldBuilder

Progress = Callable[[int, int], None]


def generate_scene(config: SceneConfig, out_dir: str | Path, *, workers: int = 1, progress: Progress | None = None
                   ) -> SceneManifest:
    """Generate one scene into ``out_dir`` and return its manifest.

    Writes ``images/``, ``masks/`` (raw class ids, 255 = void), ``inst/`` (16 bit), ``depth/``, ``cameras.json``,
    ``instances.json``, the ortho products and ``manifest.json``; with label noise also ``masks_clean/`` and
    ``inst_clean/``. The folder appears whole: a run that is killed leaves only a hidden work folder, which the next run
    replaces. A folder that already holds exactly this scene (configuration, libraries, sha256 of all files) is kept and
    its manifest returned. All files but ``timing.json`` are equal to the byte for every ``workers``.

    Args:
        config: the scene.
        out_dir: folder of the scene; its parent is made.
        workers: processes that render images.
        progress: called with (images done, images in all).

    Raises:
        ImportError: Open3D (or rasterio, for the ortho products) is missing; tells how to install it.
        FileWriteError: ``out_dir`` cannot be written or another process is generating into it.
        ValueError: the configuration or an input file cannot be used.
    """
    target = Path(out_dir)
    finished = finished_scene(target, config)
    if finished is not None:
        return finished
    with whole_folder(target) as work:
        clock = [time.perf_counter()]
        builder = WorldBuilder(config)
        cameras = plan_flight(config, builder.terrain)
        dial = solve_mix(config, builder, cameras)
        clock.append(time.perf_counter())
        faults = draw_faults(config, dial.world.instances)
        light = make_light(config)
        for name in image_folders(config):
            (work / name).mkdir()
        results = render_images(ImageJob(config, dial.world, light, faults, work), cameras, workers, progress)
        clock.append(time.perf_counter())
        others = _write_records(work, dial, cameras, faults)
        if config.output.ortho:
            others += write_ortho(config, dial.world, RayCaster(dial.world), light, work)
        clock.append(time.perf_counter())
        files = {name: digest for result in results for name, digest in result.files.items()}
        files |= {name: file_digest(work / name) for name in others}
        manifest = _manifest(config, dial, results, dict(sorted(files.items())))
        (work / MANIFEST).write_text(manifest.to_json(), encoding='utf-8')
        seconds = dict(zip(('world_and_dial', 'images', 'records_and_ortho'), np.diff(clock).round(3).tolist()))
        (work / TIMING).write_text(json.dumps({'workers': workers, 'seconds': seconds}) + '\n', encoding='utf-8')
    return manifest


def _write_records(work: Path, dial: DialResult, cameras: Sequence[Camera], faults: dict[int, Fault]) -> list[str]:
    """``cameras.json`` and ``instances.json``."""
    records = [camera.record(f'images/{image_name(camera.number)}.png') for camera in cameras]
    (work / 'cameras.json').write_text(json.dumps({'images': records}) + '\n', encoding='utf-8')
    instances = []
    for item in dial.world.instances:
        fault = faults.get(item['id'])
        annotated = item['class'] if fault is None else c.CLASS_NAMES[fault.class_id]
        instances.append(item | {'fault': None if fault is None else fault.kind,
                                 'annotated_class': None if fault is not None and fault.kind == 'drop' else annotated})
    (work / 'instances.json').write_text(json.dumps({'instances': instances}) + '\n', encoding='utf-8')
    return ['cameras.json', 'instances.json']


def _manifest(config: SceneConfig, dial: DialResult, results: Sequence[ImageResult], files: dict[str, str]
              ) -> SceneManifest:
    """Sum the images up."""
    clean = np.sum([result.clean for result in results], axis=0)
    annotated = np.sum([result.annotated for result in results], axis=0)
    images = np.sum([result.clean > 0 for result in results], axis=0)
    owner = np.array([0] + [c.CLASS_IDS[item['class']] for item in dial.world.instances])
    seen = np.unique(np.concatenate([result.seen for result in results]))
    placed = np.bincount(owner[1:], minlength=256)
    visible = np.bincount(owner[seen[seen > 0]], minlength=256)
    labelled = int(clean.sum() - clean[c.VOID])
    weights = mix.target_weights(config)
    return SceneManifest(
        FORMAT, config.seed, config.to_dict(), input_digests(config), library_versions(), len(results),
        ground_sampling_distance(config.flight),
        {'pixels': _named(clean), 'annotated_pixels': _named(annotated), 'instances': _named(placed),
         'visible_instances': _named(visible), 'images': _named(images)},
        {name: int(clean[number]) / max(labelled, 1) for number, name in c.CLASS_NAMES.items()},
        mix.imbalance_ratio({number: float(clean[number]) for number in weights}), dial.report, files)


def _named(counts: Any) -> dict[str, int]:
    """Array of 256 counts → class name: count."""
    return {name: int(counts[number]) for number, name in c.CLASS_NAMES.items()}
