"""Does a pre-trained backbone arrive? Whole and partial loads, wrong files, weights that are replaced afterwards."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

pytest.importorskip('mmseg')

from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope

from imbdense.mm.checkpoints import CheckpointError
from imbdense.mm.hooks.ssp_load_hook import SSPLoadHook, match_tensors
from imbdense.registry import MODELS
from imbdense.utils.paths import configs_dir
from tests.mm.segmentors.semi_cases import fcn


@pytest.fixture(autouse=True)
def _scope() -> Any:
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


def write(path: Path, backbone: dict[str, Any], channels: int, prefix: str = 'backbone.', seed: int = 5) -> Path:
    """The checkpoint of a pre-training of this backbone."""
    torch.manual_seed(seed)
    model = MODELS.build(ConfigDict(
        type='imbdense.SSPPretrainer', backbone=backbone, in_channels=channels,
        task=dict(type='imbdense.SimSiamTask', dim=8, prediction_dim=2)))
    model.init_weights()
    for parameter in model.backbone.parameters():  # not what any initialisation would give
        parameter.data += 0.01
    state = {key.replace('backbone.', prefix, 1): value for key, value in model.state_dict().items()}
    torch.save({'state_dict': state}, path)
    return path


def segmentor(checkpoint: Path | str | None, prefix: str | None = 'backbone.', **changes: Any) -> Any:
    """The segmentor of the tests with an ``init_cfg`` for its backbone."""
    config = fcn()
    config['backbone'].update(changes)
    if checkpoint:
        config['backbone']['init_cfg'] = dict(type='Pretrained', checkpoint=str(checkpoint), prefix=prefix)
    return MODELS.build(ConfigDict(config))


def run(model: Any, loaded: bool = False, spoil: Any = None, **options: Any) -> None:
    """The order of the host: hooks, weights, hooks."""
    runner = SimpleNamespace(model=model, optim_wrapper=object(), _has_loaded=loaded)
    hook = SSPLoadHook(**options)
    hook.before_run(runner)
    model.init_weights()
    if spoil:
        spoil(model)
    hook.before_train(runner)


def test_a_segmentor_gets_every_tensor(tmp_path: Path) -> None:
    file = write(tmp_path / 'ssp.pth', fcn()['backbone'], 8)
    model = segmentor(file)
    run(model)
    stored = torch.load(file)['state_dict']
    for key, value in model.backbone.state_dict().items():
        assert 'num_batches' in key or torch.equal(value, stored[f'backbone.{key}']), key


def test_a_detector_of_our_configs_gets_every_tensor(tmp_path: Path) -> None:
    pytest.importorskip('mmdet')
    config = Config.fromfile(str(configs_dir() / 'detection' / 'atss_mobilenetv2_bccd_focal.py')).model
    config.backbone.update(frozen_stages=-1, init_cfg=None)
    with DefaultScope.overwrite_default_scope('mmdet'):
        file = write(tmp_path / 'ssp.pth', config.backbone, 320)
        config.backbone.init_cfg = dict(type='Pretrained', checkpoint=str(file), prefix='backbone.')
        model = MODELS.build(config)
        run(model, min_matched=1.0)
    stored = torch.load(file)['state_dict']
    assert torch.equal(model.backbone.conv1.conv.weight, stored['backbone.conv1.conv.weight'])


def test_another_number_of_bands_is_a_small_part_and_is_named(tmp_path: Path, caplog: Any) -> None:
    """One tensor of 20 and more does not fit: the rest is used, the log says so."""
    file = write(tmp_path / 'ssp.pth', fcn()['backbone'], 8)
    with pytest.raises(CheckpointError, match=r'1 of another shape: encoder.0.0.convs.0.conv.weight \(8, 3, 3, 3\)'):
        run(segmentor(file, in_channels=4), min_matched=1.0)
    run(segmentor(file, in_channels=4))


@pytest.mark.parametrize(('changes', 'what'), [
    (dict(base_channels=4), 'of another shape'), (dict(enc_num_convs=(2, 2, 2)), 'missing in the file'),
    (dict(dec_num_convs=(2, 2)), 'missing in the file'),
])
def test_a_backbone_of_another_build_is_an_error_before_training(
    tmp_path: Path, changes: dict[str, Any], what: str
) -> None:
    """The host would only have logged a line."""
    model = segmentor(write(tmp_path / 'ssp.pth', fcn()['backbone'], 8), **changes)
    with pytest.raises(CheckpointError, match=rf'(?s)of \d+ tensors of backbone.*{what}'):
        run(model)


def test_a_wrong_prefix_is_an_error_that_lists_the_prefixes(tmp_path: Path) -> None:
    file = write(tmp_path / 'ssp.pth', fcn()['backbone'], 8, prefix='encoder_q.')
    with pytest.raises(CheckpointError, match=r"'backbone\.'; they begin with encoder_q\., task\."):
        run(segmentor(file))
    run(segmentor(file, prefix='encoder_q'))


def test_a_file_without_prefix_names_the_backbone_itself(tmp_path: Path) -> None:
    bare = MODELS.build(fcn()['backbone'])
    torch.save(bare.state_dict(), tmp_path / 'bare.pth')
    run(segmentor(tmp_path / 'bare.pth', prefix=None))
    with pytest.raises(CheckpointError, match=r'(?s)0\.0%.*missing in the file'):
        run(segmentor(write(tmp_path / 'ssp.pth', fcn()['backbone'], 8), prefix=None))


def test_broken_and_missing_files_and_missing_keys(tmp_path: Path) -> None:
    file = write(tmp_path / 'ssp.pth', fcn()['backbone'], 8)
    (tmp_path / 'broken.pth').write_bytes(file.read_bytes()[:2000])
    with pytest.raises(CheckpointError, match=r'broken\.pth is truncated'):
        run(segmentor(tmp_path / 'broken.pth'))
    with pytest.raises(CheckpointError, match='there is no checkpoint'):
        run(segmentor(tmp_path / 'none.pth'))
    state = torch.load(file)['state_dict']
    kept = {key: value for number, (key, value) in enumerate(state.items()) if number % 10}
    torch.save({'state_dict': kept}, tmp_path / 'holes.pth')
    with pytest.raises(CheckpointError, match='missing in the file'):
        run(segmentor(tmp_path / 'holes.pth'))


def test_weights_that_something_replaced_afterwards_are_noticed(tmp_path: Path) -> None:
    def again(model: Any) -> None:
        for name, parameter in model.backbone.named_parameters():
            if 'conv' in name:
                parameter.data.normal_()

    file = write(tmp_path / 'ssp.pth', fcn()['backbone'], 8)
    with pytest.raises(CheckpointError, match='initialised the module again'):
        run(segmentor(file), spoil=again)
    run(segmentor(file), spoil=again, loaded=True)  # resumed: the weights are those of the run


def test_no_init_cfg_and_no_such_module_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='loads nothing'):
        run(segmentor(None))
    with pytest.raises(ValueError, match=r"no module 'trunk'.*'backbone'"):
        run(segmentor(None), module='trunk')


def test_a_test_run_is_left_alone() -> None:
    runner = SimpleNamespace(model=segmentor(None), optim_wrapper=None)
    SSPLoadHook().before_run(runner)


def test_matching_by_hand() -> None:
    own = {'a': torch.zeros(2), 'b': torch.zeros(3), 'c': torch.zeros(1), 'd': torch.zeros(1)}
    given = {'a': torch.zeros(2), 'b': torch.zeros(4), 'c': torch.zeros(1), 'e': torch.zeros(1)}
    match = match_tensors(own, given | {'x.num_batches_tracked': torch.zeros(())})
    assert (match.matched, match.missing, match.unexpected, match.share) == (['a', 'c'], ['d'], ['e'], 0.5)
    assert match.misshapen == ['b (4,) for (3,)']
