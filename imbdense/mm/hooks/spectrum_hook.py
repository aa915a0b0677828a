"""``imbdense.SpectrumHook``."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from torch import Tensor

from imbdense.core.checks import check_integer
from imbdense.core.optim import MuonAdamW, spectrum_metrics
from imbdense.core.optim.groups import is_matrix
from imbdense.core.optim.spectrum import SPECTRUM_METRICS
from imbdense.registry import HOOKS
from imbdense.utils.files import atomic_write_text

FILE = Path('imbdense') / 'spectrum.csv'
COLUMNS = ('iter', 'layer', 'of', *SPECTRUM_METRICS, 'rms')


@HOOKS.register_module()
class SpectrumHook(Hook):
    """Write how flat the singular spectra of weights and of their updates are, with any optimizer.

    Every ``interval`` iterations, and at the first one, for some matrices (flattened to (m, -1)): the four numbers of
    :func:`imbdense.core.optim.spectrum_metrics` and the root mean square, of the weight after the step (``of`` =
    weight) and of the difference that the step made (``of`` = update; weight decay included). Rows go to
    ``<work_dir>/imbdense/spectrum.csv``; the file is rewritten as a whole, a resumed run goes on where its checkpoint
    was, a new one starts anew. While gradients are accumulated the hook waits for the step. With ``MuonAdamW`` the
    means over the matrices that Muon updates are logged too: ``muon/eff_rank`` and ``muon/update_rms`` of the updates,
    and ``muon/skipped``.

    Cost: at these iterations a copy of each chosen matrix and two SVDs (0.3 s for 512 x 2048 on one CPU core). Rank 0
    only: with several ranks the others wait for it at the next gradient exchange.

    Args:
        interval: iterations between two measurements.
        layers: how many matrices, spread evenly over the depth; or parts of parameter names to take.
        top_k: of the metric ``top_k_energy``.

    Raises:
        ValueError: no matrix of the model matches ``layers``.
    """

    card = 'muon'
    tasks: tuple[str, ...] = ('segmentation', 'detection', 'points')

    def __init__(self, interval: int = 500, layers: int | Sequence[str] = 8, top_k: int = 10) -> None:
        self.interval = check_integer('interval', interval, low=1, owner='SpectrumHook')
        if isinstance(layers, str):
            layers = (layers,)
        self.layers = check_integer('layers', layers, low=1, owner='SpectrumHook') if isinstance(layers, int) else (
            tuple(layers)
        )
        self.top_k = check_integer('top_k', top_k, low=1, owner='SpectrumHook')
        self._matrices: dict[str, Tensor] = {}
        self._before: dict[str, Tensor] = {}
        self._rows: list[dict[str, Any]] = []

    def before_train(self, runner: Any) -> None:
        """Choose the matrices; keep the rows of the run that is resumed."""
        if not is_main_process():
            return
        self._matrices = chosen_matrices(getattr(runner.model, 'module', runner.model), self.layers)
        self._rows = read_rows(Path(runner.work_dir) / FILE, until=runner.iter)

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Copy the weights where a measurement is due."""
        due = runner.iter == 0 or (runner.iter + 1) % self.interval == 0
        if due and not self._before:
            self._before = {name: matrix.detach().clone() for name, matrix in self._matrices.items()}

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Measure once the weights have changed."""
        if not self._before:
            return
        updates = {name: self._matrices[name].detach() - old for name, old in self._before.items()}
        if not any(bool(update.any()) for update in updates.values()):
            return
        self._before = {}
        for name, update in updates.items():
            for what, value in (('weight', self._matrices[name].detach()), ('update', update)):
                rms = float(value.float().square().mean().sqrt())
                self._rows.append({'iter': runner.iter + 1, 'layer': name, 'of': what,
                                   **spectrum_metrics(value, top_k=self.top_k), 'rms': rms})  # fmt: skip
        write_rows(Path(runner.work_dir) / FILE, self._rows)
        self._log(runner, len(updates))

    def _log(self, runner: Any, measured: int) -> None:
        """Means over the updates that Muon made."""
        optimizer = getattr(runner.optim_wrapper, 'optimizer', None)
        if not isinstance(optimizer, MuonAdamW):
            return
        muon = {id(p) for group in optimizer.param_groups if group['use_muon'] for p in group['params']}
        names = {name for name, matrix in self._matrices.items() if id(matrix) in muon}
        rows = [row for row in self._rows[-2 * measured :] if row['of'] == 'update' and row['layer'] in names]
        rows = [row for row in rows if math.isfinite(row['effective_rank'])]
        if rows:
            for key, column in (('eff_rank', 'effective_rank'), ('update_rms', 'rms')):
                runner.message_hub.update_scalar(f'train/muon/{key}', float(np.mean([row[column] for row in rows])))
        runner.message_hub.update_scalar('train/muon/skipped', optimizer.muon_skipped)


def chosen_matrices(model: Any, layers: int | tuple[str, ...]) -> dict[str, Tensor]:
    """Trainable matrices with two sides above 1: ``layers`` of them evenly over the depth, or those named."""
    found = {
        name: param for name, param in model.named_parameters()
        if param.requires_grad and is_matrix(param) and min(param.shape[0], param.shape[1:].numel()) > 1
    }  # fmt: skip
    if isinstance(layers, int):
        names = list(found)
        picked = sorted(set(np.linspace(0, len(names) - 1, min(layers, len(names))).round().astype(int).tolist()))
        chosen = {names[index]: found[names[index]] for index in picked}
    else:
        chosen = {name: param for name, param in found.items() if any(key in name for key in layers)}
    if not chosen:
        raise ValueError(f'SpectrumHook: layers={layers!r} matches no matrix; there are {list(found)[:20]} ...')
    return chosen


def read_rows(path: Path, until: int) -> list[dict[str, Any]]:
    """Rows of an earlier part of the run, up to iteration ``until``; none for a run that starts."""
    if until == 0 or not path.is_file():
        return []
    with path.open(newline='', encoding='utf-8') as handle:
        return [row for row in csv.DictReader(handle) if int(row['iter']) <= until]


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """The whole table, atomically."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)
    atomic_write_text(path, text.getvalue())
