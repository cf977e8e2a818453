"""What follows from points alone is computed once, and anew for points that changed."""

from __future__ import annotations

import torch

from psinn_fast.kernels.contract.remembered import OfPoints


def test_remembered() -> None:
    own, made = OfPoints(), list[int]()

    def asked(points: torch.Tensor, key: str = "a") -> torch.Tensor:
        def make() -> torch.Tensor:
            made.append(len(points))
            return points**2

        found = own(key, points, make)
        assert torch.equal(found, points**2)
        return found

    points = torch.rand(5, 2)
    asked(points)
    asked(points.clone())
    assert len(made) == 1
    points.data.copy_(torch.rand(5, 2))  # which torch does not count as a change
    asked(points)
    asked(points, "b")
    asked(points.double())
    asked(points[:3])
    assert made == [5, 5, 5, 5, 3]
    sides = [torch.full((7, 1), float(k)) for k in range(4)]
    for _ in range(3):
        for side in sides:
            asked(side)
    assert made[5:] == [7] * 4
    meta = torch.empty(5, 2, device="meta")
    assert own("a", meta, lambda: meta) is meta


def test_memory_is_bounded() -> None:
    """The oldest goes first."""
    own, made = OfPoints(most_bytes=1000), list[int]()

    def asked(k: int) -> None:
        def make() -> torch.Tensor:
            made.append(k)
            return torch.zeros(1)

        own(k, torch.full((100,), float(k)), make)

    for k in (0, 1, 2, 2, 1, 0):
        asked(k)
    assert made == [0, 1, 2, 0]
