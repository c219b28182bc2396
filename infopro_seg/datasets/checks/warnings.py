"""Warnings about a data set: training would run, but something is probably not intended."""

from __future__ import annotations

import numpy as np

from infopro_seg.datasets.checks.whole_split import SplitReport
from infopro_seg.datasets.label_ids import IGNORED

FAR_MEAN = 1.0
"""In standard deviations; photographs of streets are 0.9 away from ImageNet's mean and train well."""

FAR_STD = 2.0
"""Ratio of standard deviations."""

MUCH_IGNORED = 0.5
"""Share of ignored pixels."""


def warnings_of(report: SplitReport) -> list[str]:
    """The warnings, each a sentence with its remedy."""
    found = [*_unseen(report), *_ignored(report), *_turned(report), *_pages(report), *_modes(report)]
    return [*found, *_normalisation(report)]


def unseen(report: SplitReport) -> list[str]:
    """Names of the classes that occur in no label image."""
    return [name for index, name in enumerate(report.split.classes) if report.images[index] == 0]


def _unseen(report: SplitReport) -> list[str]:
    names = unseen(report)
    if not report.labels or not names:
        return []
    masks = len(report.split.classes) == 2 and report.images[1] == 0 and report.images[IGNORED]
    hint = f' ({IGNORED} is the ignored id: masks of 0 and {IGNORED} must be 0 and 1)' if masks else ''
    return [
        f'no label image holds {len(names)} of the {len(report.split.classes)} classes: {", ".join(names)}'
        f'{hint}; they cannot be learnt or evaluated: add images, or remove them from the classes'
    ]


def _ignored(report: SplitReport) -> list[str]:
    found = []
    if report.ignored_share > MUCH_IGNORED:
        found.append(
            f'{report.ignored_share:.1%} of the labelled pixels are ignored; check that {IGNORED} and '
            'reduce_zero_label are set as intended'
        )
    if report.unlabelled:
        found.append(
            f'label images that are ignored in every pixel: {len(report.unlabelled)}, e.g. '
            f'{report.unlabelled[0].label}; they teach nothing: remove them'
        )
    return found


def _turned(report: SplitReport) -> list[str]:
    count = len(report.turned)
    if not count:
        return []
    labels = len(report.labels_turned)
    drawn = f', with {labels} of the label images, which were drawn on the stored pixels' if labels else ''
    return [
        f'images that are turned by their EXIF orientation: {count}, e.g. {report.turned[0].image}{drawn}; '
        'check in the samples that labels cover the right objects'
    ]


def _pages(report: SplitReport) -> list[str]:
    if not report.paged:
        return []
    return [
        f'images of several pages or frames: {len(report.paged)}, e.g. {report.paged[0].image}; only the '
        'first is read: save each as a file of its own if you need the others'
    ]


def _modes(report: SplitReport) -> list[str]:
    if not report.split.pairs[0].loading.color_type.startswith('color'):
        return []
    deep = sum(count for mode, count in report.image_modes.items() if mode.endswith(' 16 bit'))
    bands = sum(count for mode, count in report.image_modes.items() if mode.startswith('4 bands'))
    alpha = sum(count for mode, count in report.image_modes.items() if 'alpha' in mode or 'RGBA' in mode)
    found = []
    if deep:
        found.append(f'images of more than 8 bits per channel: {deep}; they are read with 8')
    if bands:
        found.append(f'images of four bands: {bands}; the fourth is dropped')
    if alpha:
        found.append(f'images with an alpha channel: {alpha}; it is dropped')
    if len(report.image_modes) > 1:
        modes = ', '.join(f'{count} {mode}' for mode, count in report.image_modes.most_common())
        found.append(f'the images differ in mode: {modes}; all are read as colours of 8 bits')
    return found


def _normalisation(report: SplitReport) -> list[str]:
    mean, std = report.mean, report.std
    if report.expected is None or mean is None or std is None:
        return []
    assumed_mean, assumed_std = report.expected
    if len(assumed_mean) not in (1, len(mean)):
        return [
            f'the images have {len(mean)} channels, but data_preprocessor.mean has {len(assumed_mean)}; '
            'make them equal'
        ]
    far = np.abs(mean - assumed_mean) / assumed_std > FAR_MEAN
    ratio = np.maximum(std, 1e-6) / assumed_std
    far_std = (ratio > FAR_STD) | (ratio < 1 / FAR_STD)
    if not (far.any() or far_std.any()):
        return []
    return [
        f'the images have mean {rounded(mean)} and std {rounded(std)} ({report.channels}), far from the '
        f'mean {rounded(assumed_mean)} and std {rounded(assumed_std)} of data_preprocessor; unless '
        'pretrained weights need those, put in the measured ones'
    ]


def rounded(values: np.ndarray) -> list[float]:
    """Numbers rounded for people to read."""
    return [round(float(value), 2) for value in values]
