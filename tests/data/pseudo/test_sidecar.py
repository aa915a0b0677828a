"""What may be written where."""

from __future__ import annotations

from pathlib import Path

import pytest

from imbdense.data.pseudo import SidecarError, claim_folder
from imbdense.data.pseudo.sidecar import SIDECAR

IDENTITY = {'checkpoint': 'abc', 'rule': {'type': 'x', 'threshold': 0.5}}


def test_equal_run_goes_on(tmp_path: Path) -> None:
    assert claim_folder(tmp_path / 'out', IDENTITY) is False
    (tmp_path / 'out' / 'label.png').write_bytes(b'')
    assert claim_folder(tmp_path / 'out', dict(reversed(IDENTITY.items()))) is True


def test_other_run_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    claim_folder(tmp_path, IDENTITY)
    before = (tmp_path / SIDECAR).read_bytes()
    with pytest.raises(SidecarError, match=r'checkpoint: abc there, xyz now'):
        claim_folder(tmp_path, {**IDENTITY, 'checkpoint': 'xyz'})
    assert (tmp_path / SIDECAR).read_bytes() == before


def test_foreign_files_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / 'pseudo_labels.json').write_text('{}')
    with pytest.raises(SidecarError, match='nothing in it is overwritten'):
        claim_folder(tmp_path, IDENTITY)
    assert [path.name for path in tmp_path.iterdir()] == ['pseudo_labels.json']


@pytest.mark.parametrize('content', ['{', '[]'])
def test_broken_sidecar(tmp_path: Path, content: str) -> None:
    (tmp_path / SIDECAR).write_text(content)
    with pytest.raises(SidecarError):
        claim_folder(tmp_path, IDENTITY)
