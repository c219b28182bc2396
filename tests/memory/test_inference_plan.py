"""What prediction takes, for a size and for a budget."""

import json

import pytest
from mmengine.config import Config

from infopro_seg.errors import ConfigError, UserError
from infopro_seg.logit_maps import row_maps
from infopro_seg.memory.inference import inference_plan
from infopro_seg.memory.inference.inference_plan import (
    PlanInferenceRequest,
    inference_rows,
    plan_inference,
    tta_variants,
)
from infopro_seg.memory.inference.prediction import trace_prediction
from infopro_seg.memory.planning.command import (
    PlanModuleParallelRequest,
    PlanRequest,
    plan,
    plan_module_parallel,
)
from tests.stand_ins import CLASSES, CUTS, model_config

WINDOW = (48, 64)
SLIDE = {'mode': 'slide', 'crop_size': WINDOW, 'stride': (32, 42)}
TOGETHER = {'window_batch': 32}  # a trace runs the network once for each batch of windows
BAND = 4 * CLASSES * 16 * WINDOW[0] * WINDOW[1]


@pytest.fixture(autouse=True)
def small_images(monkeypatch):
    """The search ends early and goes in small steps; bands are full with few windows, as each is traced."""
    monkeypatch.setattr(inference_plan, 'STEP', 64)
    monkeypatch.setattr(inference_plan, 'LARGEST', 256)
    for module in (inference_plan, row_maps):
        monkeypatch.setattr(module, 'BAND_BYTES', BAND)


def config(test_cfg):
    return Config({'model': model_config(CUTS) | {'test_cfg': test_cfg}})


def test_the_rows_are_traces_at_the_size():
    rows = inference_rows(config({'mode': 'whole'}), (96, 160), WINDOW)
    assert [(row.mode, row.in_training) for row in rows] == [
        ('whole', False), ('whole', True), ('slide', False), ('slide', True),
    ]  # fmt: skip
    for row in rows:
        cfg = config({'mode': 'whole'} if row.mode == 'whole' else SLIDE)
        assert row.peak == trace_prediction(cfg, (96, 160), in_training=row.in_training).peak


@pytest.mark.parametrize(('budget', 'largest'), [(63, None), (64 * 128, (64, 128)), (10**9, (256, 512))])
def test_the_largest_image_fits_and_the_next_step_does_not(budget, largest):
    assert inference_plan._largest(lambda height, width: height * width, budget) == largest


def test_windows_fit_images_beyond_those_that_were_traced():
    cfg, size = config(SLIDE | TOGETHER), (288, 640)
    peaks = inference_plan._Peaks(cfg, None, (), False, lambda text: None)
    found = peaks.extrapolated()(*size)
    assert size not in peaks.found
    assert found == pytest.approx(trace_prediction(cfg, size).peak, rel=0.02)


def test_the_command_writes_json_and_says_whether_it_fits(tmp_path, monkeypatch):
    monkeypatch.setattr(inference_plan, 'BAND_BYTES', BAND // 4)
    cfg = config({'mode': 'whole', **TOGETHER})
    cfg.crop_size = WINDOW
    cfg.model.data_preprocessor.size = WINDOW
    cfg.dump(tmp_path / 'config.py')
    request = PlanInferenceRequest(tmp_path / 'config.py', budget='400kB', json=tmp_path / 'plan.json')
    assert plan_inference(request) == 1
    rows = json.loads((tmp_path / 'plan.json').read_text())
    assert rows[0]['peak'] == trace_prediction(cfg, WINDOW).peak


@pytest.mark.parametrize('arguments', [['--size', '8', '8'], ['--tta']], ids=str)
def test_options_of_prediction_need_inference(arguments, monkeypatch, capsys):
    from infopro_seg.commands.plan import main

    monkeypatch.setattr('sys.argv', ['plan.py', 'configs/infopro_demo.py', *arguments])
    with pytest.raises(UserError, match='add --inference'):
        main()


@pytest.mark.parametrize('arguments', [['--modules', '2'], ['--crop', '8', '8'], ['--batch', '2']], ids=str)
def test_options_of_trainings_are_not_for_predictions(arguments, monkeypatch):
    from infopro_seg.commands.plan import main

    monkeypatch.setattr('sys.argv', ['plan.py', 'configs/infopro_demo.py', '--inference', *arguments])
    with pytest.raises(UserError, match=f'{arguments[0]} is for trainings; leave it out'):
        main()


def test_a_config_without_a_crop_takes_the_size_of_the_image(tmp_path, monkeypatch):
    asked = []

    def rows(cfg, size, window, *more):
        asked.append((size, window))
        return [inference_plan.InferenceRow('prediction, whole', 'whole', False, 2**20)]

    monkeypatch.setattr(inference_plan, 'inference_rows', rows)
    cfg = config({'mode': 'whole'})
    cfg.model.data_preprocessor.pop('size')
    cfg.dump(tmp_path / 'config.py')
    with pytest.raises(UserError, match='pass --size HEIGHT WIDTH'):
        plan_inference(PlanInferenceRequest(tmp_path / 'config.py'))
    assert plan_inference(PlanInferenceRequest(tmp_path / 'config.py', size=(48, 80))) == 0
    assert asked == [((48, 80), (48, 80))]


@pytest.mark.parametrize('backbone', [{}, {'backbone': None}])
@pytest.mark.parametrize(
    ('planned', 'request_of'),
    [
        (plan_inference, PlanInferenceRequest),
        (plan, PlanRequest),
        (plan_module_parallel, PlanModuleParallelRequest),
    ],
)
def test_a_model_without_a_backbone_is_named(tmp_path, planned, request_of, backbone):
    model = {'type': 'MultimodalEncoderDecoder', 'image_encoder': {'type': 'ResNet'}, **backbone}
    Config({'model': model, 'train_dataloader': {'batch_size': 2}}).dump(tmp_path / 'config.py')
    with pytest.raises(ConfigError, match='backbone'):
        planned(request_of(tmp_path / 'config.py'))


def test_the_variants_are_those_of_the_config():
    cfg = Config(
        {
            'tta_pipeline': [
                {'type': 'LoadImage'},
                {
                    'type': 'TestTimeAug',
                    'transforms': [
                        [{'type': 'Resize', 'scale_factor': scale} for scale in (0.5, 2.0)],
                        [{'type': 'RandomFlip', 'prob': prob} for prob in (0.0, 1.0)],
                        [{'type': 'PackSegInputs'}],
                    ],
                },
            ]
        }
    )
    assert tta_variants(cfg) == ((0.5, False), (0.5, True), (2.0, False), (2.0, True))
    cfg.tta_pipeline[1].transforms[0] = [{'type': 'Resize', 'scale': (64, 64)}]
    with pytest.raises(ConfigError, match='one number as scale_factor'):
        tta_variants(cfg)
    with pytest.raises(ConfigError, match='needs a tta_pipeline'):
        tta_variants(Config())
