import math

import numpy as np
import pytest
import torch

from infopro_seg.errors import DataError
from infopro_seg.probing.scores import ClassScore, Ignorance, ReconstructionScore

CLASSES = 4


def samples(classes=3):
    """Images of different sizes, their labels, logits of both; class 3 is never there nor predicted."""
    random = np.random.default_rng(0)
    for size in ((4, 6), (5, 3), (1, 8)):
        labels = random.integers(0, classes, size)
        labels[random.random(size) < 0.2] = 255
        yield (
            random.random((3, *size)),
            labels,
            random.normal(size=(3, *size)),
            random.integers(0, classes, size),
        )


def entropy(p, q):
    return -(p * np.log(q) + (1 - p) * np.log(1 - q))


def test_reconstruction_errors_are_means_over_all_pixels():
    score, squares, crosses = ReconstructionScore(), [], []
    for image, _, logits, _ in samples():
        score.add(torch.tensor(logits), torch.tensor(image))
        decoded = 1 / (1 + np.exp(-logits))
        squares.append(((decoded - image) ** 2).ravel())
        crosses.append(entropy(image, decoded).ravel())
    mse = np.concatenate(squares).mean()
    expected = {
        'bce': np.concatenate(crosses).mean(),
        'mse': mse,
        'psnr': 20 * math.log10(1 / math.sqrt(mse)),
    }
    assert score.result() == pytest.approx(expected)


def test_miou_and_accuracy_are_those_of_a_confusion_matrix():
    score, matrix = ClassScore(CLASSES), np.zeros((CLASSES, CLASSES))
    for _, labels, _, predicted in samples():
        score.add(torch.tensor(predicted), torch.tensor(labels))
        known = labels != 255
        np.add.at(matrix, (labels[known], predicted[known]), 1)
    hits = np.diag(matrix)
    union = matrix.sum(0) + matrix.sum(1) - hits
    assert union[3] == 0
    expected = {'mIoU': (hits[:3] / union[:3]).mean(), 'accuracy': hits.sum() / matrix.sum()}
    assert score.result() == pytest.approx(expected)


def test_ignorance_is_the_best_constant():
    score = Ignorance(CLASSES)
    pixels, known = [], []
    for image, labels, _, _ in samples():
        score.add(torch.tensor(image), torch.tensor(labels))
        pixels.append(image.reshape(3, -1))
        known.append(labels[labels != 255])
    pixels, known = np.concatenate(pixels, 1), np.concatenate(known)
    grid = np.linspace(0.01, 0.99, 981)
    guesses = {
        'mse': [((pixels[c] - grid[:, None]) ** 2).mean(1).min() for c in range(3)],
        'bce': [entropy(pixels[c], grid[:, None]).mean(1).min() for c in range(3)],
    }
    scores = [ClassScore(CLASSES) for _ in range(3)]
    for label, guess in enumerate(scores):
        guess.add(torch.full(known.shape, label), torch.tensor(known))
    best = max((guess.result() for guess in scores), key=lambda result: result['accuracy'])
    actual = score.result()
    for name, per_channel in guesses.items():
        assert actual[name] == pytest.approx(np.mean(per_channel), abs=1e-6)
    assert actual['bce_floor'] == pytest.approx(entropy(pixels, pixels).mean())
    assert actual['psnr'] == pytest.approx(-10 * math.log10(actual['mse']))
    assert {name: actual[name] for name in best} == pytest.approx(best)


def test_data_without_a_label_is_refused():
    score = ClassScore(CLASSES)
    score.add(torch.zeros(2, 2, dtype=torch.long), torch.full((2, 2), 255))
    with pytest.raises(DataError, match='no pixel of the val split is labelled'):
        score.result()
