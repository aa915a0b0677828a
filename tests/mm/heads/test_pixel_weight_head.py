"""Pixel weights on their way into the losses of mmseg's heads."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mmengine.structures import PixelData

pytest.importorskip('mmseg')

from mmengine.registry import MODELS, init_default_scope
from mmseg.structures import SegDataSample
from torch import Tensor

FCN = dict(type='FCNHead', in_channels=6, in_index=0, channels=4, num_convs=1, concat_input=False, dropout_ratio=0.0,
           num_classes=4, norm_cfg=None, align_corners=False)  # fmt: skip
HOST = dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)
LOSSES = [
    HOST,
    dict(HOST, avg_non_ignore=True),
    dict(HOST, class_weight=[1.0, 2.0, 3.0, 4.0]),
    [dict(HOST, loss_name='loss_a'), dict(type='imbdense.LogitAdjustLoss', class_counts=[90, 5, 4, 1],
                                          loss_name='loss_b')],
    dict(type='imbdense.LDAMLoss', class_counts=[90, 5, 4, 1]),
    dict(type='imbdense.ReweightedCELoss', class_counts=[90, 5, 4, 1]),
]  # fmt: skip
names = [str(loss if isinstance(loss, list) else loss['type'])[:30] for loss in LOSSES]


@pytest.fixture(autouse=True)
def _scope() -> None:
    init_default_scope('mmseg')
    torch.manual_seed(0)


def head(loss: Any, **more: Any) -> Any:
    """An FCN head with the route, and weights that do not depend on it."""
    made = MODELS.build(dict(type='imbdense.PixelWeightHead', base={**FCN, 'loss_decode': loss, **more}))
    generator = torch.Generator().manual_seed(1)
    for parameter in made.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    return made


def samples(*maps: Tensor | None) -> list[SegDataSample]:
    """Labels of 8 x 8 with an ignored row."""
    made = []
    generator = torch.Generator().manual_seed(2)
    for values in maps:
        label = torch.randint(0, 4, (1, 8, 8), generator=generator)
        label[:, 0] = 255
        sample = SegDataSample(gt_sem_seg=PixelData(data=label))
        if values is not None:
            sample.set_data({'seg_weight': PixelData(data=values)})
        made.append(sample)
    return made


def terms(made: Any, batch: list[SegDataSample]) -> dict[str, Tensor]:
    """The loss terms of the head for fixed features."""
    features = torch.randn(len(batch), 6, 8, 8, generator=torch.Generator().manual_seed(3))
    found = made.loss([features], batch, {})
    return {key: value for key, value in found.items() if 'loss' in key}


def test_it_is_the_head_of_the_host_with_its_keys() -> None:
    from mmseg.models import FCNHead

    made, plain = head(HOST), MODELS.build({**FCN, 'loss_decode': HOST})
    assert isinstance(made, FCNHead) and made.state_dict().keys() == plain.state_dict().keys()


@pytest.mark.parametrize('loss', LOSSES, ids=names)
def test_weight_one_changes_no_bit(loss: Any) -> None:
    """No map: the host's call. Maps of ones: the same bits, forward and backward."""
    plain = MODELS.build({**FCN, 'loss_decode': loss})
    made = head(loss)
    plain.load_state_dict(made.state_dict())
    ones = torch.ones(1, 8, 8)
    for batch in (samples(None, None), samples(ones, None), samples(ones, ones)):
        for one in (plain, made):
            one.zero_grad()
            sum(terms(one, batch).values()).backward()
        expected, found = terms(plain, samples(None, None)), terms(made, batch)
        assert expected.keys() == found.keys()
        assert all(torch.equal(expected[key], found[key]) for key in expected)
        for one, other in zip(plain.parameters(), made.parameters()):
            assert torch.equal(one.grad, other.grad)


