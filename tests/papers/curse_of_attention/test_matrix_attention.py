"""The gradient of a score matrix against autograd and differences, and its cases against a step of descent."""

import torch

from forecheck.papers.curse_of_attention.theory.matrix_attention import turn


def drawn(seed=0, batch=(), tokens=6, width=3, out=2):
    generator = torch.Generator().manual_seed(seed)
    shapes = ((*batch, tokens, width), (width, width), (width, out), (*batch, tokens, out))
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


def loss(x, scores, values, upstream):
    return (upstream * (torch.softmax(x @ scores @ x.mT, dim=-1) @ x @ values)).sum()


def test_gradient_is_that_of_autograd_and_of_differences():
    x, scores, values, upstream = drawn()
    leaf = scores.clone().requires_grad_()
    found = turn(x, scores, values, upstream).gradient
    torch.testing.assert_close(found, torch.autograd.grad(loss(x, leaf, values, upstream), leaf)[0])
    for place in ((0, 1), (2, 2)):
        step = torch.zeros_like(scores)
        step[place] = 1e-5
        ends = [loss(x, scores + s * step, values, upstream) for s in (1, -1)]
        assert abs(float((ends[0] - ends[1]) / 2e-5 - found[place])) < 1e-6 * float(found.norm())


def test_windows_are_taken_together():
    x, scores, values, upstream = drawn(batch=(4,))
    together = turn(x, scores, values, upstream)
    for i in range(4):
        for whole, one in zip(together, turn(x[i], scores, values, upstream[i]), strict=True):
            torch.testing.assert_close(whole[i], one)


def test_advantage_decides_on_a_tokens_score_with_itself_and_the_naive_sign_does_not():
    disagree = 0
    for seed in range(20):
        x, scores, values, upstream = drawn(seed)
        leaf = (x @ scores @ x.mT).requires_grad_()
        (upstream * (torch.softmax(leaf, dim=-1) @ x @ values)).sum().backward()
        found = turn(x, scores, values, upstream)
        own = leaf.grad.diagonal()
        assert ((own > 0) == found.slips).all()
        torch.testing.assert_close(own, found.pattern.diagonal() * found.advantage)
        disagree += int(((found.naive > 0) != found.slips).sum())
    assert disagree > 10
