/* SPDX-License-Identifier: Apache-2.0 */
/* Golden inputs, as many as the build says. */
#ifndef ECGEXP_GOLDEN_H
#define ECGEXP_GOLDEN_H

#include "model.h"

#ifndef ECGEXP_GOLDEN_WINDOWS
#error "ECGEXP_GOLDEN_WINDOWS must be the number of windows in golden.bin"
#endif

/* (window, element), in the order of the network's input. */
extern const ecgexp_input_t ecgexp_golden_inputs[];

#endif
