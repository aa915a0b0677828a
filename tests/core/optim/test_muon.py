"""The optimizer step by step: against torch's Muon and AdamW, the published formula, and its edge cases."""

from __future__ import annotations

import copy
import io
import math
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from imbdense.core.optim import MuonAdamW, orthogonalize

Make = Callable[[list[nn.Parameter]], torch.optim.Optimizer]


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def train(make: Make, starts: list[Tensor], steps: int = 4) -> list[Tensor]:
    """Parameters after ``steps`` steps with the same random gradients for every optimizer."""
    params = [nn.Parameter(start.clone()) for start in starts]
    optimizer = make(params)
    for step in range(steps):
        for index, param in enumerate(params):
            param.grad = random(*param.shape, seed=100 * step + index + 1)
        optimizer.step()
    return [param.detach() for param in params]


def relative(found: Tensor, wanted: Tensor, start: Tensor) -> float:
    """Distance as a share of what the step changed."""
    return float((found - wanted).norm() / (wanted - start).norm())


def quiet(params: Any, **options: Any) -> MuonAdamW:
    """A MuonAdamW without a matrix."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', UserWarning)
        return MuonAdamW(params, **options)


class Published:
    """The published update, in float32 and written as in the paper: the slow reference."""

    def __init__(self, params: list[nn.Parameter], lr: float, decay: float, nesterov: bool) -> None:
        self.params, self.lr, self.decay, self.nesterov = params, lr, decay, nesterov
        self.momentum = [torch.zeros_like(param) for param in params]

    @torch.no_grad()
    def step(self) -> None:
        for param, buffer in zip(self.params, self.momentum):
            grad = param.grad
            buffer.copy_(buffer + 0.05 * (grad - buffer))
            update = grad + 0.95 * (buffer - grad) if self.nesterov else buffer
            x = update / (update.norm() + 1e-7)
            for _ in range(5):
                gram = x @ x.T
                x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
            param.mul_(1 - self.lr * self.decay)
            param.sub_(self.lr * math.sqrt(max(1, param.shape[0] / param.shape[1])) * x)


@pytest.mark.parametrize('nesterov', [True, False])
@pytest.mark.parametrize('shape', [(16, 32), (64, 32), (128, 300)])
def test_equals_the_published_formula(shape: tuple[int, int], nesterov: bool) -> None:
    start = random(*shape)
    ours = train(lambda p: MuonAdamW(p, 0.02, 0.1, scale='original', nesterov=nesterov), [start])[0]
    wanted = train(lambda p: Published(p, 0.02, 0.1, nesterov), [start])[0]  # type: ignore[arg-type, return-value]
    assert relative(ours, wanted, start) < 1e-5


@pytest.mark.skipif(not hasattr(torch.optim, 'Muon'), reason='torch.optim.Muon came with torch 2.9')
@pytest.mark.parametrize('scale', ['original', 'match_rms_adamw'])
@pytest.mark.parametrize('shape', [(16, 32), (64, 32), (128, 512), (40, 300)])
def test_equals_torch(shape: tuple[int, int], scale: str) -> None:
    """bfloat16, as torch iterates: at most 2 % of the update after 4 steps (seen: 0)."""
    start = random(*shape)
    ours = train(lambda p: MuonAdamW(p, 0.02, 0.1, scale=scale, ns_dtype=torch.bfloat16), [start])[0]
    exact = train(lambda p: MuonAdamW(p, 0.02, 0.1, scale=scale, ns_dtype='float32'), [start])[0]
    torchs = train(lambda p: torch.optim.Muon(p, 0.02, 0.1, adjust_lr_fn=scale), [start])[0]
    print(f'{shape} {scale}: bf16 {relative(ours, torchs, start):.1e}, fp32 {relative(exact, torchs, start):.1e}')
    assert relative(ours, torchs, start) <= 0.02
    assert relative(exact, torchs, start) <= 0.12


def test_auxiliary_part_equals_torch() -> None:
    starts = [random(7), random(3, 4), random(2, 3, 3, 3)]
    ours = train(lambda p: quiet([{'params': p, 'use_muon': False}], lr=0.01, weight_decay=0.1), starts, 20)
    adamw = train(lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.1), starts, 20)
    ours_sgd = train(lambda p: quiet([{'params': p, 'use_muon': False}], lr=0.01, aux='sgd'), starts, 20)
    sgd = train(lambda p: torch.optim.SGD(p, 0.01, momentum=0.9, weight_decay=0.01), starts, 20)
    plain = train(lambda p: quiet([{'params': p, 'use_muon': False}], lr=0.01, aux='sgd', aux_momentum=0.0), starts, 20)
    plain_sgd = train(lambda p: torch.optim.SGD(p, 0.01, weight_decay=0.01), starts, 20)
    for found, wanted in zip([*ours, *ours_sgd, *plain], [*adamw, *sgd, *plain_sgd]):
        assert (found - wanted).abs().max() <= 1e-7


def test_kernels_are_flattened() -> None:
    """(8, 4, 3, 3) equals the (8, 36) matrix of the same numbers; 'reference' takes kH / kW for the scale."""
    kernel = random(8, 4, 3, 3)

    def run(start: Tensor, **options: Any) -> Tensor:
        param = nn.Parameter(start.clone())
        optimizer = MuonAdamW([param], 0.1, 0.0, **options)
        for step in range(3):
            param.grad = random(8, 36, seed=step + 1).view(start.shape)
            optimizer.step()
        return param.detach().reshape(8, 36)

    assert torch.equal(run(kernel), run(kernel.view(8, 36)))
    channels_last = run(kernel.contiguous(memory_format=torch.channels_last))
    assert torch.allclose(channels_last, run(kernel), atol=1e-7)


def test_conv_scale() -> None:
    """m = 32, n = 2: sqrt(16) = 4 flattened, 1 in the published code."""
    moved = {}
    for conv_scale in ('flattened', 'reference'):
        param = nn.Parameter(torch.zeros(32, 2, 1, 1))
        param.grad = random(32, 2, 1, 1)
        MuonAdamW([param], 1.0, 0.0, scale='original', conv_scale=conv_scale).step()
        moved[conv_scale] = float(param.detach().norm())
    assert moved['flattened'] == pytest.approx(4 * moved['reference'], rel=1e-5)


def test_the_loss_scale_does_not_matter() -> None:
    def run(factor: float) -> Tensor:
        param = nn.Parameter(random(12, 20))
        param.grad = factor * random(12, 20, seed=1)
        MuonAdamW([param], 0.1).step()
        return param.detach()

    assert torch.allclose(run(1000.0), run(1.0), rtol=1e-5, atol=1e-6)


def test_batching_equals_the_loop() -> None:
    starts = [random(16, 12, seed=s) for s in range(5)] + [random(6, 8, 3, 3), random(6, 8, 3, 3, seed=9), random(9)]
    batched = train(lambda p: MuonAdamW(p, 0.1), starts)
    loop = train(lambda p: MuonAdamW(p, 0.1, foreach=False), starts)
    for first, second in zip(batched, loop):
        assert (first - second).abs().max() <= 1e-6


def test_gradients_are_not_changed() -> None:
    params = [nn.Parameter(random(8, 6)), nn.Parameter(random(8))]
    for param in params:
        param.grad = random(*param.shape, seed=3)
    before = [param.grad.clone() for param in params]
    for aux in ('adamw', 'sgd'):
        MuonAdamW(params, 0.1, 0.1, aux=aux).step()
    assert all(torch.equal(param.grad, grad) for param, grad in zip(params, before))


def test_no_gradient_means_no_update_no_decay_no_state() -> None:
    params = [nn.Parameter(random(8, 6)), nn.Parameter(random(8)), nn.Parameter(random(8, 6))]
    optimizer = MuonAdamW(params, 0.1, 0.5)
    params[2].grad = random(8, 6, seed=1)
    before = [param.detach().clone() for param in params]
    optimizer.step()
    assert torch.equal(params[0], before[0]) and torch.equal(params[1], before[1])
    assert not torch.equal(params[2], before[2]) and list(optimizer.state) == [params[2]]


def test_zero_gradient_only_decays() -> None:
    param = nn.Parameter(random(8, 6))
    param.grad = torch.zeros(8, 6)
    before = param.detach().clone()
    MuonAdamW([param], 0.1, 0.5).step()
    assert torch.allclose(param, before * (1 - 0.1 * 0.5))


@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
@pytest.mark.parametrize('foreach', [True, False])
def test_update_that_is_not_finite_is_skipped_and_counted(bad: float, foreach: bool) -> None:
    params = [nn.Parameter(random(8, 6, seed=s)) for s in range(3)]
    optimizer = MuonAdamW(params, 0.1, foreach=foreach)
    for turn in range(2):
        for param in params:
            param.grad = random(8, 6, seed=turn + 5)
        if turn == 1:
            params[1].grad[2, 3] = bad
        before = [param.detach().clone() for param in params]
        momentum = optimizer.state[params[1]].get('momentum_buffer', torch.zeros(())).clone()
        optimizer.step()
    assert torch.equal(params[1], before[1]) and not torch.equal(params[0], before[0])
    assert torch.equal(optimizer.state[params[1]]['momentum_buffer'], momentum)
    assert optimizer.muon_skipped == 1
    params[1].grad = random(8, 6)
    optimizer.step()
    assert torch.isfinite(params[1]).all() and not torch.equal(params[1], before[1])


def test_state_and_memory() -> None:
    """One buffer less than AdamW for a matrix, of its shape and dtype."""
    params = [nn.Parameter(random(8, 6).bfloat16()), nn.Parameter(random(8))]
    optimizer = MuonAdamW(params, 0.1)
    for param in params:
        param.grad = torch.ones_like(param)
    optimizer.step()
    assert set(optimizer.state[params[0]]) == {'momentum_buffer'}
    assert optimizer.state[params[0]]['momentum_buffer'].dtype == torch.bfloat16
    assert set(optimizer.state[params[1]]) == {'exp_avg', 'exp_avg_sq', 'step'}


def blocks_group(params: list[nn.Parameter], chosen: tuple[int, ...] | None) -> dict[str, Any]:
    return {'params': params, 'use_muon': True, 'blocks': 3, 'muon_blocks': chosen}


def test_fused_rows_are_orthogonalised_block_by_block() -> None:
    start = random(24, 10)
    fused = train(lambda p: MuonAdamW([blocks_group(p, None)], 0.1, 0.1), [start], 1)[0]
    grad = random(24, 10, seed=1)
    for part in range(3):
        rows = slice(8 * part, 8 * part + 8)
        scale = 0.2 * math.sqrt(10)
        wanted = start[rows] * 0.99 - 0.1 * scale * orthogonalize(grad[rows])
        assert torch.allclose(fused[rows], wanted, atol=1e-6)


@pytest.mark.parametrize('chosen', [(2,), (1,), (0, 2)])
@pytest.mark.parametrize('aux', ['adamw', 'sgd'])
def test_rows_that_muon_leaves_out_are_those_of_the_auxiliary_part(chosen: tuple[int, ...], aux: str) -> None:
    start = random(24, 10)
    options: dict[str, Any] = {'lr': 1e-3, 'weight_decay': 0.1, 'muon_lr': 0.02, 'aux': aux}
    mixed = train(lambda p: MuonAdamW([blocks_group(p, chosen)], **options), [start], 5)[0]
    muon = train(lambda p: MuonAdamW([blocks_group(p, None)], **options), [start], 5)[0]
    plain = train(lambda p: quiet([{'params': p, 'use_muon': False}], **options), [start], 5)[0]
    for part in range(3):
        rows = slice(8 * part, 8 * part + 8)
        assert torch.allclose(mixed[rows], (muon if part in chosen else plain)[rows], atol=1e-6)


def test_muon_lr_is_the_lr_of_muon_groups() -> None:
    optimizer = MuonAdamW([nn.Parameter(random(8, 6)), nn.Parameter(random(8))], lr=1e-3, muon_lr=0.02)
    assert [(group['use_muon'], group['lr']) for group in optimizer.param_groups] == [(True, 0.02), (False, 1e-3)]
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 0.5)
    assert [group['lr'] for group in optimizer.param_groups] == [0.01, 5e-4]


class Net(nn.Module):
    """Two matrices, a convolution, vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.hidden, self.out = nn.Conv1d(3, 8, 3), nn.Linear(8, 8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.hidden(self.conv(x).relu().mean(-1)).relu())


