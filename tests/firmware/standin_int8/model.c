#include "model.h"

#ifdef __ARM_FEATURE_MVE
#include <arm_mve.h>
#endif

#ifndef ECGEXP_WEIGHTS_SECTION
#define ECGEXP_WEIGHTS_SECTION ".ecgexp.weights"
#endif
#define WEIGHTS __attribute__((section(ECGEXP_WEIGHTS_SECTION), aligned(16)))

const char *const ecgexp_model_labels[ECGEXP_OUTPUT_ELEMENTS] = {"N", "sinus rhythm", "AF \"b\\\"",
                                                                 "r\xc3\xa9"};

/* weight[class][element] = ((7 * class + 3) * element + class) % 23 - 11 */
static const int8_t WEIGHTS weight[4][32] = {
    {-11, -8, -5, -2, 1, 4, 7, 10, -10, -7, -4, -1, 2, 5, 8, 11,
     -9, -6, -3, 0, 3, 6, 9, -11, -8, -5, -2, 1, 4, 7, 10, -10},
    {-10, 0, 10, -3, 7, -6, 4, -9, 1, 11, -2, 8, -5, 5, -8, 2,
     -11, -1, 9, -4, 6, -7, 3, -10, 0, 10, -3, 7, -6, 4, -9, 1},
    {-9, 8, 2, -4, -10, 7, 1, -5, -11, 6, 0, -6, 11, 5, -1, -7,
     10, 4, -2, -8, 9, 3, -3, -9, 8, 2, -4, -10, 7, 1, -5, -11},
    {-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7,
     8, 9, 10, 11, -11, -10, -9, -8, -7, -6, -5, -4, -3, -2, -1, 0},
};

static int32_t dot(const int8_t *a, const int8_t *b) {
    int32_t sum = 0;
#ifdef __ARM_FEATURE_MVE
    for (int32_t i = 0; i < ECGEXP_INPUT_ELEMENTS; i += 16) {
        sum = vmladavaq(sum, vld1q(a + i), vld1q(b + i));
    }
#else
    for (int32_t i = 0; i < ECGEXP_INPUT_ELEMENTS; ++i) {
        sum += a[i] * b[i];
    }
#endif
    return sum;
}

int32_t ecgexp_model_run(const ecgexp_input_t *input, ecgexp_output_t *output, void *arena) {
    int32_t *sum = arena;
    /* fault */
    for (int32_t c = 0; c < ECGEXP_OUTPUT_ELEMENTS; ++c) {
        sum[c] = dot(weight[c], input);
        const int32_t scaled = sum[c] / 128;
        output[c] = (int8_t)(scaled < -128 ? -128 : scaled > 127 ? 127 : scaled);
    }
    return 0;
}
