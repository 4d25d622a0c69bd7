/* SPDX-License-Identifier: Apache-2.0 */
#include "golden_data.h"

#if defined(GOLDEN_SECTION)
#define GOLDEN __attribute__((section(GOLDEN_SECTION)))
#else
#define GOLDEN
#endif

const float golden_inputs[GOLDEN_WINDOWS][@PREFIX@_INPUT_ELEMENTS] GOLDEN = {
@inputs@};

const @prefix@_output_t
    golden_outputs[GOLDEN_WINDOWS][GOLDEN_ANSWERS][@PREFIX@_OUTPUT_ELEMENTS] GOLDEN = {
@outputs@};
