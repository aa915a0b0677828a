"""Flight plan: strips of exposures with given overlaps, one or several sets of heading and tilt."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from imbdense.data.scene.camera import Camera
from imbdense.data.scene.config import FLIGHT_SETS, FlightConfig, SceneConfig
from imbdense.data.scene.rng import stream
from imbdense.data.scene.terrain import Terrain


def footprint(flight: FlightConfig) -> tuple[float, float]:
    """Return the nadir footprint (W_g, H_g) in m: ``W_g = 2 h tan(fov_x / 2)``, ``H_g = W_g · height / width``."""
    across = 2 * flight.agl * math.tan(math.radians(flight.fov_x) / 2)
    return across, across * flight.height / flight.width


def ground_sampling_distance(flight: FlightConfig) -> float:
    """Return the nominal ground sampling distance W_g / width in m."""
    return footprint(flight)[0] / flight.width


def ground_margin(flight: FlightConfig) -> float:
    """Return how far beyond the scene the outermost views can see, in m (capped at 6 flying heights)."""
    across, along = footprint(flight)
    reach = math.hypot(across, along) / 2
    half_fov = math.atan(along / 2 / flight.agl)
    tilts = {tilt for tilt, _ in FLIGHT_SETS[flight.pattern]}
    for tilt in tilts:
        angle = math.radians(tilt) + half_fov + math.radians(3 * flight.attitude_sigma)
        far = math.tan(min(angle, math.radians(80))) - math.tan(math.radians(tilt))
        reach = max(reach, math.hypot(flight.agl * far, across * (1 + far) / 2))
    return min(reach + 3 * flight.gps_sigma + 4, 6 * flight.agl)


def plan_flight(config: SceneConfig, terrain: Terrain) -> list[Camera]:
    """Return the exposures of ``config.flight`` over the scene.

    Along-track step ``(1 - o_f) H_g``, strip spacing ``(1 - o_s) W_g``; the numbers are rounded up and the exposures
    spread evenly, so a scene smaller than one footprint gets a single strip. The aim point of every exposure lies in
    the scene; oblique cameras stand back by ``h·tan(tilt)``. Height is above the local ground. GPS and attitude errors
    come from each image's own stream.
    """
    flight, size = config.flight, config.size
    across, along = footprint(flight)
    strips = max(math.ceil(size / max((1 - flight.overlap_side) * across, 1e-6) - 1e-9), 1)
    shots = max(math.ceil(size / max((1 - flight.overlap_forward) * along, 1e-6) - 1e-9), 1)
    cameras: list[Camera] = []
    for tilt, heading in FLIGHT_SETS[flight.pattern]:
        forward = np.array([math.sin(math.radians(heading)), math.cos(math.radians(heading))])
        right = np.array([forward[1], -forward[0]])
        for strip in range(strips):
            for shot in range(shots):
                order = shot if strip % 2 == 0 else shots - 1 - shot
                place = np.full(2, size / 2) + right * ((strip + 0.5) / strips - 0.5) * size \
                    + forward * ((order + 0.5) / shots - 0.5) * size
                cameras.append(_expose(config, terrain, len(cameras), place, heading, tilt))
    return cameras


def _expose(config: SceneConfig, terrain: Terrain, number: int, aim: NDArray[np.float64], heading: float,
            tilt: float) -> Camera:
    """One camera with its pose errors."""
    flight = config.flight
    rng = stream(config.seed, 'flight', number)
    angle, lean = math.radians(heading), math.radians(tilt)
    forward = np.array([math.sin(angle), math.cos(angle), 0.0])
    down = np.array([0.0, 0.0, -1.0])
    axis_x = np.array([math.cos(angle), -math.sin(angle), 0.0])
    axis_z = math.cos(lean) * down + math.sin(lean) * forward
    rotation = np.stack([axis_x, np.cross(axis_z, axis_x), axis_z], axis=1)
    rotation = rotation @ _small_rotation(np.radians(flight.attitude_sigma) * rng.standard_normal(3))
    position = np.array([aim[0], aim[1], float(terrain.height_at(*aim)) + flight.agl])
    position[:2] -= forward[:2] * flight.agl * math.tan(lean)
    position += flight.gps_sigma * rng.standard_normal(3)
    c2w = np.eye(4)
    c2w[:3, :3], c2w[:3, 3] = rotation, position
    focal = flight.width / 2 / math.tan(math.radians(flight.fov_x) / 2)
    intrinsics = np.array([[focal, 0, flight.width / 2], [0, focal, flight.height / 2], [0, 0, 1.0]])
    return Camera(number, intrinsics, flight.distortion, c2w, flight.width, flight.height, heading, tilt, flight.agl)


def _small_rotation(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation vector → matrix (Rodrigues)."""
    theta = float(np.linalg.norm(angles))
    if theta < 1e-12:
        return np.eye(3)
    x, y, z = angles / theta
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + math.sin(theta) * cross + (1 - math.cos(theta)) * cross @ cross
