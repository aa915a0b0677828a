"""``imbdense.PostClassificationHook``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.registry import DATASETS
from torch import Tensor

from imbdense.core.checks import check_integer
from imbdense.core.inference import (
    PixelPairReservoir,
    count_transitions,
    date_agreement,
    estimate_transitions,
    transition_shares,
)
from imbdense.data.change.transition_file import write_transitions
from imbdense.registry import HOOKS
from imbdense.utils.distributed import gather_objects, rank_and_world

DEPENDENT = 0.1
"""More agreement of the dates than this above what independent errors explain is a warning."""


@HOOKS.register_module()
class PostClassificationHook(Hook):
    """Give ``imbdense.PostClassificationChange`` its two priors before it is validated or tested.

    The class prior comes from the :class:`~imbdense.core.stats.PriorLedger` of the loaded checkpoint, unless the model
    has one. The transition prior is estimated by expectation maximisation on pixels drawn from the images that are
    about to be tested (their labels are not looked at; pixels without data at a date are left out), or counted in
    labelled pairs. Testing then runs the segmentor twice over the images. The table is written to
    ``work_dir/imbdense/transitions.csv``; give it to the model as ``transitions`` to do without this hook (for rasters,
    for instance). A model that has a table keeps it.

    The estimate takes the errors of the dates as independent; where they are not, it finds too little change. The hook
    compares how often the dates agree with how often they would, and warns.

    On several ranks each draws its share of the pixels; the sample is gathered and all compute the same table.

    Args:
        pixels: to draw for the estimate, uniformly over all images.
        seed: of the draw.
        labels: config of a data set of pairs with land cover known at both dates, also where nothing changed; its
            transitions are counted instead.

    Raises:
        ValueError: the model is none, or ``labels`` has no unchanged pixel known at both dates.
    """

    card = 'post_classification'
    tasks = ('change_detection',)

    def __init__(self, pixels: int = 50_000, seed: int = 0, labels: Mapping[str, Any] | None = None) -> None:
        self.pixels = check_integer('pixels', pixels, low=1, owner='PostClassificationHook')
        self.seed = check_integer('seed', seed, owner='PostClassificationHook')
        self.labels = labels

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Take the class prior of the ledger."""
        _model(runner).adopt_ledger(checkpoint)

    def before_val(self, runner: Any) -> None:
        """Find the transitions."""
        self._find(runner, runner.val_dataloader)

    def before_test(self, runner: Any) -> None:
        """Find the transitions."""
        self._find(runner, runner.test_dataloader)

    def _find(self, runner: Any, loader: Any) -> None:
        """Set the table of a model without one, and write it."""
        model = _model(runner)
        if not model.needs_transition:
            return
        matrix = self._estimated(model, loader) if self.labels is None else self._counted(model)
        model.set_transition(matrix)
        rate = 1.0 - float(matrix.diagonal().sum())
        MMLogger.get_current_instance().info(f'PostClassificationHook: expects {100 * rate:.2f} % changed pixels.')
        if rank_and_world()[0] == 0:
            folder = Path(runner.work_dir) / 'imbdense'
            folder.mkdir(parents=True, exist_ok=True)
            meta = getattr(loader.dataset, 'metainfo', None) or {}
            names = meta.get('land_cover') or [str(number) for number in range(model.land_classes)]
            write_transitions(folder / 'transitions.csv', names, matrix.cpu().numpy())

    @torch.no_grad()
    def _estimated(self, model: Any, loader: Any) -> Tensor:
        """By expectation maximisation."""
        if not bool(model.prior.any()):
            model._check_ready()  # says what is missing
        rank, world = rank_and_world()
        reservoir = PixelPairReservoir(-(-self.pixels // world), self.seed + rank)
        training = model.training
        model.eval()
        for batch in loader:
            data = model.data_preprocessor(batch, False)
            samples = data.get('data_samples')
            for number, (first, second) in enumerate(model.date_probabilities(data['inputs'], samples)):
                nodata = samples[number].get('nodata') if samples else None
                if nodata is not None:
                    known = torch.from_numpy(~nodata).to(first.device)
                    first, second = first[:, known], second[:, known]
                reservoir.add(first.flatten(1), second.flatten(1))
        model.train(training)
        shares = gather_objects([values.numpy() for values in reservoir.sample()])
        first, second = (torch.cat([torch.from_numpy(share[date]) for share in shares], dim=1) for date in range(2))
        found = estimate_transitions(first, second, model.prior.cpu(), model.allowed)
        MMLogger.get_current_instance().info(
            f'PostClassificationHook: {first.shape[1]} pixels, {found.iterations} steps, '
            f'{"converged" if found.converged else "not converged"}.'
        )
        observed, expected = date_agreement(first, second, found.matrix)
        if observed > expected + DEPENDENT:
            MMLogger.get_current_instance().warning(
                f'PostClassificationHook: the dates agree at {100 * observed:.0f} % of the pixels, where independent '
                f'errors would at {100 * expected:.0f} %: the same errors are made at both. The estimated change is '
                f"too low; count the transitions in some labelled pairs (labels=...), or compare with mode='argmax'."
            )
        return found.matrix

    def _counted(self, model: Any) -> Tensor:
        """In labelled pairs."""
        dataset = DATASETS.build(dict(self.labels or {}))
        counts = torch.zeros(model.land_classes, model.land_classes, dtype=torch.int64)
        for index in range(len(dataset)):
            sample = dataset[index]['data_samples']
            counts += count_transitions(sample.gt_sem_t1.data, sample.gt_sem_t2.data, model.land_classes)
        if not bool(counts.diagonal().any()):
            raise ValueError(
                'PostClassificationHook: the land cover of the labelled pairs is known inside changes only, so nothing '
                'tells how often a class stays. Leave labels out: then the transitions are estimated.'
            )
        return transition_shares(counts, model.allowed)


def _model(runner: Any) -> Any:
    """The model without its wrappers."""
    model = runner.model
    while hasattr(model, 'module'):
        model = model.module
    if not hasattr(model, 'needs_transition'):
        raise ValueError(f'PostClassificationHook belongs to imbdense.PostClassificationChange, not to '
                         f'{type(model).__name__}.')
    return model
