"""Predictions averaged over scales and flips."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from mmengine.model import is_model_wrapper
from mmengine.structures import PixelData
from mmseg.models import SegTTAModel

from infopro_seg.models.bounded_prediction import BoundedPrediction
from infopro_seg.models.row_maps import MeanProbabilities


class TTAModel(SegTTAModel):
    """mmseg's `SegTTAModel`: labels from the mean of the probabilities of an image's variants.

    A model of this package averages over all variants one band of rows at a time. It also handles heads with
    one output channel correctly: for these, mmseg returns probabilities in place of logits, and its
    `SegTTAModel` takes the sigmoid again, so that every pixel is above a threshold of 0.5 or less.
    """

    def test_step(self, data: Any) -> Any:
        """Segments the images of a batch, each from all its variants.

        Args:
            data: `inputs`, a list of batches of images, one for each variant; `data_samples` likewise.
        """
        network = self._network
        if not isinstance(network, BoundedPrediction):
            return super().test_step(data)
        with getattr(self.module, 'divided', nullcontext)():  # among processes with a local module each
            return self._averaged(network, data)

    @property
    def _network(self) -> Any:
        """The model; a test within a training of several processes gives its wrapper."""
        return self.module.module if is_model_wrapper(self.module) else self.module

    def _averaged(self, network: Any, data: Any) -> list[Any]:
        keys = list(data) if isinstance(data, dict) else None
        count = len(data[keys[0]]) if keys else len(data[0])
        variants = []
        for index in range(count):
            one = {key: data[key][index] for key in keys} if keys else [sample[index] for sample in data]
            batch = network.data_preprocessor(one, False)
            variants.append((batch['data_samples'], network.logit_maps(**batch)))
        samples: list[Any] = variants[0][0]
        for sample, maps in zip(samples, zip(*(maps for _, maps in variants), strict=True), strict=True):
            network.segment(sample, MeanProbabilities(maps), are_probabilities=True)
        return samples

    def merge_preds(self, data_samples_list: list[Any]) -> list[Any]:
        """Averages the probabilities of each image over its variants."""
        merged: list[Any] = super().merge_preds(data_samples_list)
        if self._network.out_channels == 1:
            for variants, result in zip(data_samples_list, merged, strict=True):
                mean = torch.stack([sample.seg_logits.data for sample in variants]).mean(0)
                above = (mean > self._network.decode_head.threshold).to(mean)
                result.set_data({'pred_sem_seg': PixelData(data=above)})
        return merged
