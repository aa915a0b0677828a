"""The verb report: what it writes, prints and refuses."""

from __future__ import annotations

from imbdense.cli.main import main
from tests.report.work_dirs import segmentation_run


def test_writes_page_and_figure(tmp_path, capsys):
    paths = [str(segmentation_run(tmp_path, name, 0, skill=skill)) for name, skill in (('plain', 0.1), ('ours', 0.5))]
    out, figure = tmp_path / 'out/report.html', tmp_path / 'out/figure.png'
    assert main(['report', *paths, '--out', str(out), '--figure', str(figure), '--title', 'Mine']) == 0
    assert '<h1>Mine</h1>' in out.read_text() and figure.stat().st_size > 5000
    assert 'plain, ours' in capsys.readouterr().out


def test_mistakes_are_one_message(tmp_path, capsys):
    assert main(['report', str(tmp_path / 'nowhere')]) == 2
    assert f'{tmp_path / "nowhere"} is not a folder' in capsys.readouterr().err
    (tmp_path / 'empty').mkdir()
    assert main(['report', str(tmp_path / 'empty')]) == 2
    assert 'imbdense.ReportHook' in capsys.readouterr().err
    path = segmentation_run(tmp_path, 'plain', 0)
    (tmp_path / 'file').write_text('')
    assert main(['report', str(path), '--out', str(tmp_path / 'file/report.html')]) == 2
    assert 'cannot write' in capsys.readouterr().err
