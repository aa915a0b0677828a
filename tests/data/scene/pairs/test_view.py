from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from imbdense.data.scene import classes as c
from imbdense.data.scene.pairs import view as module
from imbdense.data.scene.pairs.config import PairConfig
from imbdense.data.scene.pairs.edits import draw_edits
from imbdense.data.scene.pairs.solve import EditedPair, solve_edits, top_of
from imbdense.data.scene.pairs.view import DateView, render_date, shift_of
from imbdense.data.scene.world import WorldBuilder
from tests.data.scene.pairs.conftest import small_pair

pytest.importorskip('open3d')
QUIET: dict[str, Any] = {'render': {'shot_noise': 0.0, 'read_noise': 0.0, 'exposure': (1.0, 1.0)}}


@pytest.fixture(scope='module')
def pair() -> tuple[EditedPair, float]:
    """Both dates of one scene with some trees, few changes."""
    config = small_pair(change_share=0.02, scene=QUIET)
    builder = WorldBuilder(config.scene)
    objects = builder.placer.place({c.HIGH_VEG: 8, c.VEHICLE: 3})
    return solve_edits(config, builder, *draw_edits(builder, objects, config.edits)), top_of(builder)


def second(pair: tuple[EditedPair, float], **parts: Any) -> DateView:
    """The second date under another nuisance."""
    config = small_pair(change_share=0.02, scene=QUIET, **{'season': 0.0, 'illumination': 0.0,
                                                           'misregistration': 0.0, **parts})
    return render_date(config, pair[0].epochs[1], 1, pair[1])


def test_misregistration_moves_only_the_image(pair: tuple[EditedPair, float], monkeypatch: pytest.MonkeyPatch) -> None:
    still = second(pair)
    monkeypatch.setattr(module, 'shift_of', lambda config: (2 * 0.5, -3 * 0.5))  # 2 px to the east, 3 px to the south
    moved = second(pair)
    assert np.array_equal(still.label, moved.label) and np.array_equal(still.surface, moved.surface)
    assert not np.array_equal(still.image, moved.image)
    overlap = np.abs(still.image[3:, 2:].astype(int) - moved.image[:-3, :-2].astype(int)).max(axis=2)
    assert (overlap <= 2).mean() > 0.995


def test_the_shift_has_the_asked_length_and_keeps_its_direction() -> None:
    short, long = shift_of(small_pair(misregistration=0.5)), shift_of(small_pair(misregistration=2.0))
    assert np.hypot(*short) == pytest.approx(0.5 * 0.5) and np.hypot(*long) == pytest.approx(2.0 * 0.5)
    assert np.allclose(np.array(long), 4 * np.array(short))
    assert shift_of(small_pair(misregistration=0.0)) == (0.0, 0.0)


def test_season_turns_plants_and_little_else(pair: tuple[EditedPair, float]) -> None:
    summer, autumn = second(pair), second(pair, season=1.0)
    assert np.array_equal(summer.label, autumn.label)
    names = c.MAPPINGS['land_cover'].classes
    plants = np.isin(summer.label, [names.index('grass'), names.index('tree')])
    sealed = np.isin(summer.label, [names.index('sealed'), names.index('building')])

    def index(view: DateView, where: np.ndarray) -> float:
        """Mean normalised difference of near infrared and red, of linear values."""
        red, nir = (view.image[..., band][where].astype(float) ** 2.2 for band in (0, 3))
        return float(((nir - red) / (nir + red + 1e-9)).mean())

    assert index(summer, plants) > index(summer, sealed) + 0.15
    assert index(autumn, plants) < index(summer, plants) - 0.15
    assert abs(index(autumn, sealed) - index(summer, sealed)) < 0.02


def test_illumination_changes_light_but_no_label(pair: tuple[EditedPair, float]) -> None:
    before, after = second(pair), second(pair, illumination=1.0)
    assert np.array_equal(before.label, after.label) and np.array_equal(before.surface, after.surface)
    assert np.abs(before.image.astype(int) - after.image.astype(int)).mean() > 4


def test_without_nuisance_unchanged_places_look_alike(pair: tuple[EditedPair, float]) -> None:
    config: PairConfig = small_pair(change_share=0.02, scene=QUIET)
    first = render_date(config, pair[0].epochs[0], 0, pair[1])
    alike = np.abs(first.image.astype(int) - second(pair).image.astype(int)).max(axis=2) <= 1
    assert (alike & (first.label == second(pair).label)).mean() > 0.85  # but for the shadows of what changed