def steps_of(net: Net, optimizer: MuonAdamW, first: int, number: int, scaler: Any = None) -> None:
    for step in range(first, first + number):
        optimizer.zero_grad()
        loss = net(random(6, 3, 9, seed=step)).square().mean()
        if scaler is None:
            loss.backward()
            optimizer.step()
        else:
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()


@pytest.mark.parametrize('aux', ['adamw', 'sgd'])
def test_resuming_is_bit_exact(aux: str) -> None:
    torch.manual_seed(0)
    net = Net()
    optimizer = MuonAdamW(net.parameters(), 0.01, muon_lr=0.02, aux=aux)
    steps_of(net, optimizer, 0, 5)
    file = io.BytesIO()
    torch.save({'net': net.state_dict(), 'optimizer': optimizer.state_dict()}, file)
    file.seek(0)
    stored = torch.load(file, weights_only=True)
    other = Net()
    other.load_state_dict(stored['net'])
    resumed = MuonAdamW(other.parameters(), 0.01, muon_lr=0.02, aux=aux)
    resumed.load_state_dict(stored['optimizer'])
    steps_of(net, optimizer, 5, 5)
    steps_of(other, resumed, 5, 5)
    assert all(torch.equal(first, second) for first, second in zip(net.parameters(), other.parameters()))


