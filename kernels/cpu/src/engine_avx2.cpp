// The kernels compiled for avx2 (see setup.py for the flags).
#define PSINN_AVX2
#include "engine_impl.h"
