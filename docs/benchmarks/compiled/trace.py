"""Traces the peak memory of end-to-end training under torch.compile, as an interval.

torch.compile captures the network and its losses on the meta device: tensors have sizes but no values, and no
kernel runs. Each graph, forward and backward, is then followed operation by operation, and the storages that
are alive are counted over all graphs of a step. How far the compiler fuses operations is not known, so two
figures bound it:

- unfused: each operation writes its result to memory;
- fused: a pointwise operation writes nothing, unless a convolution, a scatter or a later graph needs its
  result; what reads a chain of such operations reads the inputs of the chain.

What the forward pass saves is for torch.compile to choose: its min-cut partitioner does, within
`torch._functorch.config.activation_memory_budget` (1: recompute what is cheap; 0: save the inputs only).

Example:
  python docs/benchmarks/compiled/trace.py --budgets 1 0.5 0.2 0 --out docs/benchmarks/compiled/r101.json
"""

from __future__ import annotations

import argparse
import copy
import operator
import platform
import time
import warnings
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch._functorch.config as functorch_config
import torch._inductor.lowering  # what decompositions look up
import torch.nn.functional as F
from functorch.compile import make_boxed_func
from mmengine.config import Config
from mmengine.model.utils import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from rich.console import Console
from torch import Tensor, nn
from torch._dynamo.backends.common import aot_autograd
from torch._functorch.partitioners import default_partition, min_cut_rematerialization_partition
from torch._inductor.decomposition import select_decomp_table
from torch._ops import OpOverload
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

import infopro_seg.register  # noqa: F401
from infopro_seg.config_files import load_config
from infopro_seg.memory.quantities import GIB
from infopro_seg.memory.tracing.step import trace_step
from infopro_seg.memory.variants import stock_losses, without_cuts
from infopro_seg.strict_json import write_json

CONSOLE = Console(stderr=True)
POINTWISE = {  # beside the operations that PyTorch marks so: each value comes from few others
    'aten._unsafe_index.Tensor',
    'aten.full.default',
    'aten.gather.default',
    'aten.rand.default',
    'aten.scalar_tensor.default',
    'prims.convert_element_type.default',
    'prims.iota.default',
}
REDUCTIONS = ('aten.amax', 'aten.mean', 'aten.sum', 'aten.var_mean')  # they read a chain as they go


class Operation(NamedTuple):
    """What one operation needs of memory; storages are named by keys."""

    reads: set[int]
    writes: set[int]
    in_place: bool
    """Whether its result may take the place of an operand that nothing reads later."""


