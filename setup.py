"""The kernels' builds: one source, compiled for each instruction set that is chosen at import."""

import platform

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

KERNELS = "src/pandq/core/kernels"
# No licence to reorder or fuse: every bit of a result is the source's own. The two others only
# say that nobody asks for errno or floating-point traps.
# CPython asks for wrapping integers, which hides from the compiler what the lanes' loops are.
FLAGS = [
    "-O3",
    "-g0",
    "-std=c11",
    "-fno-wrapv",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
]
X86_64 = {
    "v2": ["-march=x86-64-v2"],
    "v3": ["-march=x86-64-v3"],
    "v4": ["-march=x86-64-v4", "-mprefer-vector-width=512"],
}


class BuildKernels(build_ext):
    """Builds with compilers that know gcc's options; elsewhere NumPy answers."""

    def build_extensions(self):
        """Build what this compiler can."""
        if self.compiler.compiler_type == "unix":
            super().build_extensions()
        else:
            self.extensions = []
            self.warn("this compiler is not known to build the kernels; NumPy answers")


def builds():
    """One extension for each level of x86-64; one elsewhere."""
    x86_64 = platform.machine().lower() in ("x86_64", "amd64")
    return [
        Extension(
            f"pandq.core.kernels._{name}",
            [f"{KERNELS}/module.c"],
            depends=[f"{KERNELS}/{header}.h" for header in HEADERS],
            define_macros=[("MODULE", f"_{name}")],
            extra_compile_args=FLAGS + march,
            py_limited_api=True,
            optional=True,
        )
        for name, march in (X86_64 if x86_64 else {"plain": []}).items()
    ]


HEADERS = (
    "checks",
    "coded",
    "dirichlet",
    "divergences",
    "frequencies",
    "groups",
    "hashing",
    "labels",
    "lanes",
    "laws",
    "maps",
    "matrix",
    "measures",
    "moments",
    "pairs",
    "parts",
    "shares",
    "singles",
    "softmax",
)

setup(
    ext_modules=builds(),
    cmdclass={"build_ext": BuildKernels},
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
