"""The Python that the pages show is valid, its configs load, and README's loop trains as the package does."""

import ast
import re
from copy import deepcopy
from types import SimpleNamespace

import pytest

from infopro_seg.config_files import load_config
from infopro_seg.models.image import to_rgb
from infopro_seg.models.local_heads.local_head import head_losses
from infopro_seg.turn_configs import turn_config
from tests.docs.shell import PAGES, blocks, name
from tests.runs import ROOT
from tests.stand_ins import assert_same, build, gradients, make_batch, model_config, preprocessed, summed

CONFIGS = ROOT / 'configs'


@pytest.mark.parametrize('page', [page for page in PAGES if blocks(page, 'python')], ids=name)
def test_it_is_valid(page):
    """Left out arguments and the bases of configs aside."""
    for code in blocks(page, 'python'):
        ast.parse(re.sub(r', \.\.\.(?=\))', '', code.replace('{{', '').replace('}}', '')))


def test_the_loop_of_the_readme_gives_the_gradients_of_the_package():
    [loop] = blocks(ROOT / 'README.md', 'python')
    model = build(model_config(auxiliary_head=None))
    twin = deepcopy(model)
    inputs, samples = preprocessed(twin, make_batch())
    for losses in twin.local_losses(inputs, samples):
        summed(losses).backward()

    def run(modules, state):
        for block in modules:
            state = block.forward(state)
        return state

    def summing(loss):
        return SimpleNamespace(loss=lambda *given: summed(loss(*given)))

    inputs, samples = preprocessed(model, make_batch())
    steps = []
    exec(
        loop,
        {
            'modules': model.backbone.local_modules(),
            'local_heads': [summing(head.loss) for head in model.backbone.local_heads],
            'decode_head': summing(lambda state, labels: head_losses(model.decode_head, [state] * 4, labels)),
            'run': run,
            'state': inputs,
            'image': to_rgb(inputs, model.data_preprocessor),
            'labels': samples,
            'optimizer': SimpleNamespace(step=lambda: steps.append(gradients(model))),
        },
    )
    assert_same(steps, [gradients(twin)])
    assert len(steps[0]) == len(list(model.parameters()))


def config_of(code, folder):
    """A page's config, which has its bases in the folder of the configs."""
    path = folder / 'config.py'
    path.write_text(code.replace("'./", f"'{CONFIGS}/").replace("'_base_/", f"'{CONFIGS}/_base_/"))
    return load_config(path)


def test_the_stages_of_the_page_of_methods(tmp_path):
    [code] = [code for code in blocks(ROOT / 'docs/methods.md', 'python') if 'stages' in code]
    config = config_of(code, tmp_path)
    first, second = (turn_config(config, stage) for stage in range(2))
    assert (first.train_cfg.max_iters, first.param_scheduler[0].end) == (20000, 20000)
    assert (second.train_cfg.max_iters, second.param_scheduler[0].end) == (40000, 40000)


def test_the_options_of_the_page_of_memory(tmp_path):
    [code] = blocks(ROOT / 'docs/memory.md', 'python')
    bases = "_base_ = ['./deeplabv3_r50_e2e_cityscapes.py', '_base_/local_heads/lean.py']\n"
    backbone = config_of(bases + code, tmp_path).model.backbone
    expected = load_config(CONFIGS / '_base_' / 'local_heads' / 'lean.py').local_head
    assert backbone.local_head.to_dict() == expected.to_dict()
    assert (backbone.num_modules, backbone.checkpoint_heads) == (4, True)
