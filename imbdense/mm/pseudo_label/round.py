"""One round of off-line pseudo-labelling: which images, predict, choose thresholds, write, report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dist import barrier
from numpy.typing import NDArray

from imbdense.core.inference import LogitCalibration
from imbdense.core.pseudo_label import PseudoLabeler
from imbdense.core.stats import ClassCounts
from imbdense.data.outputs.store import OutputStore
from imbdense.data.pseudo import REPORT, FilterTable, claim_folder, coco_record
from imbdense.mm.class_counts import default_unit
from imbdense.mm.inference.finished_model import FinishedModel, file_digest
from imbdense.mm.inference.run_prior import TrainedPrior, trained_prior
from imbdense.mm.inference.save_outputs import spread
from imbdense.mm.logit_attachment import attach_logit_map
from imbdense.mm.predictor import Predictor
from imbdense.mm.pseudo_label import boxes, outputs, pixels
from imbdense.mm.pseudo_label.guards import Confidences, guard_report, relevance
from imbdense.mm.pseudo_label.labelled import find_leaks, labelled_images
from imbdense.mm.pseudo_label.outputs import ImageFile
from imbdense.mm.pseudo_label.rules import build_rule, defined_thresholds, fit_rule
from imbdense.utils.distributed import rank_and_world
from imbdense.utils.files import atomic_write_json, atomic_write_text

REFERENCE_IMAGES = 32
"""Labelled training images on which the usual confidence of the model is measured."""
LABELS, SPLIT = 'pseudo_labels.json', 'images.txt'

Progress = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]


class PseudoLabelError(ValueError):
    """A round cannot be done; the message says what to change."""


@dataclass(frozen=True)
class RoundOptions:
    """What to do.

    Attributes:
        rule: config of a pseudo-label rule, without ``num_classes`` and counts of the labels.
        needs_counts: whether the rule gets ``class_counts`` (and ``labelled_images`` for boxes) of the labelled set.
        logit_adjust_tau: >= 0, strength of the prior correction of the logits before the argmax.
        min_score: detection, least score of a box that is counted or kept. min_size: least side of a box in pixels.
        class_counts: file of the counts of the labels, where the training data are not at hand.
    """

    rule: dict[str, Any]
    needs_counts: bool = False
    logit_adjust_tau: float = 0.0
    min_score: float = 0.05
    min_size: float = 1.0
    class_counts: str | None = None


@dataclass(frozen=True)
class RoundResult:
    """What came out.

    Attributes:
        table: counts after every filter. thresholds: (C,), ``None`` = no prediction to learn one from.
        warnings: sentences. report: everything as plain data.
    """

    table: FilterTable
    thresholds: list[float | None]
    warnings: list[str]
    report: dict[str, Any]


class PseudoLabelRound:
    """A finished model, an unlabelled set and a folder for the result.

    Across ranks: the images are shared; every rank ends with the same result, files are written by one rank each. A
    run that was stopped goes on: finished predictions and files are kept. Equal inputs give equal files, whatever the
    number of ranks.

    Args:
        config, checkpoint, device: the model, of mmdet or mmseg.
        images: the unlabelled images; those that are labelled in the config as well are dropped.
        out: folder of the result, claimed by a sidecar. store: folder of the saved predictions.

    Raises:
        CheckpointError: the checkpoint. SidecarError, OutputsError: a folder holds something else.
        PseudoLabelError: no image is left; too many classes for 8-bit label maps.
    """

    def __init__(
        self,
        config: Config,
        checkpoint: Path,
        images: Sequence[ImageFile],
        out: Path,
        store: Path,
        options: RoundOptions,
        device: str | None = None,
    ) -> None:
        self.config, self.out, self.store, self.options = config, out, store, options
        self.given = list(images)
        self.labelled, self.unread = labelled_images(config)
        self.leaks = find_leaks([image.path for image in images], self.labelled)
        self.images = [image for image in images if str(image.path) not in self.leaks.dropped]
        if not self.images:
            raise PseudoLabelError(
                f'no unlabelled image is left: {len(images)} were given, and all of them are labelled in the config.'
            )
        self.predictor = Predictor(config, checkpoint, device)
        self.network = outputs.deciding_network(self.predictor.model)
        self.segments = hasattr(self.network, 'decode_head')
        self.classes = list(self.predictor.classes)
        if self.segments and len(self.classes) > pixels.REJECTED:
            raise PseudoLabelError(
                f'label maps hold at most {pixels.REJECTED} classes, but the model has {len(self.classes)}.'
            )
        self.identity = {
            'task': 'segmentation' if self.segments else 'detection',
            'checkpoint': file_digest(checkpoint),
            'config': outputs.config_digest(config),
            'logit_adjust_tau': options.logit_adjust_tau,
        }
        self.prior, self.prior_error = self._trained_prior(checkpoint)

    def run(self, progress: Progress) -> RoundResult:
        """Predict, select, write; ``progress(title)`` gives a callback (done, total)."""
        reference = self._reference()
        everything = [*self.images, *reference]
        claim_folder(self.out, {
            **self.identity, 'rule': self.options.rule, 'min_score': self.options.min_score,
            'min_size': self.options.min_size, 'images': outputs.images_fingerprint(self.images),
        })  # fmt: skip
        self._adjust_logits()
        with progress('predict') as show:
            store = outputs.save_predictions(self.predictor, everything, self.store, self.identity, show)
        barrier()
        failed = outputs.broken(store, self.images)
        if len(failed) == len(self.images):
            raise PseudoLabelError(f'none of the {len(failed)} images could be predicted; the first: '
                                   f'{next(iter(failed.values()))}')
        rule = self._rule()
        fit_rule(rule, store, self.images, self.options.min_score)
        table = self._write(store, rule)
        return self._report(store, rule, table, failed)

    def _write(self, store: OutputStore, rule: PseudoLabeler) -> FilterTable:
        """The label maps, or the annotation file by the first rank."""
        if self.segments:
            accepted = pixels.accepted_levels(rule, len(self.classes))
            pixels.write_label_maps(store, self.images, accepted, self.out)
            if rank_and_world()[0] == 0:
                names = [image.name for image, _ in outputs.readable(store, self.images)]
                atomic_write_text(self.out / SPLIT, '\n'.join(names) + '\n')
            table = pixels.pixel_filters(pixels.confidence_table(store, self.images), accepted, self.classes)
        else:
            found, table = boxes.select_boxes(
                store, self.images, rule, self.options.min_score, self.options.min_size
            )
            if rank_and_world()[0] == 0:
                atomic_write_json(self.out / LABELS, coco_record(found, self.classes), indent=None)
        barrier()
        return table

    def _report(
        self, store: OutputStore, rule: PseudoLabeler, table: FilterTable, failed: dict[str, str]
    ) -> RoundResult:
        """Guards, and everything as one file."""
        records = list(store.records())
        split = len(self.images)
        relevant = relevance(Confidences.of(records[:split]), Confidences.of(records[split:]))
        counts = None if self.prior is None else self._label_counts(self.prior.counts)
        guards, warnings = guard_report(table, counts, relevant)
        if self.leaks.dropped:
            warnings.append(f'{len(self.leaks.dropped)} images are labelled in the config as well and were left out.')
        for line in self.unread:
            warnings.append(f'labelled images could not be read, so leaks were not looked for there: {line}')
        thresholds = defined_thresholds(rule, dict(table.steps).get('minimum score', table.predicted))
        report = {
            'images': split - len(failed), 'broken': failed, 'leaks': self.leaks.to_dict(),
            'unread_splits': self.unread, 'files': self._files(failed),
            'identity': self.identity, 'rule': self.options.rule, 'thresholds': thresholds,
            'table': table.to_dict(), 'guards': guards, 'warnings': warnings,
        }  # fmt: skip
        if rank_and_world()[0] == 0:
            atomic_write_json(self.out / REPORT, report)
        barrier()
        return RoundResult(table, thresholds, warnings, report)

    def _files(self, failed: dict[str, str]) -> dict[str, tuple[str | None, int]]:
        """Image -> (name of its result, its size in bytes); no name for broken images and those that are labelled."""
        out = failed.keys() | self.leaks.dropped.keys()
        return {
            image.file_name: (None if str(image.path) in out else image.name, image.path.stat().st_size)
            for image in self.given if image.path.is_file()
        }

    def _trained_prior(self, checkpoint: Path) -> tuple[TrainedPrior | None, str]:
        """The prior of the model, or why it is not to be had."""
        finished = FinishedModel(
            self.config, '', checkpoint, self.predictor.content, self.identity['checkpoint'], self.predictor.model,
            None, tuple(self.classes),
        )  # fmt: skip
        try:
            return trained_prior(finished, self.options.class_counts), ''
        except (ValueError, OSError, TypeError) as error:
            if self.options.class_counts is not None:
                raise
            return None, str(error)

    def _known_prior(self, what: str) -> TrainedPrior:
        """The prior, or an error that says what needs it."""
        if self.prior is None:
            raise PseudoLabelError(f'{what} needs the class counts of the labelled set: {self.prior_error}')
        return self.prior

    def _label_counts(self, counts: ClassCounts) -> NDArray[np.int64]:
        """(C,) pixels or objects."""
        return counts.of('pixels' if self.segments and counts.pixels is not None else default_unit(counts))

    def _adjust_logits(self) -> None:
        """Correct the prior that the model encodes, towards uniform; refused where training corrected it."""
        tau = self.options.logit_adjust_tau
        if tau == 0.0:
            return
        ledger = self._known_prior('--logit-adjust-tau').ledger
        shift = ledger.residual(tau=tau)
        ledger.apply('pseudo-label', 'post_hoc', shift)
        if not self.segments:
            shift = shift - float((np.asarray(ledger.entries[-2].prior) * shift).sum())
        attach_logit_map(self.network, LogitCalibration('logit-adjust', tuple(shift.tolist())), 'pseudo-label')

    def _rule(self) -> PseudoLabeler:
        """The rule, with the counts of the labels where it needs them."""
        rule = dict(self.options.rule)
        if self.options.needs_counts:
            counts = self._known_prior(f'the rule {rule["type"]}').counts
            rule['class_counts'] = self._label_counts(counts).tolist()
            rule['labelled_images'] = None if self.segments else counts.num_images
        return build_rule(rule, len(self.classes))

    def _reference(self) -> list[ImageFile]:
        """Labelled training images, evenly spread."""
        files = self.labelled.get('train', [])
        chosen = spread(len(files), REFERENCE_IMAGES) if files else []
        return [ImageFile(Path(files[place]), files[place], f'labelled/{place}') for place in chosen]
