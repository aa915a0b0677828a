"""Versions are found by import name, without importing anything."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from imbdense.utils import versions


def test_a_distribution_is_found_by_its_import_name() -> None:
    assert list(versions.distributions_of('yaml')) == ['PyYAML']
    assert versions.parse_version(versions.module_version('torch') or '') >= (2, 4)


def test_two_distributions_of_one_import_name_are_both_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, version in (('fork-a', '1.0'), ('original-a', '2.0')):
        info = tmp_path / f'{name.replace("-", "_")}-{version}.dist-info'
        info.mkdir()
        (info / 'METADATA').write_text(f'Name: {name}\nVersion: {version}\n')
        (info / 'top_level.txt').write_text('shared_module_name\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    versions._providers.cache_clear()
    try:
        assert versions.distributions_of('shared_module_name') == {'fork-a': '1.0', 'original-a': '2.0'}
    finally:
        versions._providers.cache_clear()


def test_absent_and_plain_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert versions.module_version('no_such_module_here') is None
    (tmp_path / 'lonely_source_module.py').write_text('raise RuntimeError("must not be imported")\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    assert versions.module_version('lonely_source_module') == 'unknown'
    assert 'lonely_source_module' not in sys.modules


@pytest.mark.parametrize(('text', 'parsed'), [
    ('2.13.0+cpu', (2, 13, 0)), ('2.0rc4', (2, 0)), ('0.10.12', (0, 10, 12)), ('unknown', ()), ('', ()),
])
def test_leading_numbers_of_a_version(text: str, parsed: tuple[int, ...]) -> None:
    assert versions.parse_version(text) == parsed
