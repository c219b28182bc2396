"""What selective checkpointing keeps, and what it refuses."""

import pytest
import torch
from torch import nn

from infopro_seg.models.recomputation.recompute import keeps, recompute
from infopro_seg.models.recomputation.selective import selective_contexts

aten = torch.ops.aten
ATTENTION = aten._scaled_dot_product_efficient_attention.default


class InPlace(nn.Module):
    """Two convolutions; the first one's output changes twice in place, once through a view."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 2, 1)

    def forward(self, x):
        hidden = self.first(x)
        hidden[:, :2].mul_(3)
        return self.second(torch.nn.functional.silu(hidden, inplace=True).square())


@pytest.mark.parametrize('policy', ['norms', 'expansions'])
def test_outputs_that_change_in_place_are_kept_as_they_were(policy):
    module, x = InPlace(), torch.randn(1, 2, 5, 5)
    found = []
    for one in ('none', policy):
        module.zero_grad()
        recompute(one, module, [module], x).square().sum().backward()
        found.append([parameter.grad.clone() for parameter in module.parameters()])
    torch.testing.assert_close(*found, rtol=0, atol=0)


def test_an_output_written_by_another_operation_is_kept_as_it_was():
    convolution = nn.Conv2d(2, 2, 1)

    def part(x):
        with torch.no_grad():
            hidden = convolution(x)
            torch.mul(hidden, 3, out=hidden)
        return (x * hidden).square()

    x = torch.randn(1, 2, 4, 4, requires_grad=True)
    found = [
        torch.autograd.grad(recompute(policy, part, [convolution], x).sum(), x)[0]
        for policy in ('none', 'norms')
    ]
    torch.testing.assert_close(*found, rtol=0, atol=0)


def test_a_change_after_the_part_has_ended_is_refused():
    convolution = nn.Conv2d(2, 2, 1)

    def part(x):
        hidden = convolution(x)
        return hidden.unsqueeze(0), hidden.sigmoid()

    view, output = recompute('norms', part, [convolution], torch.randn(1, 2, 4, 4))
    view.mul_(2)
    with pytest.raises(RuntimeError, match=r'output of aten.convolution.default was changed in place'):
        output.sum().backward()


def twice(policy):
    convolution, norm = nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)
    output = recompute(policy, lambda x: norm(convolution(x)), [convolution, norm], torch.randn(1, 2, 4, 4))
    loss = output.square().sum()
    loss.backward(retain_graph=True)
    first = convolution.weight.grad.clone()
    loss.backward()
    assert norm.num_batches_tracked == 1
    return first, convolution.weight.grad


def test_whole_blocks_allow_a_second_backward_pass():
    first, both = twice('blocks')
    torch.testing.assert_close(both, 2 * first)


def test_selective_policies_refuse_a_second_backward_pass():
    with pytest.raises(RuntimeError, match='allows a single backward pass'):
        twice('norms')


def test_another_recomputation_is_refused():
    keeping, reusing = selective_contexts(lambda op, args: op in (aten.relu.default, aten.abs.default))
    with keeping:
        torch.ones(2).relu()
    with (
        reusing,
        pytest.raises(RuntimeError, match=r'runs aten.abs.default where the forward pass ran aten.relu'),
    ):
        torch.ones(2).abs()


@pytest.mark.parametrize(('dropout', 'kept'), [(0.0, True), (0.1, False)])
def test_attention_that_draws_dropout_is_computed_again(dropout, kept):
    query = torch.empty(1, 1, 2, 8)
    assert keeps('norms', ATTENTION, (query, query, query, None, True, dropout)) == kept
