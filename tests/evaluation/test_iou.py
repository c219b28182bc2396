import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling
from cityscapesscripts.helpers.labels import trainId2label
from mmengine.logging import MessageHub
from mmengine.structures import PixelData
from mmseg.datasets import CityscapesDataset
from mmseg.structures import SegDataSample

from infopro_seg.config_files import load_config
from infopro_seg.errors import CheckpointError, ConfigError, DataError
from infopro_seg.evaluate import evaluate
from infopro_seg.evaluation.iou import CLASS_IOU, ClassIoUMetric
from infopro_seg.evaluation.label_images import LabelImages, label_ids
from infopro_seg.inference import Predictor
from tests.runs import DEMO, SIZE, images, label_file, read_png, tiny_options

CLASSES = CityscapesDataset.METAINFO['classes']
RATIOS = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)


def official_scores(folder, streets):
    """What cityscapesScripts makes of a folder of label images."""
    truths = [str(label_file(image, 'labelIds')) for image in images(streets, 'val')]
    args = SimpleNamespace(**vars(evalPixelLevelSemanticLabeling.args))
    args.quiet, args.JSONOutput, args.evalInstLevelScore = True, False, False
    args.predictionPath, args.predictionWalk = str(folder), None
    result = evalPixelLevelSemanticLabeling.evaluateImgLists(
        [evalPixelLevelSemanticLabeling.getPrediction(args, truth) for truth in truths], truths, args
    )
    scores = {name: None if np.isnan(value) else value for name, value in result['classScores'].items()}
    return result['averageScoreClasses'], {name: scores[name] for name in CLASSES}


def assert_official(results, folder, streets):
    mean, scores = official_scores(folder, streets)
    assert results['mIoU'] == pytest.approx(mean, abs=1e-9)
    assert f'{results["percent"]["mIoU"]:.2f}' == f'{100 * mean:.2f}'  # what is printed
    for name in CLASSES:
        assert results['IoU'][name] == pytest.approx(scores[name], abs=1e-9)


def run(streets, checkpoint, tmp_path, options=None, **arguments):
    """Evaluates with label images in tmp_path."""
    options = tiny_options(streets, results=True, **(options or {}))
    results = evaluate(
        DEMO, checkpoint, out=str(tmp_path), work_dir=str(tmp_path / 'log'), options=options, **arguments
    )
    return results, {path.stem: read_png(path) for path in tmp_path.rglob('*.png')}


def test_an_evaluation_equals_the_official_one(streets, lively, tmp_path):
    results, written = run(streets, lively, tmp_path, json_file=str(tmp_path / 'deep' / 'results.json'))
    assert written.keys() == {image.stem for image in images(streets, 'val')}
    assert len({value for picture in written.values() for value in np.unique(picture)}) > 4
    assert results['mIoU'] > 0.001
    assert_official(results, tmp_path, streets)
    assert json.loads((tmp_path / 'deep' / 'results.json').read_text()) == results


@pytest.mark.parametrize('wrong', [0.0, 0.1, 0.7])
def test_label_maps_made_by_hand_score_as_officially(streets, tmp_path, wrong):
    """Ground truth with blocks of other classes; one class is never predicted and void pixels are filled."""
    random = np.random.default_rng(2)
    metric = ClassIoUMetric(iou_metrics=['mIoU'])
    metric.dataset_meta = CityscapesDataset.METAINFO
    names = {str(image): image.name for image in images(streets, 'val')}
    writer = LabelImages(str(tmp_path), names, label_ids(CityscapesDataset.METAINFO).tolist())
    for image in images(streets, 'val'):
        truth = read_png(label_file(image)).astype(int)
        noise = np.kron(random.integers(0, 18, (16, 32)), np.ones((4, 4), int))
        replaced = np.kron(random.random((16, 32)) < wrong, np.ones((4, 4), bool)) | (truth == 255)
        sample = SegDataSample(metainfo={'img_path': str(image)})
        sample.pred_sem_seg = PixelData(data=torch.tensor(np.where(replaced, noise, truth))[None])
        sample.gt_sem_seg = PixelData(data=torch.tensor(truth)[None])
        metric.process({}, [sample.to_dict()])
        writer.process({}, [sample.to_dict()])
    percent = metric.evaluate(len(images(streets, 'val')))
    iou = MessageHub.get_current_instance().get_info(CLASS_IOU)
    scores = {name: None if np.isnan(value) else value for name, value in iou['classes'].items()}
    assert_official({'mIoU': iou['mIoU'], 'IoU': scores, 'percent': percent}, tmp_path, streets)
    assert (iou['mIoU'] == 1) == (wrong == 0)


