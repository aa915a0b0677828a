"""The pretrainer: batches of the host, names of its tensors, mistakes; the views and their preprocessor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip('mmseg')

from mmengine.config import ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope

from imbdense.mm.pretrainers.tasks import SHORT
from imbdense.registry import MODELS, TRANSFORMS
from tests.mm.segmentors.semi_cases import PREPROCESSOR, fcn

STEPS = [
    dict(type='RandomCrop', crop_size=(32, 32)), dict(type='RandomFlip', prob=0.5), dict(type='PhotoMetricDistortion'),
]  # fmt: skip
SMALL: dict[str, dict[str, Any]] = {
    'rotation': {}, 'jigsaw4': {}, 'simsiam': dict(dim=16, prediction_dim=4), 'mocov2': dict(dim=8, queue_size=32),
    'densecl': dict(dim=8, queue_size=32, grid=2),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _scope() -> Any:
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


def build(task: Any = 'simsiam', **options: Any) -> Any:
    """For the U-Net of the tests (8 channels at the end)."""
    torch.manual_seed(0)
    name = task if isinstance(task, str) else task['type']
    if name in SMALL:
        task = dict(type=f'imbdense.{SHORT[name].__name__}', **SMALL[name])
    model = MODELS.build(ConfigDict(
        type='imbdense.SSPPretrainer', backbone=fcn()['backbone'], in_channels=8, task=task,
        data_preprocessor=PREPROCESSOR, **options))  # fmt: skip
    model.init_weights()
    return model.train()


def sample(seed: int = 0, transforms: Any = STEPS, **more: Any) -> dict[str, Any]:
    """One image through ``TwoCropViews``."""
    rng = np.random.default_rng(seed)
    np.random.seed(seed)
    image = rng.integers(0, 255, (48, 40, 3)).astype(np.uint8)
    view = TRANSFORMS.build(dict(type='imbdense.TwoCropViews', transforms=transforms))
    return view({'img': image, 'img_path': f'{seed}.png', 'ori_shape': (48, 40), 'img_shape': (48, 40), **more})


@pytest.mark.parametrize('task', SMALL)
def test_a_step_of_the_host(task: str) -> None:
    """Collate, preprocess, loss, statistics, gradient to all of the backbone."""
    model = build(task)
    data = model.data_preprocessor(pseudo_collate([sample(seed) for seed in range(4)]), True)
    assert {key: tuple(value.shape) for key, value in data['inputs'].items()} == {
        'view_1': (4, 3, 32, 32), 'view_2': (4, 3, 32, 32)}
    loss, logged = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    assert 'stat_embedding_spread' in logged and torch.isfinite(loss)
    assert all(parameter.grad is not None for parameter in model.backbone.parameters())


def test_every_tensor_of_the_backbone_keeps_its_name() -> None:
    model = build('mocov2')
    bare = MODELS.build(fcn()['backbone'])
    found = {key[9:] for key in model.state_dict() if key.startswith('backbone.')}
    assert found == set(bare.state_dict())
    assert all(key.startswith(('backbone.', 'task.')) for key in model.state_dict())


def test_the_momentum_encoder_begins_as_the_initialised_backbone() -> None:
    model = build('densecl')
    for key, value in model.backbone.state_dict().items():
        assert torch.equal(value, model.task.key_backbone.state_dict()[key])


def test_short_names_and_configs_build_the_same() -> None:
    assert type(build('simsiam').task) is SHORT['simsiam']
    assert build(dict(type='imbdense.MoCoTask', dim=4, queue_size=7)).task.queue.keys.shape == (7, 4)
    with pytest.raises(ValueError, match='densecl'):
        build('simclr')
    with pytest.raises(TypeError, match='queue_sise'):
        build(dict(type='imbdense.MoCoTask', queue_sise=7))


def test_one_view_is_enough_for_some_tasks_and_named_for_others() -> None:
    pack = TRANSFORMS.build(dict(type='PackSegInputs'))
    plain = [
        pack({'img': np.zeros((32, 32, 3), np.uint8), 'img_path': 'a', 'ori_shape': (32, 32), 'img_shape': (32, 32)})
        for _ in range(4)
    ]
    model = build('rotation')
    data = model.data_preprocessor(pseudo_collate(plain), True)
    assert torch.isfinite(model(**data, mode='loss')['loss_pretext'])
    with pytest.raises(ValueError, match=r'needs 2 views.*TwoCropViews'):
        build('simsiam')(**data, mode='loss')
    mixed = pseudo_collate([plain[0], sample()])
    with pytest.raises(ValueError, match='same views'):
        model.data_preprocessor(mixed, True)


def test_there_is_no_prediction_but_there_are_features() -> None:
    model = build()
    inputs = {'view_1': torch.zeros(1, 3, 32, 32)}
    assert len(model(inputs)) == 3
    with pytest.raises(ValueError, match='predict'):
        model(inputs, mode='predict')


def test_views_differ_in_place_and_colour_and_follow_the_seed() -> None:
    out, again = sample(3), sample(3)
    one, two = (out['inputs'].views[name] for name in ('view_1', 'view_2'))
    assert one.shape == two.shape == (3, 32, 32) and not torch.equal(one, two)
    assert torch.equal(one, again['inputs'].views['view_1']) and torch.equal(two, again['inputs'].views['view_2'])
    only_moved = sample(3, transforms=STEPS[:2])['inputs'].views
    assert not torch.equal(only_moved['view_1'], only_moved['view_2']), 'geometry is drawn for each'


def test_labels_are_dropped_before_a_transform_can_see_them() -> None:
    seen = []

    def spy(results: dict[str, Any]) -> dict[str, Any]:
        seen.append(set(results))
        return results

    out = sample(0, transforms=[spy], gt_seg_map=np.zeros((48, 40), np.uint8), seg_map_path='never.png',
                 gt_bboxes=np.zeros((1, 4)), seg_fields=['gt_seg_map'])
    assert len(seen) == 2 and not any('gt' in key or key == 'seg_map_path' for keys in seen for key in keys)
    assert 'gt_sem_seg' not in out['data_samples'].views['view_1']


def test_an_image_a_transform_gives_up_is_given_up() -> None:
    assert sample(0, transforms=[lambda results: None]) is None
