// The kernels compiled for avx512 (see setup.py for the flags).
#define PSINN_AVX512
#include "engine_impl.h"
