"""Networks for other people's libraries, whose training loops then run on the kernels (docs/integrations.md).

Each module needs its library: `deepxde` the package deepxde, `pina` the package pina-mathlab.
"""
