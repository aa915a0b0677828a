"""``imbdense.PostClassificationChange``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.registry import MODELS as HOST_MODELS
from mmengine.structures import PixelData
from mmseg.models.segmentors import BaseSegmentor
from mmseg.structures import SegDataSample
from torch import Tensor

from imbdense.core.checks import check_choice, check_counts, check_number
from imbdense.core.inference.physical_constraints import PhysicalConstraints
from imbdense.core.inference.post_classification import MODES, ChangeMaps, Mode, compare_classifications
from imbdense.core.inference.slide_mean import slide_mean
from imbdense.core.stats import PriorLedger
from imbdense.data.change.transition_file import read_transitions
from imbdense.mm.checkpoints import load_checkpoint
from imbdense.mm.predictor import load_weights
from imbdense.mm.prior import declared_ledger
from imbdense.mm.segmentors.networks import class_logits
from imbdense.mm.structures.scd_data_sample import SCDDataSample
from imbdense.registry import MODELS

KEPT = ('mean', 'std', 'bgr_to_rgb', 'pad_val', 'test_cfg')
FLOOR = 1e-7


@MODELS.register_module()
class PostClassificationChange(BaseSegmentor):
    """Change detection by comparing what a finished segmentor says about each date; no labels of change are needed.

    ``mode='bayes'`` weighs every pair of classes by how likely the transition is at all, see
    :func:`imbdense.core.inference.compare_classifications`; that needs

    * the class prior that the segmentor's softmax encodes: ``prior``, or the :class:`PriorLedger` which
      ``imbdense.ClassCountHook`` stored in its checkpoint;
    * a transition prior: a table in a file, or ``imbdense.PostClassificationHook``, which estimates it from the images
      that are tested (``transitions='em'``).

    Predictions are land cover at both dates (``pred_sem_t1``, ``pred_sem_t2``), the change map (``pred_cd``) and its
    ``seg_logits`` (log(1 - p_change), log p_change). Not trained: train the segmentor with its own config. A
    checkpoint of the segmentor loads into this model.

    Args:
        segmentor: config of a segmentor of mmseg for one date, with its data preprocessor and ``test_cfg`` (sliding
            windows work).
        checkpoint: its weights, loaded when the model is built, and its ledger; ``None`` = loaded by the runner.
        mode: 'argmax', 'prob' or 'bayes'.
        prior: (K,) class shares; ``None`` = of the ledger.
        transitions: 'em', or a CSV file as ``imbdense.PostClassificationHook`` writes it (0 = forbidden).
        forbidden: pairs (class at date 1, class at date 2) that 'em' must exclude.
        threshold: of the probability of change, see ``compare_classifications``.
        temperature: > 0, divides the logits of both dates (``imbdense calibrate --method temperature`` fits it).
        constraints: rules of :class:`imbdense.core.inference.PhysicalConstraints` without ``where``, applied last.
        data_preprocessor: config for pairs; ``None`` = ``imbdense.DenseDataPreProcessor`` with the statistics of the
            segmentor's.
        init_cfg: as in the host.

    State: buffers ``prior`` (K,) and ``transition`` (K, K), 0 until known. All ranks hold the same.

    Raises:
        ValueError: an argument out of range, tables of another number of classes; in a prediction: 'bayes' without a
            prior or without transitions.
    """

    card = 'post_classification'
    tasks = ('change_detection',)
    conformance_arguments: dict[str, Any] = {'segmentor': {'type': 'mmseg.EncoderDecoder'}}

    prior: Tensor
    transition: Tensor

    def __init__(
        self,
        segmentor: Mapping[str, Any],
        checkpoint: str | None = None,
        mode: Mode = 'bayes',
        prior: Sequence[float] | None = None,
        transitions: str = 'em',
        forbidden: Sequence[Sequence[int]] = (),
        threshold: float | None = None,
        temperature: float = 1.0,
        constraints: Sequence[Mapping[str, Any]] = (),
        data_preprocessor: Mapping[str, Any] | None = None,
        init_cfg: Any = None,
    ) -> None:
        name, config = type(self).__name__, dict(segmentor)
        own = config.pop('data_preprocessor', None) or {}
        super().__init__(data_preprocessor or _for_pairs(own, name), init_cfg)
        self.mode = check_choice('mode', mode, MODES, owner=name)
        self.threshold = None if threshold is None else check_number(
            'threshold', threshold, low=0.0, high=1.0, owner=name
        )
        self.temperature = check_number('temperature', temperature, low=0.0, low_open=True, owner=name)
        self.segmentor = HOST_MODELS.build(config)
        self.land_classes = max(int(self.segmentor.num_classes), 2)
        self.num_classes = self.out_channels = 2
        self.align_corners = self.segmentor.align_corners
        self.constraints = PhysicalConstraints(constraints)  # type: ignore[arg-type]
        if any(rule.where is not None for rule in self.constraints.rules):
            raise ValueError(f'{name}: rules with where need layers, which a data set does not give; apply '
                             f'imbdense.core.inference.PhysicalConstraints to the maps instead.')
        self.register_buffer('prior', torch.zeros(self.land_classes, dtype=torch.float64))
        self.register_buffer('transition', torch.zeros(self.land_classes, self.land_classes, dtype=torch.float64))
        self.allowed = torch.ones_like(self.transition, dtype=torch.bool)
        for pair in forbidden:
            self.allowed[tuple(pair)] = False
        if transitions != 'em':
            self.set_transition(torch.from_numpy(read_transitions(transitions)[1]))
        if prior is not None:
            self.set_prior(prior)
        if checkpoint is not None:
            self._load_segmentor(checkpoint)

    def set_prior(self, prior: Sequence[float] | PriorLedger) -> None:
        """Take (K,) class shares, or those of a ledger."""
        shares = check_counts(
            list(prior.prior) if isinstance(prior, PriorLedger) else prior, name='prior', owner=type(self).__name__
        )
        if shares.numel() != self.land_classes:
            raise ValueError(f'{type(self).__name__}: the prior has {shares.numel()} classes, the segmentor '
                             f'{self.land_classes}.')
        self.prior.copy_(shares / shares.sum())

    def adopt_ledger(self, checkpoint: dict[str, Any]) -> None:
        """Take the class prior of the ledger in a loaded checkpoint, unless there is a prior already."""
        ledger = declared_ledger(checkpoint)
        if ledger is not None and not bool(self.prior.any()):
            self.set_prior(ledger)

    def set_transition(self, matrix: Tensor) -> None:
        """Take (K, K) shares of transitions."""
        if matrix.shape != self.transition.shape:
            raise ValueError(f'{type(self).__name__}: the table of transitions is {tuple(matrix.shape)}, the segmentor '
                             f'has {self.land_classes} classes.')
        self.transition.copy_(matrix)

    @property
    def decode_head(self) -> Any:
        """The head of the segmentor."""
        return self.segmentor.decode_head

    @property
    def needs_transition(self) -> bool:
        """Whether 'bayes' still lacks its transition prior."""
        return self.mode == 'bayes' and not bool(self.transition.any())

    def score_maps(self, inputs: Tensor) -> dict[str, Tensor]:
        """Logits of both dates ``t1`` and ``t2``, (N, K, H, W), divided by the temperature; K >= 2."""
        return {f't{date}': self._logits(images) / self.temperature
                for date, images in enumerate(inputs.chunk(2, dim=1), 1)}

    def compare_dates(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(land cover at date 1, at date 2, probability of a change) of probabilities (K, ...), as maps are stored."""
        maps = self.compare(first, second)
        dtype = torch.uint8 if self.land_classes < 255 else torch.int32
        return maps.first.to(dtype), maps.second.to(dtype), maps.p_change

    def compare(self, first: Tensor, second: Tensor) -> ChangeMaps:
        """Change maps of probabilities (K, ...), with the constraints applied."""
        self._check_ready()
        bayes = self.mode == 'bayes'
        found = compare_classifications(
            first, second, self.mode, prior=self.prior if bayes else None,
            transition=self.transition if bayes else None, threshold=self.threshold,
        )
        if not self.constraints.rules:
            return found
        return ChangeMaps(found.first, self.constraints(found.first, found.second, second)[0], found.p_change)

    @torch.no_grad()
    def date_probabilities(self, inputs: Tensor, data_samples: Sequence[Any] | None) -> list[tuple[Tensor, Tensor]]:
        """Per image the probabilities (K, H, W) of both dates, at the size of the file and without padding."""
        dates = []
        for logits in self.score_maps(inputs).values():
            plain = None if data_samples is None else [
                SegDataSample(metainfo=sample.metainfo) for sample in data_samples
            ]
            restored = self.segmentor.postprocess_result(logits, plain)
            dates.append([sample.seg_logits.data.softmax(0) for sample in restored])
        return list(zip(*dates))

    def predict(self, inputs: Tensor, data_samples: Any = None) -> list[SCDDataSample]:
        """The samples with their predictions."""
        self._check_ready()
        samples = data_samples or [SCDDataSample() for _ in range(inputs.shape[0])]
        for sample, (first, second) in zip(samples, self.date_probabilities(inputs, data_samples)):
            maps = self.compare(first, second)
            p_change = maps.p_change.clamp(FLOOR, 1 - FLOOR)
            sample.set_data({
                'pred_sem_seg': PixelData(data=maps.changed[None].long()),
                'pred_sem_t1': PixelData(data=maps.first[None]), 'pred_sem_t2': PixelData(data=maps.second[None]),
                'seg_logits': PixelData(data=torch.stack([torch.log1p(-p_change), p_change.log()])),
            })  # fmt: skip
        return samples

    def loss(self, inputs: Tensor, data_samples: Any) -> dict[str, Tensor]:
        """Not trained."""
        raise RuntimeError(f'{type(self).__name__} is not trained: train its segmentor with the config of the '
                           f'segmentor, then give its checkpoint.')

    def extract_feat(self, inputs: Tensor) -> Any:
        """The features of each date."""
        return [self.segmentor.extract_feat(images) for images in inputs.chunk(2, dim=1)]

    def encode_decode(self, inputs: Tensor, batch_img_metas: list[dict[str, Any]]) -> Tensor:
        """(N, 2, H, W) log-probabilities of unchanged and changed."""
        dates = [logits.softmax(1) for logits in self.score_maps(inputs).values()]
        p_change = torch.stack([self.compare(p, q).p_change for p, q in zip(*dates)]).clamp(FLOOR, 1 - FLOOR)
        return torch.stack([torch.log1p(-p_change), p_change.log()], dim=1)

    def _forward(self, inputs: Tensor, data_samples: Any = None) -> Tensor:
        """As :meth:`encode_decode`."""
        return self.encode_decode(inputs, [])

    def _logits(self, images: Tensor) -> Tensor:
        """Class logits of one date, whole or by sliding windows; two channels for a head with one."""
        cfg = self.segmentor.test_cfg or {}
        if cfg.get('mode', 'whole') == 'slide':
            logits = slide_mean(lambda x: class_logits(self.segmentor, x), images, cfg['crop_size'], cfg['stride'])
        else:
            logits = class_logits(self.segmentor, images)
        return logits if logits.shape[1] > 1 else torch.cat([torch.zeros_like(logits), logits], dim=1)

    def _check_ready(self) -> None:
        """Raise unless 'bayes' has both priors."""
        name = type(self).__name__
        if self.mode != 'bayes':
            return
        if not bool(self.prior.any()):
            raise ValueError(
                f"{name}: mode='bayes' needs the class prior of the segmentor, which its checkpoint does not hold "
                f'(it was trained without imbdense.ClassCountHook). Give prior=[one share per class], for example the '
                f'pixels that `imbdense stats` counts.'
            )
        if self.needs_transition:
            raise ValueError(
                f"{name}: there are no transitions yet. Add custom_hooks=[dict(type='imbdense.PostClassificationHook')]"
                f', which estimates them from the tested images, or give transitions=FILE.csv.'
            )

    def _load_segmentor(self, checkpoint: str) -> None:
        """Weights, and the prior where the file knows it."""
        content = load_checkpoint(checkpoint)
        load_weights(self.segmentor, content.get('state_dict', content), Path(checkpoint))
        self.adopt_ledger(content)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *arguments: Any) -> None:
        """Give the weights of a bare segmentor to the segmentor."""
        own = [key for key in state_dict if key.startswith(prefix)]
        if own and not any(key.startswith(f'{prefix}segmentor.') for key in own):
            for key in own:
                state_dict[f'{prefix}segmentor.{key[len(prefix):]}'] = state_dict.pop(key)
            state_dict[f'{prefix}prior'], state_dict[f'{prefix}transition'] = self.prior, self.transition
        super()._load_from_state_dict(state_dict, prefix, *arguments)


def _for_pairs(own: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The config of a preprocessor of pairs with the statistics of the segmentor's."""
    if own.get('rgb_to_bgr'):
        raise ValueError(f'{name}: give data_preprocessor; that of the segmentor has rgb_to_bgr, which '
                         f'imbdense.DenseDataPreProcessor does not know.')
    kept = {key: own[key] for key in KEPT if own.get(key) is not None}
    return {'type': 'imbdense.DenseDataPreProcessor', 'dates': 2, **kept}
