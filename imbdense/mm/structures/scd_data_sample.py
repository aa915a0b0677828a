"""Data sample of change detection: the change map, and a land-cover map per date."""

from __future__ import annotations

from mmengine.structures import PixelData
from mmseg.structures import SegDataSample


class SCDDataSample(SegDataSample):
    """A :class:`SegDataSample` whose segmentation is the *change* map, with land cover per date beside it.

    All maps are (1, H, W) integers. The change map lives under the host's names, so every loss, sampler and metric of
    segmentation works on it; ``gt_cd`` and ``pred_cd`` are other names of the same fields.

    * ``gt_sem_seg`` / ``pred_sem_seg`` (``gt_cd`` / ``pred_cd``): 0 = unchanged, 1 = changed, 255 = ignored; or, for
      direct multi-class change detection, one index per kind of change with 0 = unchanged.
    * ``gt_sem_t1``, ``gt_sem_t2``, ...: land cover 0 ... S - 1 at each date; 255 = not known, which includes the
      unchanged pixels of data sets that label land cover inside changes only.
    * ``pred_sem_t1``, ...: land cover 0 ... S - 1 at every pixel; 255 = the model says "unchanged at this date" (only
      heads with a channel for it can).
    """

    @property
    def gt_cd(self) -> PixelData:
        """The true change map."""
        return self.gt_sem_seg

    @gt_cd.setter
    def gt_cd(self, value: PixelData) -> None:
        """Set it."""
        self.gt_sem_seg = value

    @property
    def pred_cd(self) -> PixelData:
        """The predicted change map."""
        return self.pred_sem_seg

    @pred_cd.setter
    def pred_cd(self, value: PixelData) -> None:
        """Set it."""
        self.pred_sem_seg = value
