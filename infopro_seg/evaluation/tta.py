"""Predictions averaged over scales and flips."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.structures import PixelData
from mmseg.models import SegTTAModel


class TTAModel(SegTTAModel):
    """mmseg's `SegTTAModel`, right for heads with one output channel too.

    Of those mmseg hands on probabilities in place of logits, of which its `SegTTAModel` takes the sigmoid
    again: every pixel then is above a threshold of 0.5 or less.
    """

    def merge_preds(self, data_samples_list: list[Any]) -> list[Any]:
        """Averages the probabilities of each image over its variants."""
        merged: list[Any] = super().merge_preds(data_samples_list)
        if self.module.out_channels == 1:
            for variants, result in zip(data_samples_list, merged, strict=True):
                mean = torch.stack([sample.seg_logits.data for sample in variants]).mean(0)
                above = (mean > self.module.decode_head.threshold).to(mean)
                result.set_data({'pred_sem_seg': PixelData(data=above)})
        return merged