class Step:
    """The operations of one training step, over all its graphs."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.sizes: dict[int, int] = {}
        self.returned: dict[int, int] = {}
        """Of each storage that a backward graph returns, the operation that returned it."""
        self.forward: set[int] = set()
        """Storages that a forward graph returns."""
        self.flops = 0
        self._alive: list[Any] = []  # all tensors, so that no two storages share a key

    def storages(self, values: Any) -> set[int]:
        """The keys of the storages of some tensors."""
        tensors = [value for value in tree_leaves(values) if isinstance(value, Tensor)]
        self._alive.append(tensors)
        storages = [tensor.untyped_storage() for tensor in tensors]
        self.sizes.update({storage._cdata: storage.nbytes() for storage in storages})
        return {storage._cdata for storage in storages}

    def saved(self, given: Iterable[Tensor]) -> int:
        """The bytes that the forward pass leaves to the backward pass, beside what is given."""
        returns = [n for n, operation in enumerate(self.operations) if operation.reads == self.forward]
        later = set().union(*(operation.reads for operation in self.operations[returns[0] + 1 :]))
        kept = (self.forward & later) - self.storages(list(given))
        return sum(self.sizes[key] for key in kept)

    def peak(self, given: Iterable[Tensor]) -> int:
        """The most bytes alive at once.

        Args:
            given: what is alive from beginning to end: weights, buffers, images and labels.
        """
        end = len(self.operations)
        birth: dict[int, int] = {}
        death: dict[int, int] = {}
        for number, operation in enumerate(self.operations):
            for key in operation.reads | operation.writes:
                birth.setdefault(key, number)
                death[key] = number
        for key, number in death.items():
            last = self.operations[number]
            if self.returned.get(key) == number:  # a weight's gradient, as nothing reads it later
                death[key] = end
            elif last.in_place and key not in last.writes:
                death[key] = max(number - 1, birth[key])
        for key in self.storages(list(given)):
            birth[key], death[key] = 0, end
        changes = [0] * (end + 2)
        for key, number in birth.items():
            changes[number] += self.sizes[key]
            changes[death[key] + 1] -= self.sizes[key]
        most = now = 0
        for change in changes:
            now += change
            most = max(most, now)
        return most


class Recorder(torch.fx.Interpreter):
    """Runs a graph on tensors without values, and records its operations.

    Args:
        graph: the graph.
        step: the step that it belongs to.
        fused: whether pointwise operations write nothing where their readers can compute them.
        backward: whether the graph computes gradients.
    """

    def __init__(self, graph: torch.fx.GraphModule, step: Step, fused: bool, backward: bool) -> None:
        super().__init__(graph, garbage_collect_values=False)
        self.step, self.fused, self.backward = step, fused, backward
        self.reads: dict[torch.fx.Node, set[int]] = {}
        """Of each node the storages that an operation reads if it reads the node."""

    def run_node(self, node: torch.fx.Node) -> Any:
        """Runs one node and records what it needs."""
        value = super().run_node(node)
        inputs = set().union(*(self.reads[one] for one in node.all_input_nodes))
        if node.op == 'output':
            if not self.backward:
                self.step.forward |= inputs
            else:
                self.step.returned.update(dict.fromkeys(inputs, len(self.step.operations)))
            self.step.operations.append(Operation(inputs, set(), False))
        elif node.target is operator.getitem:
            self.reads[node] = self.step.storages(value)
        elif node.op in ('placeholder', 'get_attr'):
            self.reads[node] = self.step.storages(value)
            self.step.operations.append(Operation(self.reads[node], set(), False))
        elif is_view(node) or (self.fused and is_pointwise(node) and not is_needed(node)):
            self.reads[node] = inputs
        else:
            self.reads[node] = self.step.storages(value)
            in_place = self.fused and is_pointwise(node)
            self.step.operations.append(Operation(inputs, self.reads[node], in_place))
        return value


def is_view(node: torch.fx.Node) -> bool:
    """Whether a node only looks at the result of another."""
    return node.target is operator.getitem or getattr(node.target, 'is_view', False)


def is_pointwise(node: torch.fx.Node) -> bool:
    """Whether each value of a node comes from few values of its inputs."""
    target = node.target
    return isinstance(target, OpOverload) and (torch.Tag.pointwise in target.tags or str(target) in POINTWISE)


def is_needed(node: torch.fx.Node) -> bool:
    """Whether something needs the result of a pointwise operation in memory."""
    for user in node.users:
        if is_view(user):
            if is_needed(user):
                return True
        elif not (is_pointwise(user) or str(user.target).startswith(REDUCTIONS)):
            return True
    return False


class Losses(nn.Module):
    """The losses of a network with a decode head and an auxiliary head, as a function of tensors."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """The sum of both cross-entropies; images of shape (N, 3, H, W), labels (N, H, W)."""
        features = self.network.backbone(images)
        total = images.new_zeros(())
        for head, weight in ((self.network.decode_head, 1.0), (self.network.auxiliary_head, 0.4)):
            logits = head(features)
            logits = F.interpolate(
                logits, labels.shape[-2:], mode='bilinear', align_corners=head.align_corners
            )
            losses = F.cross_entropy(logits, labels, ignore_index=255, reduction='none')
            total = total + weight * losses.mean()
        return total


def stock_network(cfg: Config, size: tuple[int, int]) -> nn.Module:
    """mmsegmentation's own network of a config, on the meta device."""
    model = copy.deepcopy(Config(stock_losses(without_cuts(cfg))).model)
    model.type, model.backbone = 'EncoderDecoder', model.backbone.encoder
    model.backbone.pop('init_cfg', None)
    model.decode_head.in_channels, model.auxiliary_head.in_channels = 2048, 1024
    model.data_preprocessor.size = size
    init_default_scope('mmseg')
    with torch.device('meta'):
        return revert_sync_batchnorm(MODELS.build(model)).train()


