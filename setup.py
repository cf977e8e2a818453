"""Build script: ``kernels/`` at the top of the repository is installed as the package ``psinn_fast.kernels``."""

from setuptools import find_packages, setup

KERNELS = ["psinn_fast.kernels", *(f"psinn_fast.kernels.{name}" for name in find_packages("kernels"))]

setup(
    packages=[*find_packages(include=["psinn_fast", "psinn_fast.*"]), *KERNELS],
    package_dir={"psinn_fast.kernels": "kernels"},
)
