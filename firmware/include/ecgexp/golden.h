/* SPDX-License-Identifier: Apache-2.0 */
/* Golden inputs; they belong to the measurement, not to the network. */
#ifndef ECGEXP_GOLDEN_H
#define ECGEXP_GOLDEN_H

#include "model.h"

extern const uint32_t ecgexp_golden_windows;

/* (window, element), in the order of the network's input. */
extern const ecgexp_input_t ecgexp_golden_inputs[];

#endif
