// The kernels compiled for baseline (see setup.py for the flags).
#if defined(PSINN_X86)
// Only processors without AVX2 run them: tables for all channel sets are a third of the code to compile.
#define PSINN_GENERIC
#endif
#include "engine_impl.h"
