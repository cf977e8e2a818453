"""Build script: ``kernels/`` at the top of the repository is installed as the package ``psinn_fast.kernels``.

The C++ kernels are an optional extension: where they cannot be built the installation goes on with a warning, and the
reference backend takes over. ``PSINN_FAST_CXXFLAGS`` adds flags to compiler and linker (sanitizers, for instance);
``PSINN_FAST_PURE=1`` leaves the extension out: the wheel is then one for every platform.
"""

import os
import platform
import shlex
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

KERNELS = ["psinn_fast.kernels", *(f"psinn_fast.kernels.{name}" for name in find_packages("kernels"))]
SOURCES = Path("kernels/cpu/src")
IS_X86 = platform.machine().lower() in ("x86_64", "amd64")
# No -ffast-math: it would remove the checks for NaN. Contraction to fused multiply-adds loses nothing.
FLAGS = ["-std=c++17", "-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"]
FLAGS += ["-fvisibility=hidden", "-Wno-psabi", "-g0"]
# An engine is one file of a thousand small functions. Past these sizes GCC stops inlining, which costs 4 % of a step.
FLAGS += ["--param=inline-unit-growth=2000", "--param=large-unit-insns=1000000"]
# Each instruction set is compiled in a file of its own and chosen at run time.
INSTRUCTION_SETS = {
    "engine_avx2.cpp": ["-mavx2", "-mfma"],
    "engine_avx512.cpp": ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mavx2", "-mfma"],
}


class KernelsBuild(build_ext):
    """Compiles each source with its own flags."""

    def build_extension(self, ext):
        if sys.platform == "win32":
            raise CompileError("the C++ kernels need GCC or Clang")
        try:
            import pybind11
        except ImportError as error:
            raise CompileError(f"the C++ kernels need pybind11 to build: {error}") from error
        ext.include_dirs.append(pybind11.get_include())

        def compiled(job):
            source, number = job
            return self.compiler.compile(
                [source],
                output_dir=str(Path(self.build_temp, number or "")),
                macros=[*ext.define_macros, *([("PSINN_NUMBER", number)] if number else [])],
                include_dirs=ext.include_dirs,
                extra_postargs=[*ext.extra_compile_args, *INSTRUCTION_SETS.get(Path(source).name, ())],
                depends=ext.depends,
            )

        # Side by side, the longest first: an engine of long vectors and the bindings take about equally long.
        engines = [name for name in ext.sources if Path(name).name.startswith("engine_")]
        jobs = [(name, number) for name in engines for number in ("double", "float")]
        others = [(name, None) for name in ext.sources if name not in engines]
        long = 2 * (len(engines) - 1)
        jobs = [*jobs[:long], *others[:1], *jobs[long:], *others[1:]]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            ext.extra_objects += [name for names in pool.map(compiled, jobs) for name in names]
        ext.sources = []
        self.force = True  # with no sources left, setuptools would see nothing new to link
        super().build_extension(ext)


def kernels():
    """The extension module. ``optional``: a failure to build it is a warning."""
    extra = shlex.split(os.environ.get("PSINN_FAST_CXXFLAGS", ""))
    names = [*(reversed(INSTRUCTION_SETS) if IS_X86 else ()), "engine_baseline.cpp"]
    names += ["bindings.cpp", "session.cpp", "buffer.cpp", "model.cpp", "team.cpp", "crew.cpp"]
    return Extension(
        "psinn_fast.kernels.cpu._native",
        sources=[str(SOURCES / name) for name in names],
        depends=[str(path) for path in SOURCES.glob("*.h")],
        define_macros=[("PSINN_X86", "1")] if IS_X86 else [],
        extra_compile_args=[*FLAGS, *extra],
        extra_link_args=["-pthread", *extra],
        language="c++",
        optional=True,
    )


setup(
    packages=[*find_packages(include=["psinn_fast", "psinn_fast.*"]), *KERNELS],
    package_dir={"psinn_fast.kernels": "kernels"},
    ext_modules=[] if os.environ.get("PSINN_FAST_PURE") == "1" else [kernels()],
    cmdclass={"build_ext": KernelsBuild},
)
