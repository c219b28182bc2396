"""Chains of random costs."""

from __future__ import annotations

import random

from infopro_seg.memory.costs.chain import BlockCost, Chain, HeadCost, PieceCost

POLICIES = ('none', 'norms', 'blocks')


def make_chain(seed, blocks=7, accumulated=False, overlap=0, cached=True, optimizer_share=1.0, outputs=None):
    """Random costs; recomputing keeps less and takes more FLOPs."""
    draw = random.Random(seed)
    outputs = outputs or (blocks // 2, blocks - 1)

    def piece(share=1.0, extra=0):
        kept = int(draw.randint(50, 400) * share)
        return PieceCost(
            forward_rise=kept + draw.randint(0, 100),
            kept=kept,
            backward_rise=kept + draw.randint(50, 300),
            released=draw.choice([0, 20]),
            unread=draw.choice([0, 10]),
            cached=draw.choice([0, 5]) if cached else 0,
            gradients=0,
            forward_flops=draw.randint(10, 50),
            backward_flops=draw.randint(20, 100) + extra,
        )

    def with_gradients(cost, gradients):
        return PieceCost(**{**vars(cost), 'gradients': gradients})

    def block(index):
        gradients = draw.randint(5, 60)
        options = [
            {p: with_gradients(piece(1 / (n + 1), 30 * n), gradients) for n, p in enumerate(POLICIES)}
            for _ in range(2)
        ]
        recomputed = {'norms': draw.randint(0, 20), 'blocks': draw.randint(20, 60)}
        return BlockCost(f'block{index}', draw.randint(10, 60), 2 * gradients, *options, recomputed)

    def head():
        gradients = draw.choice([10, 80, 300])
        return HeadCost(2 * gradients, with_gradients(piece(), gradients))

    return Chain(
        blocks=tuple(block(index) for index in range(blocks)),
        heads=(tuple(head() for _ in range(blocks)),),
        tails=tuple(
            (with_gradients(piece(), 40), with_gradients(piece(), 40)) for _ in range(len(outputs) + 1)
        ),
        outputs=outputs,
        labels=7,
        image=11,
        inputs=13,
        owned=100,
        optimizer_share=optimizer_share,
        overlap=overlap,
        accumulated=accumulated,
    )
