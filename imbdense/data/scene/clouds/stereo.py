"""Dense image matching of one exposure, with the faults it has: what one image contributes to the cloud."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbdense.data.scene.camera import Camera
from imbdense.data.scene.clouds.config import CloudConfig
from imbdense.data.scene.clouds.samples import Samples, bin_samples
from imbdense.data.scene.config import FlightConfig
from imbdense.data.scene.flight import footprint
from imbdense.data.scene.raycast import NO_HIT, Hits, RayCaster
from imbdense.data.scene.render import expose, labels
from imbdense.data.scene.rng import stream
from imbdense.data.scene.shade import Light, shade
from imbdense.data.scene.world import World

CORRELATION = 4.0
"""Standard deviation in matched pixels of the window that correlates the depth noise."""
BIAS = 1e-3
"""Low-frequency depth error per depth (residual distortion, drift of the block)."""
_BIAS_CELLS = 4
_JUMP = 0.03
_GRADIENT = 2.0
_THIN_KEPT = 0.25


@dataclass(frozen=True)
class Matches:
    """What matching found in one image. ``samples``: the points, binned; ``pixels`` int64 (256,): pixels of the matched
    grid per raw class (255 = nothing met)."""

    samples: Samples
    pixels: NDArray[np.int64]


def baseline(config: CloudConfig) -> float:
    """Return the baseline b in m: the asked one, or the along-track step ``(1 - o_f) H_g`` of the flight."""
    flight: FlightConfig = config.scene.flight
    if config.stereo.baseline is not None:
        return config.stereo.baseline
    return (1 - flight.overlap_forward) * footprint(flight)[1]


def depth_sigma(config: CloudConfig, depth: NDArray[np.float32] | float) -> NDArray[np.float32]:
    """Return ``sigma_z = z² · sigma_px / (f · b)`` in m for depths z in m; f is the focal length of the *image* in
    pixels."""
    flight = config.scene.flight
    focal = flight.width / 2 / math.tan(math.radians(flight.fov_x) / 2)
    factor = np.float32(config.stereo.sigma_px / (focal * baseline(config)))
    return np.asarray(depth, np.float32) ** 2 * factor


def match_image(config: CloudConfig, world: World, caster: RayCaster, light: Light, camera: Camera) -> Matches:
    """Return what the exposure of ``camera`` contributes.

    Depth at ``match_scale`` is (1) mixed with the other side within ``fatten_px`` of a depth jump of more than 3 %, (2)
    given noise ``sigma_z`` with a correlation of 4 pixels and a low-frequency bias of 1e-3 z. Pixels are dropped with
    probability ``textureless · exp(-g / 2)``, g = mean grey-level gradient in 5 × 5 pixels of the sensor's image, and
    ``1 - clip(cos θ / grazing, 0, 1)``. Of objects less than two pixels wide (a pixel whose neighbours left and right,
    or above and below, both belong to something else) the fraction (width / 2)² = 1/4 is kept. Points are put back with
    a pose that is off by ``pose_sigma``. All randomness comes from the image's own stream.
    """
    stereo, scene = config.stereo, config.scene
    rng = stream(scene.seed, 'match', camera.number)
    origin, directions = camera.rays(stereo.match_scale)
    shape = camera.directions(stereo.match_scale).shape[:2]
    hits = caster.cast(origin, directions)
    semantic, instance = labels(world, hits)
    radiance = shade(world, caster, hits, light, scene.render.texture, scene.render.haze_distance)
    rgb = expose(radiance.reshape(*shape, 3), scene.render, rng)
    met = (hits.face != NO_HIT).reshape(shape)
    depth = np.where(met, hits.depth.reshape(shape), np.float32(0))
    kept = met & (rng.random(shape, np.float32) >= _drop(config, rgb, hits, directions))
    if stereo.attrition:
        kept &= ~_thin(instance.reshape(shape)) | (rng.random(shape, np.float32) < _THIN_KEPT)
    matched = _fatten(depth, met, round(stereo.fatten_px * stereo.match_scale), rng)
    sigma = depth_sigma(config, matched)
    noisy = matched + sigma * correlated_noise(shape, rng) + np.float32(BIAS) * matched * smooth_noise(shape, rng)
    offset = np.array([*(stereo.pose_sigma[0] * rng.standard_normal(2)), stereo.pose_sigma[1] * rng.standard_normal()])
    point = (origin + offset).astype(np.float32) + noisy.reshape(-1, 1) * directions
    inside = np.all((point[:, :2] >= 0) & (point[:, :2] < scene.size), axis=1) & (noisy.ravel() > 0)
    chosen = np.flatnonzero(inside & kept.ravel())
    samples = bin_samples(point[chosen], rgb.reshape(-1, 3)[chosen], semantic[chosen], instance[chosen],
                          sigma.ravel()[chosen], stereo.voxel)
    return Matches(samples, np.bincount(semantic, minlength=256))


def _drop(config: CloudConfig, rgb: NDArray[np.uint8], hits: Hits, directions: NDArray[np.float32]
          ) -> NDArray[np.float32]:
    """Probability (H, W) that a pixel finds no match: too little texture, or too oblique a surface."""
    from scipy.ndimage import uniform_filter

    grey = rgb.astype(np.float32).mean(axis=2)
    down, across = np.gradient(grey)
    gradient = uniform_filter(np.hypot(down, across), 5, mode='nearest')
    blank = np.float32(config.stereo.textureless) * np.exp(gradient * np.float32(-1 / _GRADIENT))
    cosine = np.abs(np.einsum('ij,ij->i', hits.normal, directions)) / np.linalg.norm(directions, axis=1)
    flat = 1 - np.clip(cosine.reshape(grey.shape) / np.float32(max(config.stereo.grazing, 1e-6)), 0, 1)
    return (1 - (1 - blank) * (1 - flat)).astype(np.float32)


def _thin(instance: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """Pixels (H, W) of objects that are one pixel wide along rows or columns; image borders count as inside."""
    padded = np.pad(instance, 1, mode='edge')
    rows, columns = instance.shape

    def shifted(down: int, right: int) -> NDArray[np.bool_]:
        return padded[1 + down: 1 + down + rows, 1 + right: 1 + right + columns] != instance

    thin = np.zeros(instance.shape, bool)
    for down, right in ((0, 1), (1, 0)):
        thin |= shifted(down, right) & shifted(-down, -right)
    return thin & (instance > 0)


def _fatten(depth: NDArray[np.float32], met: NDArray[np.bool_], reach: int, rng: np.random.Generator
            ) -> NDArray[np.float32]:
    """Depth (H, W) where pixels within ``reach`` of a jump take a mix of the nearest and the farthest depth there: a
    weight of arcsine law, so most go to one of the two sides and a few fly between."""
    from scipy.ndimage import binary_dilation, maximum_filter, minimum_filter

    weight = np.sin(np.float32(np.pi / 2) * rng.random(depth.shape, np.float32)) ** 2
    if reach == 0:
        return depth
    jump = np.zeros(depth.shape, bool)
    for axis in (0, 1):
        near, far = (np.take(depth, range(start, depth.shape[axis] - 1 + start), axis) for start in (0, 1))
        edge = np.abs(near - far) > _JUMP * np.minimum(near, far)
        if axis == 0:
            jump[:-1] |= edge
            jump[1:] |= edge
        else:
            jump[:, :-1] |= edge
            jump[:, 1:] |= edge
    close = binary_dilation(jump, iterations=reach - 1) if reach > 1 else jump
    window = 2 * reach + 1
    low = minimum_filter(np.where(met, depth, np.float32(np.inf)), window)
    high = maximum_filter(depth, window)
    mixed = np.where(np.isfinite(low), low + weight * (high - low), depth)
    return np.where(close & met, mixed, depth).astype(np.float32)


def correlated_noise(shape: tuple[int, int], rng: np.random.Generator, sigma: float = CORRELATION
                     ) -> NDArray[np.float32]:
    """Return white noise under a Gaussian window of ``sigma`` pixels, rescaled to unit variance, float32 (H, W).

    The rescaling is the window's own ``2 sqrt(pi) sigma`` (periodic border), not the sample's deviation: a small image
    keeps the variance it should have on average.
    """
    from scipy.ndimage import gaussian_filter

    white = rng.standard_normal(shape, np.float32)
    return gaussian_filter(white, sigma, mode='wrap', truncate=3.0) * np.float32(_window_gain(sigma))


@functools.lru_cache(maxsize=4)
def _window_gain(sigma: float) -> float:
    """1 / deviation of unit white noise under the truncated, sampled window."""
    reach = int(3.0 * sigma + 0.5)
    window = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return float(1 / np.square(window / window.sum()).sum())


def smooth_noise(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a field (H, W) of about unit variance that bends a few times across the image."""
    from scipy.ndimage import zoom

    nodes = rng.standard_normal((_BIAS_CELLS, _BIAS_CELLS)).astype(np.float32)
    field: NDArray[np.float32] = zoom(nodes, (shape[0] / _BIAS_CELLS, shape[1] / _BIAS_CELLS), order=3, mode='nearest',
                                      grid_mode=True)
    return field[: shape[0], : shape[1]]


def no_points_hint(config: CloudConfig) -> str:
    """Return what to change when no voxel is seen often enough."""
    flight = config.scene.flight
    return (f'no voxel of {config.stereo.voxel} m is agreed on by {config.stereo.min_views} images: raise '
            f'flight.overlap_forward={flight.overlap_forward} or flight.overlap_side={flight.overlap_side}, or lower '
            f'stereo.min_views.')