@pytest.mark.parametrize('loss', LOSSES, ids=names)
def test_a_pixel_pulls_by_its_weight(loss: Any) -> None:
    """The loss is linear in the maps: the second image at 1/4 is 1/4 of the way between without it and with it."""
    made = head(loss)
    none, full, quarter = (
        terms(made, samples(None, torch.full((1, 8, 8), value))) for value in (0.0, 1.0, 0.25)
    )
    for key in full:
        assert not torch.allclose(none[key], full[key])
        torch.testing.assert_close(quarter[key], none[key] + 0.25 * (full[key] - none[key]))


def test_cross_entropy_by_hand() -> None:
    made, generator = head(HOST), torch.Generator().manual_seed(5)
    maps = torch.rand(2, 1, 8, 8, generator=generator)
    batch = samples(*maps)
    features = torch.randn(2, 6, 8, 8, generator=torch.Generator().manual_seed(3))
    logits = made([features])
    label = torch.cat([sample.gt_sem_seg.data for sample in batch])
    per_pixel = torch.nn.functional.cross_entropy(logits, label, reduction='none', ignore_index=255)
    torch.testing.assert_close(terms(made, batch)['loss_ce'], (per_pixel * maps[:, 0]).sum() / label.numel())


def test_zero_everywhere_is_zero_with_a_graph() -> None:
    made = head(HOST)
    loss = terms(made, samples(torch.zeros(1, 8, 8), torch.zeros(1, 8, 8)))['loss_ce']
    loss.backward()
    assert loss == 0 and all((parameter.grad == 0).all() for parameter in made.parameters())


def test_padding_and_a_sampler_of_the_head() -> None:
    """Maps are padded to the label; the head's own pixel sampler is multiplied with, and keeps its place and state."""
    made = head(HOST, sampler=dict(type='imbdense.PixelBalancedSampler', mode='over', class_counts=[90, 5, 4, 1]))
    own, keys = made.sampler, made.state_dict().keys()
    small = torch.full((1, 5, 6), 0.5)
    found = terms(made, samples(small, None))['loss_ce']
    padded = torch.zeros(1, 8, 8)
    padded[:, :5, :6] = 0.5
    torch.testing.assert_close(found, terms(made, samples(padded, None))['loss_ce'])
    assert made.sampler is own and made.state_dict().keys() == keys
    half = torch.full((1, 8, 8), 0.5)
    torch.testing.assert_close(terms(made, samples(half, half))['loss_ce'],
                               0.5 * terms(made, samples(None, None))['loss_ce'])


def test_bfloat16_autocast() -> None:
    made = head(LOSSES[3])
    with torch.autocast('cpu', torch.bfloat16):
        found = terms(made, samples(torch.full((1, 8, 8), 0.3), None))
    assert all(torch.isfinite(value) for value in found.values())
    full = terms(made, samples(torch.full((1, 8, 8), 0.3), None))
    assert all(torch.allclose(found[key].float(), full[key], rtol=0.05) for key in full)


def test_heads_that_take_no_weights_are_refused() -> None:
    build = lambda base: MODELS.build(dict(type='imbdense.PixelWeightHead', base=base))  # noqa: E731
    with pytest.raises(TypeError, match='must be the config of a head'):
        build({'in_channels': 3})
    with pytest.raises(TypeError, match='is no decode head of mmseg'):
        build(dict(type='CrossEntropyLoss'))
    made = head(HOST)
    host = type(made).__mro__[2]

    class Deaf(host):  # type: ignore[misc, valid-type]
        """A head that never asks for weights."""

        def loss_by_feat(self, seg_logits: Tensor, batch_data_samples: Any) -> dict[str, Tensor]:
            return {'loss_ce': seg_logits.sum()}

    from imbdense.mm.heads.pixel_weight_head import weighted_class

    made.__class__ = weighted_class(Deaf)
    assert terms(made, samples(None)).keys() == {'loss_ce'}
    with pytest.raises(TypeError, match='never asks for pixel weights'):
        terms(made, samples(torch.full((1, 8, 8), 0.5)))
