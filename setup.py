"""Build script: ``kernels/`` at the top of the repository is installed as the package ``psinn_fast.kernels``.

The C++ kernels are an optional extension: without a C++17 compiler the installation goes on with a warning, and the
reference backend takes over. ``PSINN_FAST_CXXFLAGS`` adds compiler and linker flags (sanitizers, for instance).
"""

import os
import platform
import shlex
import sys
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

KERNELS = ["psinn_fast.kernels", *(f"psinn_fast.kernels.{name}" for name in find_packages("kernels"))]
SOURCES = Path("kernels/cpu/src")
IS_X86 = platform.machine().lower() in ("x86_64", "amd64")
# No -ffast-math: it would remove the checks for NaN. Contraction to fused multiply-adds loses nothing.
FLAGS = ["-std=c++17", "-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-fvisibility=hidden"]
# Each instruction set is compiled in a file of its own and chosen when the library is loaded.
INSTRUCTION_SETS = {
    "engine_avx2.cpp": ["-mavx2", "-mfma"],
    "engine_avx512.cpp": ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mavx2", "-mfma"],
}


class OptionalKernels(build_ext):
    """Compiles each source with its own flags; a failure is a warning."""

    def build_extension(self, ext):
        try:
            if sys.platform == "win32":
                raise RuntimeError("the kernels need GCC or Clang")
            import pybind11

            ext.include_dirs.append(pybind11.get_include())
            for source in list(ext.sources):
                flags = INSTRUCTION_SETS.get(Path(source).name)
                if flags:
                    ext.sources.remove(source)
                    ext.extra_objects += self._compile(source, ext, flags)
            super().build_extension(ext)
        except Exception as error:
            self.warn(f"the C++ kernels were not built, psinn_fast will use its slower reference backend: {error}")

    def copy_extensions_to_source(self):
        # An editable installation copies the library beside the sources; one that was not built cannot be copied.
        self.extensions = [ext for ext in self.extensions if Path(self.get_ext_fullpath(ext.name)).exists() or self._built(ext)]
        super().copy_extensions_to_source()

    def _built(self, ext):
        return (Path(self.build_lib) / self.get_ext_filename(self.get_ext_fullname(ext.name))).exists()

    def _compile(self, source, ext, flags):
        return self.compiler.compile(
            [source],
            output_dir=self.build_temp,
            include_dirs=ext.include_dirs,
            debug=self.debug,
            extra_postargs=[*ext.extra_compile_args, *flags],
            depends=ext.depends,
        )


def kernels():
    """The extension module."""
    extra = shlex.split(os.environ.get("PSINN_FAST_CXXFLAGS", ""))
    names = ["bindings.cpp", "session.cpp", "model.cpp", "team.cpp", "engine_baseline.cpp"]
    if IS_X86:
        names += INSTRUCTION_SETS
    return Extension(
        "psinn_fast.kernels.cpu._native",
        sources=[str(SOURCES / name) for name in names],
        depends=[str(path) for path in SOURCES.glob("*.h")],
        define_macros=[("PSINN_X86", "1")] if IS_X86 else [],
        extra_compile_args=[*FLAGS, *extra],
        extra_link_args=["-pthread", *extra],
    )


setup(
    packages=[*find_packages(include=["psinn_fast", "psinn_fast.*"]), *KERNELS],
    package_dir={"psinn_fast.kernels": "kernels"},
    ext_modules=[kernels()],
    cmdclass={"build_ext": OptionalKernels},
)
