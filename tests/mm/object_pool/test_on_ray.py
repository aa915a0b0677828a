"""Pools made by actors of a local Ray equal those made without it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest
from mmengine.registry import DefaultScope

pytest.importorskip('ray', reason='Ray Data is not installed (extra ray)')
pytest.importorskip('mmseg')

import ray

from imbdense.cli.main import run_verb
from imbdense.data.object_pool import PoolWriter
from imbdense.mm.object_pool.build import Take
from imbdense.mm.object_pool.on_ray import build_pool_on_ray
from tests.data.object_pool.pools import contents, image, writer
from tests.mm.pseudo_label.cases import segmentation

pytestmark = pytest.mark.slow  # Ray takes half a minute to start
COUNT = 40


@pytest.fixture(scope='module', autouse=True)
def local_ray() -> Iterator[None]:
    for name, value in (('RAY_USAGE_STATS_ENABLED', '0'), ('RAY_AUTH_MODE', 'disabled')):
        os.environ.setdefault(name, value)
    ray.init(num_cpus=2, include_dashboard=False)
    yield
    ray.shutdown()


class Drawn:
    """Stands for a model: objects drawn for the number of the image; image 7 is broken, image 20 as ``trouble`` says.

    Args:
        trouble: '' = none; 'dies' = the process ends at once, the first time; 'raises' = an error.
    """

    def __init__(self, trouble: str, folder: Path) -> None:
        self.trouble, self.died = trouble, folder / 'died'

    def __call__(self, numbers: Sequence[int], take: Take) -> None:
        for number in numbers:
            if number == 20 and self.trouble == 'raises':
                raise ValueError('no layer of this name')
            if number == 20 and self.trouble == 'dies' and not self.died.exists():
                self.died.touch()
                os._exit(1)
            take(number, 'cannot be read' if number == 7 else image(number))


def by_hand(folder: Path) -> Path:
    """The pool without Ray."""
    with writer(folder, COUNT) as out:
        Drawn('', folder)(out.missing(), out.put)
    return out.finish()


def on_ray(folder: Path, trouble: str = '') -> PoolWriter:
    """A pool that Ray fills."""
    out, seen = writer(folder, COUNT), []
    build_pool_on_ray(out, partial(Drawn, trouble, folder.parent), actors=2,  # type: ignore[arg-type]
                      progress=lambda done, todo: seen.append((done, todo)))
    assert seen == [(done, COUNT) for done in range(1, COUNT + 1)] and out.missing() == []
    return out


@pytest.mark.parametrize('trouble', ['', 'dies'])
def test_the_bytes_are_those_made_without_ray(tmp_path: Path, trouble: str) -> None:
    """Images in any order, one that cannot be read, and an actor that dies and is started anew."""
    made = on_ray(tmp_path / 'ray', trouble).finish()
    assert contents(made) == contents(by_hand(tmp_path / 'plain'))
    assert (tmp_path / 'died').exists() == (trouble == 'dies')


def test_an_error_of_an_actor_is_raised_and_the_next_run_goes_on(tmp_path: Path) -> None:
    with writer(tmp_path / 'pool', COUNT) as out:
        Drawn('', tmp_path)(range(30), out.put)
    with pytest.raises(ray.exceptions.RayError, match='no layer of this name'):
        build_pool_on_ray(writer(tmp_path / 'fresh', COUNT), partial(Drawn, 'raises', tmp_path),  # type: ignore[arg-type]
                          actors=1)
    again = writer(tmp_path / 'pool', COUNT)
    assert again.missing() == list(range(30, COUNT))
    build_pool_on_ray(again, partial(Drawn, 'raises', tmp_path), actors=1)  # type: ignore[arg-type]
    assert contents(again.finish()) == contents(by_hand(tmp_path / 'plain'))


def test_the_command_with_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative paths mean the same in the actors."""
    with DefaultScope.overwrite_default_scope('mmseg'):
        case = segmentation(tmp_path, count=20)
        monkeypatch.chdir(tmp_path)
        arguments = ['pool', case.config.name, case.checkpoint.name, '--images',
                     str(case.images.relative_to(tmp_path)), '--device', 'cpu', '--traceback']
        assert run_verb('select', [*arguments, '--ray', '2', '--out', 'ray']) == 0
        assert run_verb('select', [*arguments, '--workers', '0', '--out', 'plain']) == 0
    assert contents(tmp_path / 'ray') == contents(tmp_path / 'plain')
