"""Rendering the images of a scene, here or in worker processes; the results do not depend on which."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.scene.camera import Camera
from imbdense.data.scene.config import SceneConfig
from imbdense.data.scene.export_images import npz_bytes, png_bytes
from imbdense.data.scene.label_noise import Fault, apply_faults
from imbdense.data.scene.raycast import RayCaster
from imbdense.data.scene.render import render_view
from imbdense.data.scene.shade import Light
from imbdense.data.scene.world import World
from imbdense.utils.worker_pool import worker_pool


@dataclass(frozen=True)
class ImageJob:
    """Everything a process needs to render images of one scene into ``folder``."""

    config: SceneConfig
    world: World
    light: Light
    faults: dict[int, Fault]
    folder: Path


@dataclass(frozen=True)
class ImageResult:
    """``clean``, ``annotated``: pixels per raw class (256,); ``seen``: instance ids; ``files``: sha256 by path."""

    clean: NDArray[np.int64]
    annotated: NDArray[np.int64]
    seen: NDArray[np.int64]
    files: dict[str, str]


class ImageRenderer:
    """Renders and writes single images of a job; builds the ray-casting scene once."""

    def __init__(self, job: ImageJob) -> None:
        self.job = job
        self.caster = RayCaster(job.world)

    def __call__(self, camera: Camera) -> ImageResult:
        """Render ``camera``, write its files and return what they hold."""
        job = self.job
        view = render_view(job.config, job.world, self.caster, job.light, camera)
        name = image_name(camera.number)
        contents = {f'images/{name}.png': png_bytes(view.rgb, level=1)}
        semantic, instance = view.semantic, view.instance
        if job.config.label_noise.fraction > 0:
            contents[f'masks_clean/{name}.png'] = png_bytes(semantic)
            contents[f'inst_clean/{name}.png'] = png_bytes(instance)
            semantic, instance = apply_faults(semantic, instance, job.faults, job.config.label_noise.erode_pixels)
        contents[f'masks/{name}.png'] = png_bytes(semantic)
        contents[f'inst/{name}.png'] = png_bytes(instance)
        if job.config.output.depth:
            contents[f'depth/{name}.npz'] = npz_bytes(depth=view.depth)
        for relative, content in contents.items():
            (job.folder / relative).write_bytes(content)
        digests = {relative: hashlib.sha256(content).hexdigest() for relative, content in contents.items()}
        return ImageResult(np.bincount(view.semantic.ravel(), minlength=256),
                           np.bincount(semantic.ravel(), minlength=256), np.unique(view.instance), digests)


def image_name(number: int) -> str:
    """Return the stem of image ``number``."""
    return f'{number:05d}'


def image_folders(config: SceneConfig) -> list[str]:
    """Return the sub-folders the renderer writes into."""
    noisy = ['masks_clean', 'inst_clean'] if config.label_noise.fraction > 0 else []
    return ['images', 'masks', 'inst', *noisy, *(['depth'] if config.output.depth else [])]


def render_images(job: ImageJob, cameras: Sequence[Camera], workers: int, progress: Callable[[int, int], None] | None
                  ) -> list[ImageResult]:
    """Render all ``cameras`` with ``workers`` processes (1 = in this one), results in camera order.

    Worker processes are spawned, not forked: a fork of a process that already used Open3D's or torch's threads can
    hang.

    Raises:
        RuntimeError: a worker died (for example killed for want of memory).
    """
    results: list[ImageResult] = []
    for result in _results(job, cameras, workers):
        results.append(result)
        if progress is not None:
            progress(len(results), len(cameras))
    return results


def _results(job: ImageJob, cameras: Sequence[Camera], workers: int) -> Iterator[ImageResult]:
    """Yield results in order."""
    if workers <= 1 or len(cameras) < 2:
        yield from map(ImageRenderer(job), cameras)
        return
    try:
        with worker_pool(min(workers, len(cameras)), start=_start, arguments=(job,)) as pool:
            yield from pool.map(_render, cameras, chunksize=max(len(cameras) // (8 * workers), 1))
    except BrokenProcessPool as error:
        raise RuntimeError('a rendering process died, most likely for want of memory; run the same command again with '
                           'fewer workers: finished scenes are kept.') from error


def map_tasks(task: Callable[[Any], Any], jobs: Sequence[Any], workers: int) -> Iterator[Any]:
    """Yield ``task(job)`` of whole scenes in order, over ``workers`` spawned processes (1 = in this one).

    Raises:
        RuntimeError: a worker died (for example killed for want of memory).
    """
    if workers <= 1 or len(jobs) < 2:
        yield from map(task, jobs)
        return
    try:
        with worker_pool(min(workers, len(jobs))) as pool:
            yield from pool.map(task, jobs)
    except BrokenProcessPool as error:
        raise RuntimeError('a worker process died, most likely for want of memory; run the same command again with '
                           'fewer workers: finished scenes are kept.') from error


_renderer: ImageRenderer | None = None


def _start(job: ImageJob) -> None:
    """Initialise a worker process."""
    global _renderer
    _renderer = ImageRenderer(job)


def _render(camera: Camera) -> ImageResult:
    """Task of a worker process."""
    if _renderer is None:
        raise RuntimeError('the worker process was not initialised')
    return _renderer(camera)
