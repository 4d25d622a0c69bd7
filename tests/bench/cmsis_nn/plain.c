/* SPDX-License-Identifier: Apache-2.0 */
/* Plain CNN, 3600 x 1: three convolutions with pooling, a fourth, mean, dense. */
#include "layers.h"

const char *const ecgexp_model_labels[7] = {"0", "1", "2", "3", "4", "5", "6"};

/* The first layer's kernel reads whole vectors: room behind its last weight. */
static const WEIGHTS int8_t w0[8 * 15 + 16] = {1, 2, 3};
static const WEIGHTS int8_t w1[16 * 9 * 8] = {1};
static const WEIGHTS int8_t w2[32 * 5 * 16] = {2};
static const WEIGHTS int8_t w3[64 * 3 * 32] = {3};
static const WEIGHTS int8_t w4[7 * 64] = {1};

int32_t ecgexp_model_run(const int8_t *input, int8_t *output, void *arena) {
    int8_t *const a = arena;
    int8_t *const b = a + 3600 * 8;
    int32_t failed = 0;
    failed |= conv(input, (signal){3600, 1}, w0, 8, 15, a);
    failed |= max_pool(a, (signal){3600, 8}, 4, b);
    failed |= conv(b, (signal){900, 8}, w1, 16, 9, a);
    failed |= max_pool(a, (signal){900, 16}, 4, b);
    failed |= conv(b, (signal){225, 16}, w2, 32, 5, a);
    failed |= max_pool(a, (signal){225, 32}, 4, b);
    failed |= conv(b, (signal){57, 32}, w3, 64, 3, a);
    failed |= mean(a, (signal){57, 64}, b);
    failed |= dense(b, 64, w4, 7, output);
    return failed;
}
