"""The training step that is measured on a GPU, its data, peers and checks: the Laplace problem, residual and edges."""
