"""The network that kernels run: signed symbols, sparse linear maps, the plan."""