class ByHand:
    """Prediction without mmseg's inference: the network's own logits, everything else written out."""

    def __init__(self, checkpoint, streets):
        config = load_config(DEMO, tiny_options(streets, results=True))
        self.model = Predictor(config, checkpoint, 'cpu').model

    @torch.no_grad()
    def logits(self, bgr, size):
        p = self.model.data_preprocessor
        inputs = torch.tensor(np.ascontiguousarray(bgr[..., ::-1])).permute(2, 0, 1)[None].float()
        low = self.model((inputs - p.mean) / p.std)
        return F.interpolate(low, size=size, mode='bilinear', align_corners=False)[0]

    def scaled_and_flipped(self, bgr):
        total = 0
        for ratio in RATIOS:
            size = tuple(int(side * ratio + 0.5) for side in SIZE)
            small = cv2.resize(bgr, size[::-1], interpolation=cv2.INTER_LINEAR)
            for flip in (False, True):
                logits = self.logits(np.flip(small, 1) if flip else small, size)
                logits = logits.flip(2) if flip else logits
                logits = F.interpolate(logits[None], size=SIZE, mode='bilinear', align_corners=False)[0]
                total = total + logits.softmax(0)
        return total.argmax(0)

    def slid(self, bgr, crop, stride):
        total, count = torch.zeros(19, *SIZE), torch.zeros(SIZE)
        tops, lefts = (
            sorted({min(start, side - part) for start in range(0, side, step)})
            for side, part, step in zip(SIZE, crop, stride, strict=True)
        )
        for top in tops:
            for left in lefts:
                rows, columns = slice(top, top + crop[0]), slice(left, left + crop[1])
                total[:, rows, columns] += self.logits(bgr[rows, columns], crop)
                count[rows, columns] += 1
        return (total / count).argmax(0)


def as_ids(prediction):
    return np.array([trainId2label[index].id for index in range(19)], np.uint8)[prediction.numpy()]


def assert_alike(actual, expected):
    """Equal but for pixels that rounding decides."""
    assert (actual == expected).mean() > 0.999


def test_tta_averages_the_probabilities_over_scales_and_flips(streets, lively, tmp_path):
    results, written = run(streets, lively, tmp_path, tta=True)
    hand = ByHand(lively, streets)
    changed = 0
    for image in images(streets, 'val'):
        bgr = cv2.imread(str(image))
        assert_alike(written[image.stem], as_ids(hand.scaled_and_flipped(bgr)))
        changed += (written[image.stem] != as_ids(hand.logits(bgr, SIZE).argmax(0))).sum()
    assert changed > 100
    assert results['tta'] is True
    assert_official(results, tmp_path, streets)


def test_sliding_windows_average_the_logits_of_overlapping_crops(streets, lively, tmp_path):
    slide = {'model.test_cfg': {'mode': 'slide', 'crop_size': (32, 48), 'stride': (24, 30)}}
    results, written = run(streets, lively, tmp_path, slide)
    hand = ByHand(lively, streets)
    for image in images(streets, 'val'):
        assert_alike(written[image.stem], as_ids(hand.slid(cv2.imread(str(image)), (32, 48), (24, 30))))
    assert_official(results, tmp_path, streets)


def test_predictions_are_scored_at_the_size_of_the_file(streets, lively, tmp_path):
    """Also where the network sees the image at another size."""
    config = load_config(DEMO)
    pipeline = [step.to_dict() for step in config.test_dataloader.dataset.pipeline]
    pipeline.insert(1, {'type': 'Resize', 'scale': (256, 128), 'keep_ratio': True})
    results, written = run(streets, lively, tmp_path, {'test_dataloader.dataset.pipeline': pipeline})
    assert all(picture.shape == SIZE for picture in written.values())
    assert_official(results, tmp_path, streets)


def test_tta_without_a_pipeline_for_it_is_refused(streets, lively, tmp_path):
    config = load_config(DEMO, tiny_options(streets, results=True))
    config.pop('tta_pipeline')
    config.dump(tmp_path / 'plain.py')
    with pytest.raises(ConfigError, match=r'--tta needs tta_pipeline in the config .*plain.py'):
        evaluate(tmp_path / 'plain.py', lively, tta=True)


def test_what_is_missing_is_named(streets, lively, tmp_path):
    with pytest.raises(CheckpointError, match=r'no checkpoint .*/none.pth; there are .*/lively.pth'):
        run(streets, lively.with_name('none.pth'), tmp_path)
    with pytest.raises(DataError, match=r'the test data is missing: no folder .*/nowhere/leftImg8bit/val'):
        run(tmp_path / 'nowhere', lively, tmp_path)
