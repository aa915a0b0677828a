"""`imbdense train`: what it says when something is wrong, and that the faults of a long run cost nothing."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch

pytest.importorskip('mmengine')

from imbdense.cli._explain import explain
from imbdense.cli._runner import check_weights
from imbdense.cli.main import UserError, run_verb
from imbdense.mm.checkpoints import latest_checkpoint, load_checkpoint
from tests.integration.toy import write_config


def train(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    """Run the verb in this process; exit code and what went to the error stream."""
    code = run_verb('train', [str(argument) for argument in arguments])
    return code, capsys.readouterr().err


def message(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The message of a run that must end with exit code 2, short and without a traceback."""
    code, error = train(capsys, *arguments)
    assert code == 2
    assert 'Traceback' not in error
    assert len(error.splitlines()) <= 6, error
    return error


def test_trains_and_writes_checkpoints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _ = train(capsys, write_config(tmp_path), '--work-dir', tmp_path / 'run')
    assert code == 0
    assert latest_checkpoint(tmp_path / 'run') == tmp_path / 'run' / 'iter_40.pth'
    assert sorted(path.name for path in (tmp_path / 'run').glob('*.pth')) == ['iter_32.pth', 'iter_40.pth']


def test_missing_config_names_near_ones(capsys: pytest.CaptureFixture[str]) -> None:
    error = message(capsys, 'configs/segmentation/unet_scene_ce.py')
    assert 'there is no config' in error
    assert 'unet_scenes_ce.py' in error


def test_config_that_is_no_python(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / 'broken.py'
    path.write_text('model = dict(type="X"\n')
    assert 'not a valid config' in message(capsys, path)


def test_unknown_type_gets_near_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = message(capsys, write_config(tmp_path), '--work-dir', tmp_path / 'run', '--cfg-options',
                    'model.type=ToyModl')
    assert "'ToyModl' is not a known model" in error
    assert 'ToyModel' in error


def test_unknown_imbdense_type_gets_near_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = message(capsys, write_config(tmp_path), '--work-dir', tmp_path / 'run', '--cfg-options',
                    'train_dataloader.sampler.type=imbdense.RepeatFactorSampl')
    assert 'imbdense.RepeatFactorSampler' in error


def test_unknown_argument_names_it_and_near_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = message(capsys, write_config(tmp_path), '--work-dir', tmp_path / 'run', '--cfg-options',
                    'model.nan_att=3')
    assert "ToyModel has no argument 'nan_att'. Did you mean nan_at" in error


def test_near_names_of_other_scopes_are_told_with_their_scope() -> None:
    pytest.importorskip('mmseg')
    from mmseg.registry import MODELS

    MODELS.import_from_location()
    error = explain(KeyError('CrossEntropyLoss is not in the mmengine::model registry. Please check'), 'my.py')
    assert 'mmseg.CrossEntropyLoss' in error and 'Did you mean CrossEntropyLoss' not in error


def test_the_class_that_was_built_is_named_not_its_private_base() -> None:
    from mmengine.registry import DATASETS

    with pytest.raises(TypeError) as caught:
        DATASETS.build({'type': 'imbdense.IGNLidarHDDataset', 'data_root': '.', 'mappin': 'objects'})
    error = explain(caught.value, 'my.py')
    assert "IGNLidarHDDataset has no argument 'mappin'. Did you mean mapping" in error


@pytest.mark.parametrize(
    ('option', 'expected'),
    [('train_dataloadr.batch_size=2', 'train_dataloader'), ('batch_size', 'key=value')],
)
def test_options_that_fit_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, expected: str
) -> None:
    assert expected in message(capsys, write_config(tmp_path), '--work-dir', tmp_path, '--cfg-options', option)


