from dataclasses import dataclass, field

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.optim import OptimWrapper
from mmengine.registry import MODEL_WRAPPERS, init_default_scope
from torch import nn

from infopro_seg.config_edits import with_turn
from infopro_seg.errors import ConfigError
from infopro_seg.models.ddp import LocalDistributedDataParallel
from tests.forks import START
from tests.stand_ins import CUTS, assert_same, build, make_batch, model_config, preprocessed, settle, summed

RANKS = 2


@dataclass
class Case:
    """One training run on two ranks, and how often they must have exchanged gradients."""

    cuts: tuple[str, ...] = CUTS
    accumulative_counts: int = 1
    iterations: int = 2
    max_norm: float | None = None
    stage: int | None = None
    updates: list[int] = field(default_factory=lambda: [0, 1])  # iterations that end with a step
    backbone: dict = field(default_factory=dict)

    def config(self):
        config = model_config(self.cuts)
        config['backbone'] |= self.backbone
        if self.stage is not None:
            with_turn(config['backbone'], self.stage)
        return config


CASES = {
    'each': Case(),
    'end to end': Case(cuts=()),
    'clipped': Case(max_norm=0.1),
    'accumulated': Case(accumulative_counts=3, iterations=4, updates=[2, 3]),
    'momentum block': Case(backbone={'momentum_block': {'momentum': 0.7, 'learnable': True}}),
    'stage': Case(stage=1),
    'overlap': Case(
        backbone={'overlap': 1}, accumulative_counts=2, iterations=4, updates=[1, 3], max_norm=0.1
    ),
}


def trained(model):
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def rank_batch(step, rank):
    return make_batch(seed=RANKS * step + rank)


def make_optimizer(parameters):
    return torch.optim.SGD(parameters, lr=0.05, momentum=0.9, weight_decay=0.01)


def train_on_rank(rank, folder):
    """What one process does; `folder` gets the weights of each case and the refusal at the end."""
    torch.set_num_threads(1)
    init_default_scope('mmseg')
    dist.init_process_group('gloo', init_method=f'file://{folder}/rendezvous', rank=rank, world_size=RANKS)
    for name, case in CASES.items():
        model = settle(build(case.config()))
        for parameter in trained(model).values():
            parameter.data += rank  # DDP itself must make the ranks' parameters equal
        config = {'type': 'LocalDistributedDataParallel', 'module': model, 'device_ids': [rank]}
        ddp = MODEL_WRAPPERS.build(config)
        exchanged = count_exchanges(ddp)
        clip = {'max_norm': case.max_norm} if case.max_norm else None
        optim_wrapper = CountingBackwards(make_optimizer(ddp.parameters()), case.accumulative_counts, clip)
        optim_wrapper.initialize_count_status(ddp, 0, case.iterations)
        logs, steps = [], []
        for step in range(case.iterations):
            logs.append(ddp.train_step(rank_batch(step, rank), optim_wrapper)['loss'])
            steps += [step] * (len(exchanged) - len(steps))
        result = {'state': model.state_dict(), 'logs': logs, 'exchanges': steps}
        torch.save({**result, 'backwards': optim_wrapper.backwards}, f'{folder}/{name}_{rank}.pth')

    model = build(model_config(CUTS))
    model.backbone.encoder.layer3.forgotten = nn.Parameter(torch.zeros(1))
    ddp = LocalDistributedDataParallel(model)
    try:
        ddp.train_step(rank_batch(0, rank), OptimWrapper(make_optimizer(ddp.parameters())))
    except ConfigError as error:
        torch.save(str(error), f'{folder}/refusal_{rank}.pth')
    dist.destroy_process_group()


class CountingBackwards(OptimWrapper):
    backwards = 0

    def backward(self, loss):
        self.backwards += 1
        super().backward(loss)


def count_exchanges(ddp):
    """A list that grows by one each time the ranks have exchanged a full set of gradients."""
    exchanged = []

    def hook(state, bucket):
        if bucket.is_last():
            exchanged.append(1)
        future = dist.all_reduce(bucket.buffer().div_(RANKS), async_op=True).get_future()
        return future.then(lambda done: done.value()[0])

    def average_gradients():
        exchanged.append(1)
        average()

    ddp.register_comm_hook(None, hook)
    average, ddp.average_gradients = ddp.average_gradients, average_gradients
    return exchanged


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('ddp')
    mp.start_processes(train_on_rank, (str(folder),), nprocs=RANKS, start_method=START)
    return folder


def load(folder, name):
    return [torch.load(folder / f'{name}_{rank}.pth', weights_only=True) for rank in range(RANKS)]


def averaged_oracle(case):
    """The same training in one process: gradients of both ranks' merged losses, averaged by hand."""
    replicas = [settle(build(case.config())) for _ in range(RANKS)]
    names = list(trained(replicas[0]))
    gradients = dict.fromkeys(names, 0.0)
    optimizers = [make_optimizer(replica.parameters()) for replica in replicas]
    logs = [[] for _ in range(RANKS)]
    for step in range(case.iterations):
        group = next(end for end in case.updates if end >= step)
        start = max([-1, *(end for end in case.updates if end < step)])
        for rank, replica in enumerate(replicas):
            loss = summed(replica.loss(*preprocessed(replica, rank_batch(step, rank))))
            logs[rank].append(loss.detach())
            parts = torch.autograd.grad(loss, list(trained(replica).values()))
            for name, part in zip(names, parts, strict=True):
                gradients[name] = gradients[name] + part / RANKS / (group - start)
        if step in case.updates:
            norm = torch.cat([gradient.flatten() for gradient in gradients.values()]).norm()
            scale = min(1.0, case.max_norm / (float(norm) + 1e-6)) if case.max_norm else 1.0
            for replica, optimizer in zip(replicas, optimizers, strict=True):
                for name, parameter in trained(replica).items():
                    parameter.grad = gradients[name] * scale
                optimizer.step()
                replica.after_optimizer_step()
            gradients = dict.fromkeys(names, 0.0)
    return replicas, logs


@pytest.mark.parametrize('name', CASES)
def test_two_processes_equal_one_with_averaged_gradients(name, folder):
    """BN statistics stay each rank's own, as `broadcast_buffers=False` says."""
    replicas, logs = averaged_oracle(CASES[name])
    results = load(folder, name)
    for result, replica, expected in zip(results, replicas, logs, strict=True):
        assert_same(result['logs'], expected, rtol=1e-9, atol=1e-11)
        assert_same(dict(result['state']), dict(replica.state_dict()), rtol=1e-9, atol=1e-11)
    head = 'decode_head' if CASES[name].stage is None else 'backbone.local_heads.1.auxiliary_head'
    mean = f'{head}.convs.0.bn.running_mean'
    assert (results[0]['state'][mean] != results[1]['state'][mean]).any()


@pytest.mark.parametrize('name', CASES)
def test_the_ranks_exchange_gradients_once_per_optimizer_step(name, folder):
    assert [result['exchanges'] for result in load(folder, name)] == [CASES[name].updates] * RANKS


@pytest.mark.parametrize('name', CASES)
def test_every_module_has_a_backward_of_its_own(name, folder):
    modules = len(CASES[name].cuts) + 1 if CASES[name].stage is None else 1
    expected = modules * CASES[name].iterations
    assert [result['backwards'] for result in load(folder, name)] == [expected] * RANKS


def test_a_parameter_that_no_loss_reaches_is_named_on_every_rank(folder):
    for message in load(folder, 'refusal'):
        assert 'layer3.forgotten' in message
