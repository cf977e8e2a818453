// The kernels compiled for baseline (see setup.py for the flags).
#include "engine_impl.h"
