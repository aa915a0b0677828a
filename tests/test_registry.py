"""How a config finds our components: from every scope, with and without custom_imports; near names; two hosts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.registry import MODELS as ROOT_MODELS

from imbdense.registry import MODELS, REGISTRIES

ROOT = Path(__file__).resolve().parents[1]


def resolve(scope: str, custom_imports: bool) -> str:
    """Class that ``type='imbdense.BalancedSoftmaxLoss'`` builds in a fresh process, in a host's default scope."""
    code = f'''
from mmengine.config import Config
from mmengine.registry import DefaultScope, init_default_scope
from mmengine.utils import import_modules_from_strings
cfg = Config(dict(custom_imports=dict(imports=['imbdense'])) if {custom_imports} else dict())
if cfg.get('custom_imports'):
    import_modules_from_strings(**cfg.custom_imports)
init_default_scope('{scope}')
import {scope}.registry
built = {scope}.registry.MODELS.build(dict(type='imbdense.BalancedSoftmaxLoss'))
hook = {scope}.registry.HOOKS.build(dict(type='imbdense.ClassCountHook'))
print(type(built).__module__, type(hook).__module__)
'''
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.parametrize(('scope', 'custom_imports'), [('mmseg', False), ('mmseg', True), ('mmdet', False)])
def test_prefixed_name_resolves_from_every_scope(scope: str, custom_imports: bool) -> None:
    pytest.importorskip(scope)
    expected = 'imbdense.mm.losses.balanced_softmax imbdense.mm.hooks.class_count_hook'
    assert resolve(scope, custom_imports) == expected


def test_wrong_name_is_answered_with_near_ones() -> None:
    with pytest.raises(KeyError, match=r'imbdense\.BalancedSoftmaxLoss.*imbdense list model'):
        ROOT_MODELS.build({'type': 'imbdense.BalancedSoftMax'})
    with pytest.raises(KeyError, match='imbdense has no model'):
        MODELS.get('Zzzzzz')


def test_unknown_argument_is_a_type_error_that_names_it() -> None:
    with pytest.raises(TypeError, match='gama'):
        ROOT_MODELS.build({'type': 'imbdense.ReweightedCELoss', 'gama': 0.5})


def test_names_of_the_hosts_still_resolve_through_ours() -> None:
    pytest.importorskip('mmseg')
    import mmseg.models  # noqa: F401

    assert ROOT_MODELS.get('mmseg.FCNHead').__name__ == 'FCNHead'


def test_every_kind_has_a_registry_of_its_name() -> None:
    assert {'model', 'dataset', 'sampler', 'transform', 'metric', 'hook'} <= set(REGISTRIES)
    assert all(registry.scope == 'imbdense' for registry in REGISTRIES.values())


def test_our_own_registries_answer_in_any_scope(monkeypatch: pytest.MonkeyPatch) -> None:
    import mmengine.logging
    from mmengine.registry import DefaultScope

    from imbdense.registry import PSEUDO_LABELERS

    said: list[str] = []
    monkeypatch.setattr(mmengine.logging, 'print_log', lambda text, *args, **kwargs: said.append(str(text)))
    with DefaultScope.overwrite_default_scope('mmseg'):
        assert PSEUDO_LABELERS.build(dict(type='imbdense.FixedThreshold', num_classes=2)).num_classes == 2
    assert not [text for text in said if 'Failed to search registry' in text]
