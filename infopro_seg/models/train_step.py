"""The training step: one backward pass per local module, one optimizer step per iteration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from infopro_seg.datasets.seeding import seed_module
from infopro_seg.errors import ConfigError


def local_train_step(model: Any, data: dict[str, Any], optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
    """Trains on one batch; the graph of only one local module is alive at a time (paper, figure 1).

    The gradients equal those of the summed losses. Gradient accumulation, loss scaling, clipping and
    synchronisation work once per iteration, as in mmengine's own training step.

    Args:
        model: an `InfoProEncoderDecoder`, or its distributed wrapper.
        data: a batch from the data loader.
        optim_wrapper: mmengine's `OptimWrapper` or `AmpOptimWrapper`.

    Returns:
        The detached losses of all modules by name, and their sum as `loss`.

    Raises:
        ConfigError: a trainable parameter has no gradient after the first backward passes.
    """
    log_vars = train_modules(model, start(model, data, optim_wrapper), optim_wrapper)
    update(model, optim_wrapper)
    return log_vars


def start(model: Any, data: dict[str, Any], optim_wrapper: OptimWrapper) -> Iterator[dict[str, Tensor]]:
    """Starts an iteration: returns the losses of each module, computed when they are asked for.

    The arguments are those of :func:`local_train_step`.
    """
    module: Any = model.module if is_model_wrapper(model) else model
    with optim_wrapper.optim_context(model):
        data = module.data_preprocessor(data, True)
        losses: Iterator[dict[str, Tensor]] = model._run_forward(data, mode='local_losses')  # readies DDP
    return losses  # which holds the images until the last module that reads them


def train_modules(
    model: Any, local_losses: Iterator[dict[str, Tensor]], optim_wrapper: OptimWrapper, first: int = 0
) -> dict[str, Tensor]:
    """Runs the backward pass of each local module.

    Args:
        model: the model, or its distributed wrapper.
        local_losses: computes the losses of the next module each time it is asked.
        optim_wrapper: the model's.
        first: the index of the first of these modules.

    Returns:
        The detached losses by name, and their sum as `loss`.
    """
    module: Any = model.module if is_model_wrapper(model) else model
    iteration = optim_wrapper.inner_count
    log_vars: dict[str, Tensor] = {}
    while True:
        seed_module(first)
        with optim_wrapper.optim_context(model):
            losses = next(local_losses, None)
        if losses is None:
            break
        loss, module_log_vars = module.parse_losses(losses)
        optim_wrapper.backward(optim_wrapper.scale_loss(loss))
        optim_wrapper._inner_count = iteration  # `backward` counts each call as an iteration
        log_vars = added(log_vars, module_log_vars)
        first += 1
        del loss, losses, module_log_vars  # frees the module's graph before the next is built
    optim_wrapper._inner_count = iteration + 1
    return {'loss': torch.tensor(0.0), **log_vars}


def update(model: Any, optim_wrapper: OptimWrapper) -> None:
    """Runs the optimizer's step if one is due, after the backward passes of an iteration.

    Args:
        model: the model, or its distributed wrapper.
        optim_wrapper: the model's.

    Raises:
        ConfigError: a trainable parameter has no gradient after the first backward passes.
    """
    module: Any = model.module if is_model_wrapper(model) else model
    if optim_wrapper.should_update():
        if not optim_wrapper.optimizer.state:
            require_gradients(module)
        optim_wrapper.step()
        optim_wrapper.zero_grad()
        module.after_optimizer_step()


def added(log_vars: Mapping[str, Tensor], more: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Adds the losses of the next module, detached; `loss` is the sum so far."""
    total: Any = log_vars.get('loss', 0.0)
    both = {name: value.detach() for name, value in {**log_vars, **more}.items()}
    return {**both, 'loss': total + more['loss'].detach()}


def require_gradients(model: nn.Module) -> None:
    """Checks that the backward passes gave every trainable parameter a gradient.

    Raises:
        ConfigError: a trainable parameter has no gradient. It would never train, and nobody would notice.
    """
    missing = [name for name, p in model.named_parameters() if _lacks_gradient(p)]
    if missing:
        raise ConfigError(
            f'{len(missing)} trainable parameters get no gradient from any local loss: '
            f'{", ".join(missing[:8])}{", ..." if len(missing) > 8 else ""}; freeze them '
            '(requires_grad=False), cut the encoder so that a loss reaches them, or leave outputs that no '
            'head reads out of its out_indices'
        )


def _lacks_gradient(parameter: nn.Parameter) -> bool:
    """Whether a parameter trains in this process and has no gradient; other processes' are on `meta`."""
    return parameter.requires_grad and parameter.grad is None and not parameter.is_meta
