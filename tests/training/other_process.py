"""Training that a process of its own imports and runs."""

from __future__ import annotations

import multiprocessing

from small import small_laplace

from psinn_fast import MLP, Adam, fit


def trained() -> float:
    net = MLP([2, 24, 24, 1], seed=0)
    return fit(small_laplace(21), net.double(), Adam(5)).losses["residual"]


def _send(queue: object) -> None:
    import torch

    torch.set_num_threads(1)  # a forked child has none of the threads that torch waits for
    queue.put(trained())


def in_another_process(method: str) -> float:
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    process = context.Process(target=_send, args=(queue,))
    process.start()
    try:
        return queue.get(timeout=60)
    finally:
        process.kill()
        process.join()
