"""The recurrent part of a gated recurrent unit, over lists of different lengths at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def last_states(given: Tensor, weight: Tensor, bias: Tensor, counts: Sequence[int]) -> Tensor:
    """Return the last states of a gated recurrent unit, from the gates' inputs.

    The lists are sorted by length, longest first, and their items are given step by step: all first
    items, all second ones, and so on, `counts` lists at each step. torch's own unit does the same,
    but its backward pass makes a gradient of full size for every step, which is quadratic in the
    length, and multiplies for the weights' gradient at every step; here one product at the end
    does.

    `given`, of shape (n_items, 3 * n_state), are the inputs of the reset, update and new gates,
    `weight` and `bias` what the gates make of the state before.
    """
    states: Tensor = _Recurrence.apply(given, weight, bias, counts)  # type: ignore[no-untyped-call]
    return states


class _Recurrence(torch.autograd.Function):
    """The computation of :func:`last_states`, with its gradient."""

    @staticmethod
    def forward(
        ctx: Any, given: Tensor, weight: Tensor, bias: Tensor, counts: Sequence[int]
    ) -> Tensor:
        n = weight.shape[1]
        state = given.new_zeros(counts[0], n)
        before = given.new_empty(len(given), n)
        recalled = torch.empty_like(before)
        gates = torch.empty_like(given)
        transposed = weight.t()
        end = 0
        for count in counts:
            start, end = end, end + count
            now = before[start:end].copy_(state[:count])
            kept = torch.addmm(bias, now, transposed)
            inputs, gate = given[start:end], gates[start:end]
            torch.add(inputs[:, : 2 * n], kept[:, : 2 * n], out=gate[:, : 2 * n]).sigmoid_()
            memory = recalled[start:end].copy_(kept[:, 2 * n :])
            new = gate[:, 2 * n :]
            torch.addcmul(inputs[:, 2 * n :], gate[:, :n], memory, out=new).tanh_()
            torch.lerp(new, now, gate[:, n : 2 * n], out=state[:count])
        ctx.save_for_backward(weight, before, recalled, gates)
        ctx.counts = counts
        return state

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        weight, before, recalled, gates = ctx.saved_tensors
        n = weight.shape[1]
        reset, update, new = gates.split(n, dim=1)
        # What does not depend on the gradient, in a few large operations.
        to_update = (before - new).mul_(update).mul_(1 - update)
        to_new = (1 - update).mul_(1 - new * new)
        to_reset = recalled.mul(reset).mul_(1 - reset)
        d_given, d_kept = torch.empty_like(gates), torch.empty_like(gates)
        d_state = gradients[0].clone()
        end = len(gates)
        for count in reversed(ctx.counts):
            rows = slice(end - count, end)
            end -= count
            d, g, k = d_state[:count], d_given[rows], d_kept[rows]
            d_new = torch.mul(d, to_new[rows], out=g[:, 2 * n :])
            torch.mul(d, to_update[rows], out=g[:, n : 2 * n])
            torch.mul(d_new, to_reset[rows], out=g[:, :n])
            k[:, : 2 * n].copy_(g[:, : 2 * n])
            torch.mul(d_new, reset[rows], out=k[:, 2 * n :])
            d.mul_(update[rows]).addmm_(k, weight)
        d_weight = d_kept.t() @ before if ctx.needs_input_grad[1] else None
        d_bias = d_kept.sum(0) if ctx.needs_input_grad[2] else None
        return d_given, d_weight, d_bias, None
