"""psinn_fast: fast training of small tanh networks on PDEs, dense (PINN) or tied by symmetry (Psi-NN)."""
