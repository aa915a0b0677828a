"""The stages before a training on selected images: burn-in, pool, selection. Each is kept and resumed by itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imbdense.benchmark.runs import Run
from imbdense.benchmark.select_suites import BURN_IN, LAYER, SELECTORS, SHARES, PoolSource
from imbdense.benchmark.suites import Method, Suite
from imbdense.utils.files import atomic_write_json

INDICES = 'train_dataloader.dataset.indices'


@dataclass(frozen=True, eq=False)
class PoolRun(Run):
    """The pool that a trained burn-in model makes of all training images."""

    trained: Run
    objects: Sequence[str] = field(default=())

    @property
    def pool(self) -> Path:
        """The folder of the pool."""
        return self.folder / 'pool'

    def command(self, config: Path) -> list[str]:
        """``imbdense select pool``; goes on where it was stopped."""
        classes = ['--classes', *self.objects] if self.objects else []
        return ['select', 'pool', str(config), str(self.trained.checkpoint()), '--source', 'pred', '--layer', LAYER,
                '--out', str(self.pool), '--workers', '0', *classes]

    def scores(self) -> dict[str, float]:
        """Images and objects of the finished pool."""
        from imbdense.data.object_pool import open_pool
        from imbdense.data.object_pool.layout import META

        if not (self.pool / META).is_file():
            return {}
        pool = open_pool(self.pool)
        return {'images': float(pool.num_images), 'objects': float(pool.num_objects)}


class Stages:
    """Plans the runs of one data set and selects on finished pools.

    Args:
        source: the data set. work_dir: where everything of it lives.
        labels: (source) -> which training image holds how much of which class.
    """

    def __init__(self, source: PoolSource, work_dir: Path, labels: Callable[[PoolSource], Any]) -> None:
        self.source = source
        self.folder = work_dir / source.name
        self.labels = labels

    def burn_in(self, seed: int) -> list[int]:
        """The images that are labelled before the selection."""
        from imbdense.core.sampling import draw_labelled

        table = self.labels(self.source)
        return draw_labelled(table, max(round(BURN_IN / 100 * len(table)), 1), seed).tolist()

    def burn_in_run(self, seed: int) -> Run:
        """The training of the model that looks at the pool."""
        suite = self._suite('burn_in', (Method('burn_in'),), lambda method, seed: {INDICES: self.burn_in(seed)})
        return Run(suite, suite.methods[0], seed, self.folder / f'burn_in_seed{seed}')

    def pool_run(self, seed: int) -> PoolRun:
        """The pool of a seed."""
        suite = self._suite('pool', (Method('pool'),), None)
        folder = self.folder / f'pool_seed{seed}'
        return PoolRun(suite, suite.methods[0], seed, folder, self.burn_in_run(seed), self.source.objects)

    def suites(self) -> list[Suite]:
        """One suite per budget, a row per selector."""
        methods = tuple(Method(name, why=f'{why}: {dict(settings)}') for name, (settings, why) in SELECTORS.items())
        return [
            self._suite(f'{share}', methods, lambda method, seed, share=share: {
                INDICES: self.chosen(method, share, seed)})
            for share in SHARES
        ]

    def is_waiting(self, runs: Sequence[Run], seed: int) -> bool:
        """Whether a training of this data set and seed has still to be run; otherwise nobody needs its pool."""
        names = {suite.name for suite in self.suites()}
        return any(run.suite.name in names and run.seed == seed and run.result() is None for run in runs)

    def chosen(self, method: str, share: int, seed: int) -> list[int]:
        """Burn-in and selected images, ascending; the selection is made once and kept with its reasons."""
        from imbdense.data.object_pool import open_pool

        target = self.folder / 'selections' / f'{method}_{share}_seed{seed}.json'
        before = self.burn_in(seed)
        if not target.is_file():
            from imbdense.data.selection import selection_record
            from imbdense.registry import SELECTORS as REGISTRY

            pool = open_pool(self.pool_run(seed).pool)
            images = len(self.labels(self.source))
            if pool.num_images != images:  # then places in the pool would name other images of the data set
                raise ValueError(f'{self.pool_run(seed).pool} holds {pool.num_images} of {images} training images; '
                                 f'mend the images its log names, remove it and start again.')
            budget = round(share / 100 * pool.num_images) - len(before)
            selection = REGISTRY.build(dict(SELECTORS[method][0]))(pool, budget, before, seed)
            record = selection_record(
                selection, pool, budget=budget, selected=[pool.image_ids[i] for i in before],
                pool_path=str(self.pool_run(seed).pool))
            atomic_write_json(target, {**record, 'indices': selection.images.tolist()})
        return sorted({*before, *json.loads(target.read_text())['indices']})

    def _suite(
        self, name: str, methods: tuple[Method, ...], lines: Callable[[str, int], Mapping[str, Any]] | None
    ) -> Suite:
        """A suite on the data set's config."""
        source = self.source
        return Suite(
            f'{source.name}_{name}', source.config, methods, source.mean_key, source.rare_keys,
            data_root=source.data_root, prepare=source.prepare, note=source.note, lines=source.lines, run_lines=lines)
