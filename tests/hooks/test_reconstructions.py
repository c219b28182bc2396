import cv2
import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from infopro_seg.hooks.reconstructions import ReconstructionHook
from tests.runs import CROP, ITERS
from tests.stand_ins import MEAN, SIZE, STD, assert_same, build, encoder_config, make_batch, model_config

MODULES = 3


@pytest.fixture(scope='module')
def events(trained):
    folder = next(trained.glob('*/vis_data'))
    accumulator = EventAccumulator(str(folder), size_guidance={'images': 0, 'scalars': 0})
    accumulator.Reload()
    return accumulator


def test_tensorboard_shows_the_image_beside_what_each_local_module_reconstructs(events):
    shown = events.Images('image_and_reconstructions')
    assert [event.step for event in shown] == [2, 4, 6]
    for event in shown:
        assert (event.height, event.width) == (CROP[0], MODULES * CROP[1])
        picture = cv2.imdecode(np.frombuffer(event.encoded_image_string, np.uint8), cv2.IMREAD_COLOR)
        parts = np.split(picture.astype(float), MODULES, axis=1)
        assert min(part.std() for part in parts) > 0
        assert all(np.abs(parts[0] - part).mean() > 1 for part in parts[1:])


def test_tensorboard_has_the_losses_of_each_local_module(events):
    tags = set(events.Tags()['scalars'])
    losses = {
        f'local_{k}.{loss}' for k in range(MODULES - 1) for loss in ('loss_recon', 'loss_ce', 'acc_seg')
    }
    losses |= {'decode.loss_ce', 'decode.acc_seg', 'loss'}
    assert {f'train/{tag}' for tag in losses} <= tags or losses <= tags
    prefix = 'train/' if 'train/loss' in tags else ''
    steps = {tag: {e.step: e.value for e in events.Scalars(prefix + tag)} for tag in losses}
    assert all(list(values) == list(range(1, ITERS + 1)) for values in steps.values())
    parts = [tag for tag in losses if 'loss_' in tag]
    for step in range(1, ITERS + 1):
        assert steps['loss'][step] == pytest.approx(sum(steps[tag][step] for tag in parts), rel=1e-5)


class Recorder:
    """What a hook needs of a runner."""

    rank = 0

    def __init__(self, model, done):
        self.model, self.iter, self.visualizer, self.pictures = model, done, self, []

    def add_image(self, name, image, step):
        self.pictures.append((name, image, step))


def test_the_picture_is_the_first_image_and_the_decoders_view_of_it():
    """Through the network in test mode, which training goes on unchanged by."""
    model, batch = build(model_config(), double=False), make_batch(3)
    twin, recorder = build(model_config(), double=False), Recorder(model, 3)
    ReconstructionHook(interval=4).after_train_iter(recorder, 3, batch)
    [(name, picture, step)] = recorder.pictures
    assert (name, step, picture.shape) == ('image_and_reconstructions', 4, (SIZE[0], MODULES * SIZE[1], 3))

    original = batch['inputs'][0].numpy().transpose(1, 2, 0)[..., ::-1]  # BGR to RGB
    assert np.abs(picture[:, : SIZE[1]].astype(int) - original).max() <= 1
    twin.eval()
    rgb = torch.tensor(original.copy()).permute(2, 0, 1)[None].float()
    state = (rgb - torch.tensor(MEAN).view(-1, 1, 1)) / torch.tensor(STD).view(-1, 1, 1)
    encoder, heads = twin.backbone.encoder, twin.backbone.local_heads
    state = encoder.layer2[0](encoder.layer1(encoder.maxpool(encoder.stem(state))))
    views = [heads[0].decoder(state, SIZE).sigmoid()]
    views.append(heads[1].decoder(encoder.layer3(encoder.layer2[1](state)), SIZE).sigmoid())
    for index, view in enumerate(views, 1):
        expected = (view[0].detach() * 255).permute(1, 2, 0).numpy()
        actual = picture[:, index * SIZE[1] : (index + 1) * SIZE[1]]
        assert np.abs(actual - expected).max() <= 0.51
    assert model.training
    twin.train()
    assert_same(model.state_dict(), twin.state_dict())


@pytest.mark.parametrize('done', [0, 1, 2, 4])
def test_between_the_intervals_nothing_is_drawn(done):
    recorder = Recorder(build(model_config(), double=False), done)
    ReconstructionHook(interval=4).after_train_iter(recorder, done, make_batch())
    assert recorder.pictures == []


def test_without_decoders_there_is_nothing_to_draw():
    """End to end, and with a backbone that is not cut at all."""
    whole = build(model_config(()), double=False)
    for model in (whole, build({**model_config(()), 'type': 'EncoderDecoder', 'backbone': encoder_config(),
                                'decode_head': {**model_config(())['decode_head'], 'in_channels': 64},
                                'auxiliary_head': None}, double=False)):  # fmt: skip
        recorder = Recorder(model, 0)
        ReconstructionHook(interval=1).after_train_iter(recorder, 0, make_batch())
        assert recorder.pictures == []
