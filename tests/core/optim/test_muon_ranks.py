"""distribute=True on two ranks against one process; the gathered state; shards are refused."""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
import torch
import torch.distributed as dist
from torch import nn

from imbdense.core.optim import MuonAdamW, sharding
from imbdense.core.optim.sharding import owners, refuse_shards
from tests.helpers.two_ranks import run_two_ranks


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 9), nn.Linear(9, 9)
    )


def optimizer_of(net: nn.Module, **options: Any) -> MuonAdamW:
    return MuonAdamW(net.parameters(), 1e-3, 0.1, muon_lr=0.02, **options)


def train(net: nn.Sequential, optimizer: MuonAdamW, first: int, number: int, world: int = 1, rank: int = 0) -> None:
    """Steps on the mean gradient of a batch of four, of which each rank computes its share; layer 6 rests in step 1."""
    for step in range(first, first + number):
        data = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        hidden = net[:6](data[rank::world])
        (hidden if step == 1 else net[6](hidden)).square().mean().backward()
        for param in net.parameters():
            if param.grad is not None and world > 1:
                dist.all_reduce(param.grad)
                param.grad /= world
        optimizer.step()


def weights(net: nn.Module) -> list[torch.Tensor]:
    return [param.detach().clone() for param in net.parameters()]


def _ask_alone(optimizer: MuonAdamW) -> str:
    """What rank 0 is told when it wants the state and the other rank does not come."""
    optimizer._waiting = dist.new_group(backend='gloo')  # of its own: a time-out breaks the group it happens in
    if dist.get_rank() == 1:
        return ''
    with mock.patch.object(sharding, 'GATHER_TIMEOUT', timedelta(seconds=2)):
        try:
            optimizer.state_dict()
        except RuntimeError as error:
            return str(error)
    return 'no error'


def _give_dtensor() -> str:
    """What is said about a sharded parameter."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Shard, distribute_tensor

    mesh = init_device_mesh('cpu', (2,))
    param = nn.Parameter(distribute_tensor(torch.ones(4, 4), mesh, [Shard(0)]))
    try:
        MuonAdamW([param], 0.1)
    except TypeError as error:
        return str(error)
    return 'no error'


def _distributed(stored: dict[str, Any]) -> dict[str, Any]:
    """Four steps on two ranks; then one NaN; a saved state; and a run resumed from ``stored``."""
    rank, net = dist.get_rank(), network()
    stored = copy.deepcopy(stored)  # it lies in memory that both processes share
    optimizer = optimizer_of(net, distribute=True)
    train(net, optimizer, 0, 4, 2, rank)
    held = sum('momentum_buffer' in state for state in optimizer.state.values())
    found: dict[str, Any] = {'four': weights(net), 'held': held}
    found['state'] = copy.deepcopy(optimizer.state_dict())
    train(net, optimizer, 4, 3, 2, rank)
    found['seven'] = weights(net)
    optimizer.zero_grad()
    net[2].weight.grad = torch.full_like(net[2].weight, float('nan'))
    optimizer.step()
    optimizer.consolidate_state()
    found['skipped'] = optimizer.state_dict()['muon_skipped']
    other = network()
    other.load_state_dict(stored['net'])
    resumed = optimizer_of(other, distribute=True)
    resumed.load_state_dict(stored['optimizer'])
    train(other, resumed, 4, 3, 2, rank)
    found['resumed'] = weights(other)
    found['dtensor'] = _give_dtensor()
    found['alone'] = _ask_alone(resumed)
    return found


@pytest.fixture(scope='module')
def single() -> dict[str, Any]:
    """The same in one process."""
    net = network()
    optimizer = optimizer_of(net, distribute=True)
    train(net, optimizer, 0, 4)
    found: dict[str, Any] = {'four': weights(net)}
    found['stored'] = copy.deepcopy({'net': net.state_dict(), 'optimizer': optimizer.state_dict()})
    train(net, optimizer, 4, 3)
    found['seven'] = weights(net)
    return found


@pytest.fixture(scope='module')
def ranks(single: dict[str, Any]) -> list[dict[str, Any]]:
    return run_two_ranks(_distributed, single['stored'])


def close(first: list[torch.Tensor], second: list[torch.Tensor]) -> bool:
    return all(torch.allclose(a, b, atol=2e-6) for a, b in zip(first, second))


def test_two_ranks_equal_one(single: dict[str, Any], ranks: list[dict[str, Any]]) -> None:
    for rank in ranks:
        assert close(rank['four'], single['four']) and close(rank['seven'], single['seven'])
    assert all(torch.equal(a, b) for a, b in zip(ranks[0]['seven'], ranks[1]['seven']))


def test_the_momentum_is_divided(ranks: list[dict[str, Any]]) -> None:
    """Four matrices, two on each rank."""
    assert [rank['held'] for rank in ranks] == [2, 2]


def test_resume_on_another_number_of_ranks(single: dict[str, Any], ranks: list[dict[str, Any]]) -> None:
    """One -> two, and two -> one."""
    for rank in ranks:
        assert close(rank['resumed'], single['seven'])
        net = network()
        with torch.no_grad():
            for param, value in zip(net.parameters(), rank['four']):
                param.copy_(value)
        optimizer = optimizer_of(net)
        optimizer.load_state_dict(copy.deepcopy(rank['state']))  # torch does not copy what it loads
        train(net, optimizer, 4, 3)
        assert close(weights(net), single['seven'])


def test_the_gathered_state_is_whole_and_equal(single: dict[str, Any], ranks: list[dict[str, Any]]) -> None:
    wanted = single['stored']['optimizer']['state']
    for rank in ranks:
        assert rank['state']['state'].keys() == wanted.keys()
        for index, state in wanted.items():
            assert all(torch.allclose(rank['state']['state'][index][key], state[key], atol=1e-6) for key in state)


def test_skips_are_summed(ranks: list[dict[str, Any]]) -> None:
    assert [rank['skipped'] for rank in ranks] == [1, 1]


def test_a_rank_that_asks_alone_is_told_so(ranks: list[dict[str, Any]]) -> None:
    """mmengine saves on rank 0 only: an error that names the cure in the place of a hang."""
    assert 'consolidate_state() on every rank' in ranks[0]['alone']


def test_dtensor_is_refused(ranks: list[dict[str, Any]]) -> None:
    assert all('sharded parameter' in rank['dtensor'] for rank in ranks)


def test_fsdp_parameters_are_refused() -> None:
    param = nn.Parameter(torch.ones(4, 4))
    param._fsdp_flattened = True  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match='sharded parameter'):
        refuse_shards(param)


def test_owners_are_balanced_and_do_not_depend_on_the_rank() -> None:
    params = [torch.zeros(size, 2) for size in (5, 50, 5, 20, 40)]
    assert owners(params, 2) == [1, 0, 0, 0, 1] and owners(params, 1) == [0] * 5
