"""``--device`` of every verb: what is not there is named, with what is."""

from __future__ import annotations

import importlib

import pytest
import torch

from imbdense.cli.main import VERBS, main

BEFORE = {'predict': ['c.py', 'c.pth', 'a.png'], 'calibrate': ['c.py', 'c.pth'], 'diagnose': ['c.py', 'c.pth'],
          'pseudo-label': ['c.py', 'c.pth', 'a.png', '--out', 'x'],
          'self-train': ['c.py', '--unlabeled', 'x'],
          'predict raster': ['c.py', 'c.pth', 'a.tif', '--out', 'x'],
          'predict points': ['c.py', 'c.pth', 'a.laz', '--out', 'x'],
          'predict change3d': ['c.py', 'c.pth', 'a.laz', 'b.laz', '--out', 'c.laz'],
          'check pool': ['c.py', 'c.pth', '--unlabelled', 'x'],
          'select pool': ['c.py', 'c.pth', '--out', 'x']}  # fmt: skip


def verbs_with_a_device() -> set[str]:
    """Those whose help names --device."""
    found = set()
    for verb in VERBS:
        module = importlib.import_module(f'imbdense.cli.{verb.replace("-", "_")}')
        parts = {verb: module, **{f'{verb} {part}': importlib.import_module(name)
                                  for part, name in getattr(module, 'PARTS', {}).items()}}
        for name, part in parts.items():
            if hasattr(part, 'add_arguments'):
                import argparse

                parser = argparse.ArgumentParser(prog=name)
                part.add_arguments(parser)
                if '--device' in parser.format_help():
                    found.add(name)
    return found


def test_no_verb_is_left_out() -> None:
    assert verbs_with_a_device() == set(BEFORE)


@pytest.mark.parametrize('verb', list(BEFORE))
@pytest.mark.parametrize(('device', 'gpus', 'words'), [
    ('cuda', 0, "'cuda' is asked, but is not there (torch"), ('cuda:3', 2, 'There is: cpu, cuda:0, cuda:1.'),
    ('gpu', 2, "'gpu' is no device; write cpu, cuda"), ('meta', 0, 'There is: cpu.'),
])
def test_a_device_that_is_not_there_is_named(
    verb: str, device: str, gpus: int, words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: gpus)
    with pytest.raises(SystemExit) as stopped:
        main([*verb.split(), *BEFORE[verb], '--device', device])
    error = capsys.readouterr().err
    assert stopped.value.code == 2 and words in error and 'Traceback' not in error
    assert device == 'gpu' or 'leave --device out' in error


def test_a_device_that_is_there_is_taken(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    for device in ('cpu', 'cuda', 'cuda:1'):
        assert main(['predict', 'no_such.py', 'c.pth', 'a.png', '--device', device]) == 2
        assert 'no_such.py' in capsys.readouterr().err
