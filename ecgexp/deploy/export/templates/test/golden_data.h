/* SPDX-License-Identifier: Apache-2.0 */
/* Golden windows, and what ONNX Runtime answers to them. */
#ifndef @PREFIX@_GOLDEN_DATA_H
#define @PREFIX@_GOLDEN_DATA_H

#include "@prefix@/model.h"

#define GOLDEN_WINDOWS @n_golden@
/* Where there are two, ONNX Runtime's own integer kernels differ from the graph as written. */
#define GOLDEN_ANSWERS @n_answers@
/* Outputs computed in float may differ by this share of the largest one; codes may not differ. */
#define GOLDEN_TOLERANCE @tolerance@

extern const float golden_inputs[GOLDEN_WINDOWS][@PREFIX@_INPUT_ELEMENTS];
extern const @prefix@_output_t
    golden_outputs[GOLDEN_WINDOWS][GOLDEN_ANSWERS][@PREFIX@_OUTPUT_ELEMENTS];

#endif