def trace(network: nn.Module, batch: int, size: tuple[int, int], budget: float | None) -> dict[str, Any]:
    """Peaks and FLOPs of one step.

    Args:
        network: on the meta device.
        batch: images.
        size: height and width in pixels.
        budget: `activation_memory_budget`; None saves what the operations ask for, as without a compiler.
    """
    torch._dynamo.reset()
    for parameter in network.parameters():
        parameter.grad = None
    running: dict[str, Any] = {}

    def follow(backward: bool) -> Any:
        def compiler(graph: torch.fx.GraphModule, inputs: Any) -> Any:
            def run(*args: Any) -> Any:
                with FlopCounterMode(display=False) as counter:
                    results = Recorder(graph, running['step'], running['fused'], backward).run(*args)
                running['step'].flops += counter.get_total_flops()
                return results

            return make_boxed_func(run)

        return compiler

    partition = default_partition if budget is None else min_cut_rematerialization_partition
    backend = aot_autograd(
        fw_compiler=follow(False),
        bw_compiler=follow(True),
        partition_fn=partition,
        decompositions={} if budget is None else select_decomp_table(),
    )
    images = torch.empty(batch, 3, *size, device='meta')
    labels = torch.empty(batch, *size, dtype=torch.long, device='meta')
    given = [*network.parameters(), *network.buffers(), images, labels]
    momentum = sum(parameter.nbytes for parameter in network.parameters())
    found: dict[str, Any] = {'activation_memory_budget': budget}
    start = time.process_time()
    with functorch_config.patch(activation_memory_budget=1.0 if budget is None else budget):
        compiled = torch.compile(Losses(network), backend=backend, fullgraph=True, dynamic=False)
        for kind in ('unfused', 'fused'):
            running.update(step=Step(), fused=kind == 'fused')
            compiled(images, labels).backward()
            found[f'peak_{kind}_bytes'] = running['step'].peak(given) + momentum
            found['saved_bytes'] = running['step'].saved(given)
            found['flops'] = running['step'].flops
    found['cpu_seconds'] = round(time.process_time() - start)
    return found


def main() -> None:
    """Traces, and writes JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--config', default='configs/deeplabv3_e2e_cityscapes.py')
    parser.add_argument('--crop', type=int, nargs=2, default=(512, 1024), metavar=('H', 'W'))
    parser.add_argument('--batch', type=int, default=4)
    parser.add_argument('--budgets', type=float, nargs='+', default=[1.0, 0.5, 0.2, 0.0])
    parser.add_argument('--out', type=Path, required=True, metavar='FILE')
    args = parser.parse_args()

    warnings.simplefilter('ignore')
    cfg = load_config(args.config)
    size = tuple(args.crop)
    reference = trace_step(Config(stock_losses(without_cuts(cfg))), args.batch, size)
    network = stock_network(cfg, size)
    content = {
        'config': args.config,
        'crop': list(size),
        'batch': args.batch,
        'python': platform.python_version(),
        'torch': torch.__version__,
        'date': date.today().isoformat(),
        'eager': {'peak_bytes': reference.peak, 'flops': reference.flops},
        'compiled': [],
    }
    for budget in (None, *args.budgets):
        found = trace(network, args.batch, size, budget)
        found['flops_of_eager'] = found['flops'] / reference.flops
        content['compiled'].append(found)
        write_json(args.out, content)
        CONSOLE.print(
            f'budget {budget}: {found["peak_fused_bytes"] / GIB:.2f} to '
            f'{found["peak_unfused_bytes"] / GIB:.2f} GiB of {reference.peak / GIB:.2f}, '
            f'saved {found["saved_bytes"] / GIB:.2f}, FLOPs {found["flops_of_eager"]:.3f}, '
            f'{found["cpu_seconds"]} s'
        )


if __name__ == '__main__':
    main()
