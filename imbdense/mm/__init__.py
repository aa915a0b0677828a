"""Thin adapters for mmengine, mmcv, mmseg and mmdet; the only place that imports them."""