def test_missing_host(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / 'foreign.py'
    path.write_text("default_scope = 'mmnothing'\n")
    error = message(capsys, path)
    assert 'needs mmnothing, which is not installed' in error
    assert 'pip install' in error


def test_unwritable_work_dir(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocked = tmp_path / 'file'
    blocked.write_text('')
    error = message(capsys, write_config(tmp_path), '--work-dir', blocked / 'run')
    assert f'cannot write to the work dir {blocked / "run"}' in error
    assert '--work-dir' in error


def test_launcher_without_torchrun(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 'tools/dist_train.sh' in message(capsys, write_config(tmp_path), '--work-dir', tmp_path, '--launcher',
                                            'pytorch')


def test_auto_scale_without_base(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 'base_batch_size' in message(capsys, write_config(tmp_path), '--work-dir', tmp_path, '--auto-scale-lr')


@pytest.mark.skipif(torch.cuda.is_available(), reason='what --amp does without a GPU')
def test_amp_on_cpu_is_bfloat16(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write_config(tmp_path, train_cfg='dict(by_epoch=False, max_iters=4)', interval=4)
    code = run_verb('train', [str(config), '--work-dir', str(tmp_path / 'run'), '--amp'])
    assert code == 0
    assert 'bfloat16 autocast on the CPU' in capsys.readouterr().out
    weights = load_checkpoint(tmp_path / 'run' / 'iter_4.pth')['state_dict']
    assert {value.dtype for value in weights.values()} <= {torch.float32, torch.int64}


def test_resume_without_checkpoint_starts_at_the_beginning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_verb('train', [str(write_config(tmp_path)), '--work-dir', str(tmp_path / 'run'), '--resume']) == 0
    assert 'training starts at the beginning' in capsys.readouterr().out


def test_nan_loss_stops_and_tells_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Iteration, loss term and files are named; the checkpoints from before stay."""
    error = message(capsys, write_config(tmp_path, nan_at=19), '--work-dir', tmp_path / 'run')
    assert 'not finite at iteration 19' in error
    assert 'loss_toy = nan' in error
    assert 'learning rate' in error
    assert latest_checkpoint(tmp_path / 'run') == tmp_path / 'run' / 'iter_16.pth'


@pytest.mark.parametrize('workers', [0, 2])
def test_broken_sample_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], workers: int) -> None:
    error = message(capsys, write_config(tmp_path, broken=5, workers=workers), '--work-dir', tmp_path / 'run')
    assert 'image_5.png' in error
    assert 'image file is truncated' in error
    assert 'imbdense check' in error


def test_full_disk_keeps_the_earlier_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The write of iter_16 fails half-way: iter_8 must be there and whole, although only one is kept; then resume."""
    from mmengine.fileio import LocalBackend

    whole_put = LocalBackend.put

    def put(self: LocalBackend, content: bytes, path: str) -> None:
        if 'iter_16' in str(path):
            whole_put(self, content[: len(content) // 2], path)
            raise OSError(errno.ENOSPC, 'No space left on device')
        whole_put(self, content, path)

    monkeypatch.setattr(LocalBackend, 'put', put)
    config = write_config(tmp_path)
    flags = ('--work-dir', tmp_path / 'run', '--cfg-options', 'default_hooks.checkpoint.max_keep_ckpts=1')
    error = message(capsys, config, *flags)
    assert 'No space left on device' in error
    assert '--resume' in error
    assert [path.name for path in (tmp_path / 'run').glob('*.pth*')] == ['iter_8.pth']
    assert load_checkpoint(tmp_path / 'run' / 'iter_8.pth')['meta']['iter'] == 8
    monkeypatch.undo()
    code, _ = train(capsys, config, '--resume', *flags)
    assert code == 0
    assert [path.name for path in (tmp_path / 'run').glob('*.pth')] == ['iter_40.pth']


def test_a_checkpoint_of_another_model_is_not_evaluated(tmp_path: Path) -> None:
    file = tmp_path / 'nine.pth'
    torch.save({'state_dict': torch.nn.Linear(4, 9).state_dict(), 'meta': {}}, file)
    check_weights(torch.nn.Linear(4, 9), str(file))
    with pytest.raises(UserError, match=r'nine\.pth does not fit the model of the config: size mismatch for weight'):
        check_weights(torch.nn.Linear(4, 3), str(file))