def test_skips_survive_saving_and_copying() -> None:
    param = nn.Parameter(random(8, 6))
    param.grad = torch.full((8, 6), float('nan'))
    optimizer = MuonAdamW([param], 0.1)
    optimizer.step()
    other = MuonAdamW([nn.Parameter(random(8, 6))], 0.1)
    other.load_state_dict(optimizer.state_dict())
    assert other.muon_skipped == optimizer.muon_skipped == 1
    copied = copy.deepcopy(optimizer)
    copied.param_groups[0]['params'][0].grad = random(8, 6)
    copied.step()
    assert copied.muon_skipped == 0


def test_grad_scaler() -> None:
    """Scaled and unscaled gradients give the same weights; a step with infinite gradients changes nothing."""
    torch.manual_seed(0)
    nets = [Net()]
    nets.append(copy.deepcopy(nets[0]))
    optimizers = [MuonAdamW(net.parameters(), 0.01) for net in nets]
    scaler = torch.amp.GradScaler('cpu', init_scale=2.0**10)
    steps_of(nets[0], optimizers[0], 0, 3)
    steps_of(nets[1], optimizers[1], 0, 3, scaler)
    for first, second in zip(nets[0].parameters(), nets[1].parameters()):
        assert torch.allclose(first, second, atol=1e-6)
    before = [param.detach().clone() for param in nets[1].parameters()]
    optimizers[1].zero_grad()
    scaler.scale(nets[1](random(6, 3, 9)).mean()).backward()
    nets[1].conv.weight.grad[0, 0, 0] = float('inf')
    scaler.step(optimizers[1])
    assert all(torch.equal(param, old) for param, old in zip(nets[1].parameters(), before))
    assert optimizers[1].muon_skipped == 0


