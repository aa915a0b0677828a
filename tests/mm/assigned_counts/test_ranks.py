"""Two processes: each counts its share, both know the sum, an error of one reaches both, the biases are equal."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip('mmdet')

from imbdense.mm.assigned_counts import measure as module
from imbdense.mm.assigned_counts.class_layers import find_class_layers
from imbdense.mm.assigned_counts.measure import measure
from tests.helpers.two_ranks import run_two_ranks
from tests.mm.assigned_counts import cases


def _on_rank(folder: str) -> dict[str, Any]:
    """Counts, how many images this rank looked at, the bias of the hook, and what a failure on rank 1 says."""
    import torch.distributed as dist
    from mmengine.logging import MessageHub

    from imbdense.mm.hooks.prior_bias_init_hook import PriorBiasInitHook

    model, dataset = cases.build(cases.retinanet(), init=False), cases.build_dataset(Path(folder))
    layers, shares, original = find_class_layers(model), [], module._share

    def share(heads: Any, source: Any, own: list[Any], seed: int) -> Any:
        shares.append(len(own))
        return original(heads, source, own, seed)

    module._share = share
    counts = measure(model, layers, dataset, max_images=15)['bbox_head'].to_dict()
    runner = SimpleNamespace(
        model=model, iter=0, message_hub=MessageHub.get_instance('ranks'),
        train_dataloader=SimpleNamespace(dataset=dataset, sampler=None),
    )  # fmt: skip
    model.bbox_head.retina_cls.bias.data += dist.get_rank()
    PriorBiasInitHook(max_images=15).before_train(runner)

    def fail(*arguments: Any) -> None:
        raise OSError('disk is gone')

    if dist.get_rank() == 1:
        module._share = fail
    try:
        measure(model, layers, dataset, cache=False)
        error = ''
    except RuntimeError as problem:
        error = str(problem)
    return {'counts': counts, 'shares': shares, 'bias': model.bbox_head.retina_cls.bias.tolist(), 'error': error}


def test_two_ranks(tmp_path: Path) -> None:
    cases.write_coco(tmp_path)
    first, second = run_two_ranks(_on_rank, str(tmp_path))
    model = cases.build(cases.retinanet(), init=False)
    alone = measure(model, find_class_layers(model), cases.build_dataset(tmp_path), max_images=15, cache=False)
    assert first['counts'] == second['counts'] == alone['bbox_head'].to_dict()
    assert (first['shares'][0], second['shares'][0]) == (8, 7)
    assert first['bias'] == second['bias'] and len(set(first['bias'])) == 1
    assert 'counting assigned samples failed on rank 1: OSError: disk is gone' in first['error'] == second['error']
    assert len(list((tmp_path / '.imbdense').glob('assigned-*.json'))) == 1
