"""Prints sets.h: the channel sets that are known at compile time, with their chain rule (kernels/language/channels.py).

They are those of common equations and of what nested autograd asks for; any other set goes by the recurrence.
Which axis a channel belongs to does not matter to tanh, only the order of the channels does: (u, u_x, u_xx) is one set
in any number of inputs, (u, u_t, u_x, u_xx) and (u, u_x, u_t, u_xx) are two.

Run from the top of the repository: python kernels/cpu/src/make_sets.py > kernels/cpu/src/sets.h
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from itertools import product

from psinn_fast.kernels.language.channels import Channel, ChannelSet, Laplacian, Monomial, MultiIndex, channel_order


def _all(n_inputs: int, order: int) -> list[MultiIndex]:
    return [index for index in product(range(order + 1), repeat=n_inputs) if sum(index) == order]


# Name: inputs and channels, without those that closing the set adds.
SETS: dict[str, tuple[int, Sequence[Channel]]] = {
    "Value": (1, []),
    "First1": (1, [(1,)]),
    "First2": (2, [(1, 0), (0, 1)]),
    "First3": (3, [(1, 0, 0), (0, 1, 0), (0, 0, 1)]),
    "First4": (4, [(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)]),
    "Second1": (1, [(2,)]),
    "Third1": (1, [(3,)]),
    "Fourth1": (1, [(4,)]),
    "TimeSecond": (2, [(1, 0), (0, 2)]),
    "SecondTime": (2, [(2, 0), (0, 1)]),
    "TimeThird": (2, [(1, 0), (0, 3)]),
    "ThirdTime": (2, [(3, 0), (0, 1)]),
    "TimeFourth": (2, [(1, 0), (0, 4)]),
    "FourthTime": (2, [(4, 0), (0, 1)]),
    "Laplacian2": (2, [Laplacian((0, 1))]),
    "Squares2": (2, [(2, 0), (0, 2)]),
    "Mixed2": (2, [(1, 1)]),
    "SquareMixed2": (2, [(2, 0), (1, 1)]),
    "MixedSquare2": (2, [(1, 1), (0, 2)]),
    "TimeOfSecond": (2, [(1, 2)]),
    "SecondOfTime": (2, [(2, 1)]),
    "Second2": (2, _all(2, 2)),
    "Third2": (2, _all(2, 3)),
    "Biharmonic2": (2, [(4, 0), (2, 2), (0, 4)]),
    "Fourth2": (2, _all(2, 4)),
    "Laplacian3": (3, [Laplacian((0, 1, 2))]),
    "TimeLaplacian2": (3, [(1, 0, 0), Laplacian((1, 2))]),
    "Laplacian2Time": (3, [Laplacian((0, 1)), (0, 0, 1)]),
    "TimeSquares2": (3, [(1, 0, 0), (0, 2, 0), (0, 0, 2)]),
    "Squares2Time": (3, [(2, 0, 0), (0, 2, 0), (0, 0, 1)]),
    "Squares3": (3, [(2, 0, 0), (0, 2, 0), (0, 0, 2)]),
    "Second3": (3, _all(3, 2)),
    "Third3": (3, _all(3, 3)),
    "Fourth3": (3, _all(3, 4)),
    "TimeLaplacian3": (4, [(1, 0, 0, 0), Laplacian((1, 2, 3))]),
    "TimeSquares3": (4, [(1, 0, 0, 0), (0, 2, 0, 0), (0, 0, 2, 0), (0, 0, 0, 2)]),
    "Squares3Time": (4, [(2, 0, 0, 0), (0, 2, 0, 0), (0, 0, 2, 0), (0, 0, 0, 1)]),
    "Second4": (4, _all(4, 2)),
    "Third4": (4, _all(4, 3)),
    "Laplacian3Time": (4, [Laplacian((0, 1, 2)), (0, 0, 0, 1)]),
}


# Those of which often the last channel alone is read, so that the last hidden layer can leave out the others.
LAST_ALONE = ("Second1", "TimeSecond", "Laplacian2", "Laplacian3")


class _Tables:
    def __init__(self, channels: ChannelSet) -> None:
        self._monomials: list[str] = []
        self._partials: list[str] = []
        self._parts: list[str] = []
        for part in channels.nonlinear:
            first, start = self._add(part.monomials), len(self._partials)
            for b, monomials in part.partials.items():
                self._partials.append(f"{{{b}, {self._add(monomials)}}}")
            self._parts.append(f"{{{part.channel}, {part.order}, {first}, {start}, {len(self._partials)}}}")
        self._channels = channels

    def _add(self, monomials: Iterable[Monomial]) -> str:
        first = len(self._monomials)
        for coefficient, factors in monomials:
            self._monomials.append(f"{{{coefficient:g}, {len(factors)}, {{{', '.join(map(str, factors))}}}}}")
        return f"{first}, {len(self._monomials)}"

    def text(self, name: str) -> str:
        orders = [str(channel_order(channel)) for channel in self._channels.channels]
        lines = [
            f"struct {name} {{",
            f"  static constexpr int n_channels = {len(orders)}, n_units = {len(self._channels.units)};",
            f"  static constexpr int order = {self._channels.order}, n_parts = {len(self._parts)};",
            f"  static constexpr bool serves_last_alone = {str(name in LAST_ALONE).lower()};",
            *_array("int", "orders", orders),
            *_array("Part", "parts", self._parts),
            *_array("Partial", "partials", self._partials),
            *_array("Monomial", "monomials", self._monomials),
            "};",
        ]
        return "\n".join(lines)


def _array(kind: str, name: str, items: list[str]) -> list[str]:
    whole = ", ".join(item.replace(" ", "~") for item in items) or "{}"
    lines = textwrap.wrap(
        f"static constexpr {kind} {name}[] = {{{whole}}};", 120, initial_indent="  ", subsequent_indent="      "
    )
    return [line.replace("~", " ") for line in lines]


def main() -> None:
    print('// Written by make_sets.py: see there.\n#pragma once\n\n#include "engine.h"\n\nnamespace psinn::sets {\n')
    for name, (n_inputs, wanted) in SETS.items():
        channels = ChannelSet.closure(n_inputs, wanted)
        print(f"// {_comment(channels)}\n{_Tables(channels).text(name)}")
    print("\ntemplate <class... Sets>\nstruct SetList {};\nusing All =")
    print(
        "\n".join(
            textwrap.wrap(f"SetList<{', '.join(SETS)}>;", 120, initial_indent="    ", subsequent_indent="            ")
        )
    )
    print("\n}  // namespace psinn::sets")


def _comment(channels: ChannelSet) -> str:
    letters = "xyzt"
    return ", ".join(
        f"Laplacian({''.join(letters[axis] for axis in channel.axes)})"
        if isinstance(channel, Laplacian)
        else "u" + "".join(letters[axis] * order for axis, order in enumerate(channel))
        for channel in channels.channels
    )


if __name__ == "__main__":
    main()