def test_bf16_autocast_trains() -> None:
    torch.manual_seed(0)
    net = Net()
    optimizer = MuonAdamW(net.parameters(), 0.01)
    values = []
    for _ in range(10):
        optimizer.zero_grad()
        with torch.autocast('cpu', torch.bfloat16):
            loss = net(random(6, 3, 9)).float().square().mean()
        loss.backward()
        optimizer.step()
        values.append(float(loss.detach()))
    assert values[-1] < 0.5 * values[0]


def test_closure_sparse_and_complex() -> None:
    table, matrix = nn.Parameter(random(5, 4)), nn.Parameter(random(4, 4))
    wave = nn.Parameter(torch.randn(4, 4, dtype=torch.complex64))
    optimizer = MuonAdamW([{'params': [table, wave], 'use_muon': False}, {'params': [matrix]}], 0.1)
    for param in (matrix, wave):
        param.grad = torch.ones_like(param)
    sparse = torch.sparse_coo_tensor([[1]], torch.ones(1, 4), (5, 4))
    table.grad = sparse
    before = table.detach().clone()
    assert optimizer.step(lambda: 3.0) == 3.0
    changed = (table.detach() != before).any(1)
    assert changed.all() and table.grad.is_sparse  # decay touches all rows, as for a dense gradient
    assert MuonAdamW([matrix, wave], 0.1).param_groups[1]['params'] == [wave]
    muon = MuonAdamW([table], 0.1)
    with pytest.raises(RuntimeError, match='use_muon=False'):
        muon.step()


def test_without_a_matrix_it_warns() -> None:
    with pytest.warns(UserWarning, match='no matrix for Muon'):
        MuonAdamW([nn.Parameter(random(4))], 0.1)


@pytest.mark.parametrize(
    ('options', 'word'),
    [
        ({'lr': -1.0}, 'lr'), ({'weight_decay': -0.1}, 'weight_decay'), ({'betas': (0.9, 1.0)}, 'betas'),
        ({'muon_lr': 0.0}, 'muon_lr'), ({'muon_momentum': 1.0}, 'muon_momentum'), ({'ns_steps': 0}, 'ns_steps'),
        ({'scale': 'spectral'}, 'scale'), ({'ns_dtype': 'int8'}, 'ns_dtype'), ({'conv_scale': 'kernel'}, 'conv_scale'),
        ({'aux': 'lion'}, 'aux'), ({'eps': -1.0}, 'eps'),
    ],
)  # fmt: skip
def test_bad_options_are_named(options: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        MuonAdamW([nn.Parameter(random(4, 4))], **options)


@pytest.mark.parametrize(
    ('group', 'word'),
    [
        ({'params': [nn.Parameter(torch.ones(4))]}, 'real matrices'),
        ({'params': [nn.Parameter(torch.ones(4, 4))], 'blocks': 3}, 'does not divide'),
        ({'params': [nn.Parameter(torch.ones(6, 4))], 'blocks': 3, 'muon_blocks': (3,)}, 'muon_blocks'),
        ({'params': [nn.Parameter(torch.ones(6, 4))], 'scale': 'x'}, 'scale'),
    ],
)
def test_bad_groups_are_named(group: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        MuonAdamW([{**group, 'use_muon': True}], 0.1)


def test_named_parameters_are_accepted() -> None:
    optimizer = MuonAdamW(list(Net().named_parameters()), 0.1)
    assert [group['use_muon'] for group in optimizer.param_groups] == [True, False]
