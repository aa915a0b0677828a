"""The host's sliding windows without the padding: the same logits, and nothing left behind."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

pytest.importorskip('mmseg')

from imbdense.registry import HOOKS
from tests.helpers.raster_scene import write_model


def test_logits_of_the_host_bit_for_bit(tmp_path: Path) -> None:
    from mmengine.config import Config, ConfigDict
    from mmengine.registry import MODELS, init_default_scope

    config = Config.fromfile(write_model(tmp_path)[0])
    init_default_scope('mmseg')
    model = MODELS.build(config.model).eval()
    model.test_cfg = ConfigDict(mode='slide', crop_size=(32, 32), stride=(21, 32))
    inputs = torch.randn((2, 3, 70, 90), generator=torch.Generator().manual_seed(0))
    metas = [{'ori_shape': (70, 90), 'img_shape': (70, 90), 'pad_shape': (70, 90), 'padding_size': [0, 0, 0, 0]}] * 2
    hook, runner = HOOKS.build({'type': 'imbdense.SlideInferenceHook'}), SimpleNamespace(model=model)
    with torch.no_grad():
        expected = model.inference(inputs, [dict(meta) for meta in metas])
        hook.before_test(runner)
        assert 'slide_inference' in model.__dict__
        assert torch.equal(model.inference(inputs, [dict(meta) for meta in metas]), expected)
    hook.after_test(runner)
    assert 'slide_inference' not in model.__dict__


def test_a_model_without_windows_is_refused() -> None:
    with pytest.raises(ValueError, match='has no slide_inference'):
        HOOKS.build({'type': 'imbdense.SlideInferenceHook'}).before_val(SimpleNamespace(model=torch.nn.Identity()))
