# %% [markdown]
# # An existing training loop in PyTorch
#
# A loop of one's own keeps every line; one call before it puts fused networks in the place of the
# layers.
#
# The problem is the heat equation $u_t = 0.1\, u_{xx}$ with $u(0, x) = \sin(\pi x)$ and $u(t, \pm
# 1) = 0$, and the loop is one as thousands of scripts have it: nested `torch.autograd.grad`, a sum
# of mean squares, Adam.

# %%
import matplotlib.pyplot as plt
import torch

import psinn_fast as pf


def make_net():
    torch.manual_seed(0)
    Linear, Tanh = torch.nn.Linear, torch.nn.Tanh
    return torch.nn.Sequential(Linear(2, 24), Tanh(), Linear(24, 24), Tanh(), Linear(24, 1))


generator = torch.Generator().manual_seed(0)
inside = torch.rand(2000, 2, generator=generator)
inside[:, 1] = 2 * inside[:, 1] - 1
inside.requires_grad_()
x = torch.linspace(-1, 1, 101)[:, None]
start = torch.cat([torch.zeros_like(x), x], dim=1)
ends = torch.cat([torch.rand(200, 1, generator=generator), torch.ones(200, 1)], dim=1)
ends[::2, 1] = -1.0


def train(net, steps=1_000):
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    losses = []
    for _ in range(steps):
        u = net(inside)
        u_t, u_x = torch.autograd.grad(u.sum(), inside, create_graph=True)[0].unbind(1)
        u_xx = torch.autograd.grad(u_x.sum(), inside, create_graph=True)[0][:, 1]
        loss = (u_t - 0.1 * u_xx).square().mean()
        loss = (
            loss
            + (net(start) - torch.sin(torch.pi * x)).square().mean()
            + net(ends).square().mean()
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


# %%
before = make_net()
losses_before = train(before)

# %% [markdown]
# `pf.accelerate` looks for runs of linear layers with one activation in a model, replaces them, and
# says what it did. Weights are kept. The optimiser has to be made afterwards, as `train` does.

# %%
after = make_net()
print(pf.accelerate(after))
losses_after = train(after)

# %% [markdown]
# Both runs do the same, up to rounding errors, which show in the spikes of Adam at the end. The
# second one takes a fraction of the time ([README](../../README.md) has measurements). With
# `pf.fuse`, the whole loss becomes one pass ([fusing](../fusing.md)).

# %%
t, line = torch.meshgrid(torch.linspace(0, 1, 51), torch.linspace(-1, 1, 101), indexing="ij")
with torch.no_grad():
    u = after(torch.stack([t, line], dim=-1).reshape(-1, 2)).reshape(t.shape)
error = (u - torch.exp(-0.1 * torch.pi**2 * t) * torch.sin(torch.pi * line)).abs().max()
print(f"largest error: {error:.1e}")
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
image = left.pcolormesh(t.numpy(), line.numpy(), u.numpy(), cmap="RdBu_r")
left.set(title="u", xlabel="t", ylabel="x")
figure.colorbar(image)
right.semilogy(losses_before, linewidth=3, label="before")
right.semilogy(losses_after, "--", label="after pf.accelerate")
right.set(title="loss", xlabel="step of Adam")
right.legend()
plt.show()
