"""``imbdense browse points``: the page and pictures of a cloud, of a prediction in the file or beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imbdense.cli.main import main
from imbdense.data.points import PointCloud
from imbdense.data.points.write import write_points


def cloud(**attributes: np.ndarray) -> PointCloud:
    rng = np.random.default_rng(0)
    return PointCloud(rng.uniform(0, 30, (400, 3)), dict(attributes), rng.choice([2, 6], 400))


def test_page_and_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rgb = np.full((400, 3), 99, np.uint8)
    predicted = np.full(400, 2, np.uint8)
    write_points(tmp_path / 'a.npz', cloud(rgb=rgb, predicted=predicted, change=np.arange(400) % 2))
    assert main(['browse', 'points', str(tmp_path / 'a.npz'), '--layout', 'ign_lidar_hd', '--side', '60',
                 '--points', '100', '--out', str(tmp_path / 'look')]) == 0  # fmt: skip
    assert capsys.readouterr().out.strip().endswith('index.html')
    names = {path.name for path in (tmp_path / 'look').iterdir()}
    layers = ('colour', 'height', 'label', 'prediction', 'error', 'change')
    views = ('top', 'south', 'north-east')
    assert names == {'index.html', *(f'{view}_{layer}.png' for view in views for layer in layers)}
    html = (tmp_path / 'look' / 'index.html').read_text()
    assert '100 of 400 points of a.npz' in html and 'building' in html and 'recall' in html


def test_prediction_of_another_file_and_codes_without_names(tmp_path: Path) -> None:
    one = cloud()
    write_points(tmp_path / 'a.npz', one)
    write_points(tmp_path / 'b.npz', one.replace(semantic=np.full(400, 6)))
    assert main(['browse', 'points', str(tmp_path / 'a.npz'), '--prediction', str(tmp_path / 'b.npz'), '--side', '40',
                 '--out', str(tmp_path / 'look')]) == 0  # fmt: skip
    assert 'code 6' in (tmp_path / 'look' / 'index.html').read_text()
    assert (tmp_path / 'look' / 'top_error.png').is_file()


def test_wrong_use_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_points(tmp_path / 'a.npz', cloud())
    write_points(tmp_path / 'b.npz', cloud().take(slice(10)))

    def said(*arguments: str) -> str:
        assert main(['browse', 'points', *arguments, '--out', str(tmp_path / 'look')]) == 2
        return capsys.readouterr().err

    assert 'does not exist' in said(str(tmp_path / 'gone.npz'))
    assert 'same order' in said(str(tmp_path / 'a.npz'), '--prediction', str(tmp_path / 'b.npz'))
    assert 'layout must be one of' in said(str(tmp_path / 'a.npz'), '--layout', 'mars')
    write_points(tmp_path / 'c.npz', cloud().replace(semantic=np.full(400, 99)))
    assert 'label map does not name: 99' in said(str(tmp_path / 'c.npz'), '--layout', 'ign_lidar_hd')
    with pytest.MonkeyPatch.context() as patch:
        for name in ('DISPLAY', 'WAYLAND_DISPLAY'):
            patch.delenv(name, raising=False)
        patch.setattr('sys.platform', 'linux')
        assert 'needs a display' in said(str(tmp_path / 'a.npz'), '--window')
    assert '--points must be at least 1' in said(str(tmp_path / 'a.npz'), '--points', '0')
