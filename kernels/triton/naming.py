"""Names of generated kernels, for people who read profiles: ``psinn_loss_2_32_32_1_lap``.

A name says what a kernel's text says anyway, and nothing else: Triton keeps compiled kernels by their text, names
included, so networks and PDEs that share a kernel have to share its name.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from ..language.channels import Channel, ChannelSet, Laplacian, channel_order
from ..language.program import Jet, Program
from .layout import Boundary, Layout
from .writer import Mode

PREFIX = "psinn"
# What the names of a training step's first kernels begin with.
LOSS = f"{PREFIX}_{Mode.LOSS.value}"
LONGEST, MOST_DERIVATIVES = 80, 6


def kernel_name(layout: Layout, groups: Sequence[tuple[ChannelSet, Program | None]], mode: Mode) -> str:
    """Mode, inputs, blocks of each hidden layer as they are padded, outputs, derivatives that the residuals read.

    Derivatives go by axes: d0 is u_t of a PDE in t and x, d11 u_xx; lap a Laplacian, lap12 one over two of the axes;
    order4 stands for many, up to that order.
    """
    layers = [str(layout.d_in), *(_blocks(boundary) for boundary in layout.boundaries), str(layout.d_out)]
    return "_".join([PREFIX, mode.value, *layers, *_derivatives(groups)])[:LONGEST].rstrip("_")


def _blocks(boundary: Boundary) -> str:
    """ "32"; "2x16" for two blocks of 16; "16p2x8" for one of 16 and two of 8."""
    widths = groupby(block.padded for block in boundary.neurons)
    counted = [(len(list(own)), width) for width, own in widths]
    return "p".join(f"{count}x{width}" if count > 1 else str(width) for count, width in counted)


def _derivatives(groups: Sequence[tuple[ChannelSet, Program | None]]) -> list[str]:
    read: dict[str, int] = {}
    for channels, program in groups:
        positions = set(range(len(channels)))
        if program is not None:
            positions = {kind.channel for kind in program.inputs if isinstance(kind, Jet)}
        for position in sorted(positions):
            channel = channels.channels[position]
            read[_derivative(channel, channels.n_inputs)] = channel_order(channel)
    read.pop("", None)
    return list(read) if len(read) <= MOST_DERIVATIVES else [f"order{max(read.values())}"]


def _derivative(channel: Channel, n_inputs: int) -> str:
    """ "" for the value."""
    if isinstance(channel, Laplacian):
        whole = len(channel.axes) == n_inputs
        return "lap" if whole else "lap" + "".join(map(str, channel.axes))
    axes = "".join(str(axis) * order for axis, order in enumerate(channel))
    return f"d{axes}" if axes else ""
