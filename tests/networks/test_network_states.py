"""The state_dict of a network: which structure it belongs to, and the usual ways to copy it."""

from __future__ import annotations

import copy
import io
import pickle
from dataclasses import replace

import pytest
import torch
from helpers import random_points
from torch import nn

from psinn_fast.kernels.errors import InputError
from psinn_fast.networks.mlp import MLP, PsiMLP
from psinn_fast.networks.published import burgers_odd
from psinn_fast.networks.structure import Structure


def test_weights_of_another_structure_are_not_loaded() -> None:
    """Equal numbers of weights, other functions: 105 each, or a solution in other units."""
    units = Structure.dense((2, 8, 8, 1))
    nets = {
        "widths": MLP([2, 9, 7, 1], seed=0),
        "centre": MLP(replace(units, centre=(0.0, 1.0)), seed=0),
        "inputs": MLP(replace(units, input_scale=(1.0, 2.0)), seed=0),
        "outputs": MLP(replace(units, output_scale=(250.0,)), seed=0),
    }
    for name, net in nets.items():
        own = MLP([2, 8, 8, 1], seed=1)
        before = own.theta.detach().clone()
        for target, source in ((own, net), (nn.Sequential(own), nn.Sequential(net))):
            for strict in (True, False):
                with pytest.raises(InputError, match=r"state_dict: .*another structure"):
                    target.load_state_dict(source.state_dict(), strict=strict)
        assert torch.equal(own.theta, before), name
        net.load_state_dict(copy.deepcopy(net).state_dict())
    a, b = (PsiMLP(burgers_odd(), 2, seed=0), PsiMLP(replace(burgers_odd(), name="other"), 2, seed=1))
    b.load_state_dict(a.state_dict())
    assert torch.equal(a.theta, b.theta)


def test_weights_without_a_structure_are_loaded_if_asked_for() -> None:
    net, other = MLP([2, 4, 1], seed=0), MLP([2, 4, 1], seed=1)
    plain = {"theta": net.theta.detach()}
    with pytest.raises(InputError, match=r"state_dict: .*strict=False.*load_network"):
        other.load_state_dict(plain)
    found = other.load_state_dict(plain, strict=False)
    assert torch.equal(net.theta, other.theta)
    assert not found.unexpected_keys
    with pytest.raises(RuntimeError, match="_extra_state"):
        nn.Sequential(other).load_state_dict({"0.theta": net.theta})
    for damaged in ("text", torch.zeros(3), None):
        with pytest.raises(InputError, match="state_dict: "):
            other.load_state_dict({**net.state_dict(), "_extra_state": damaged})


def test_states_are_copied_in_all_usual_ways() -> None:
    net, other = MLP([2, 4, 1], seed=0), MLP([2, 4, 1], seed=1)
    x = random_points(5, 2, dtype=torch.float32)
    state = net.state_dict()
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    from safetensors.torch import load, save

    for copied in (
        state,
        saved,
        load(save(state)),
        {name: value.clone().to("cpu") for name, value in state.items()},
        {name: 0.9 * value + 0.1 * value for name, value in state.items()},
        copy.deepcopy(net).state_dict(),
        pickle.loads(pickle.dumps(net)).state_dict(),
        net.double().float().state_dict(),
    ):
        other.load_state_dict(copied)
        torch.testing.assert_close(other(x), net(x))
    other.load_state_dict(state, assign=True)
    called = torch.func.functional_call(other, {"theta": 2 * net.theta}, (x,))
    assert not torch.equal(called, net(x))
    averaged = torch.optim.swa_utils.AveragedModel(net)
    averaged.update_parameters(net)
    other.load_state_dict(averaged.module.state_dict())
    parameters, buffers = torch.func.stack_module_state([net, other])
    assert parameters["theta"].shape == (2, net.theta.numel())
    assert not buffers
