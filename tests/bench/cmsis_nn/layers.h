/* SPDX-License-Identifier: Apache-2.0 */
/* 1-D layers on CMSIS-NN: a signal is an image of height 1, (position, channel) in memory. */
#ifndef LAYERS_H
#define LAYERS_H

#include "arm_nnfunctions.h"
#include "model.h"

#define WEIGHTS       __attribute__((section(".ecgexp.weights"), aligned(16)))
#define MOST_CHANNELS 64
#define SCRATCH_BYTES 4096
#define ACTIVATION    {-128, 127}
#define INPUT_OFFSET  3
#define PLACED        __attribute__((section(".ecgexp.arena"), aligned(16)))

static PLACED int8_t scratch[SCRATCH_BYTES];
static const WEIGHTS int32_t bias[MOST_CHANNELS] = {1, 2, 3};
static const WEIGHTS int32_t shifts[MOST_CHANNELS] = {[0 ... MOST_CHANNELS - 1] = -6};
static const WEIGHTS int32_t multipliers[MOST_CHANNELS] = {[0 ... MOST_CHANNELS - 1] = 1 << 30};

typedef struct {
    int32_t length, channels;
} signal;

static inline int32_t conv(const int8_t *x, signal in, const int8_t *weight, int32_t filters,
                           int32_t kernel, int8_t *y) {
    const cmsis_nn_context context = {scratch, sizeof scratch};
    const cmsis_nn_conv_params params = {.input_offset = INPUT_OFFSET,
                                         .output_offset = -INPUT_OFFSET,
                                         .stride = {1, 1},
                                         .padding = {kernel / 2, 0},
                                         .dilation = {1, 1},
                                         .activation = ACTIVATION};
    const cmsis_nn_per_channel_quant_params scales = {(int32_t *)multipliers, (int32_t *)shifts};
    const cmsis_nn_dims input = {1, 1, in.length, in.channels};
    const cmsis_nn_dims filter = {filters, 1, kernel, in.channels};
    const cmsis_nn_dims biases = {1, 1, 1, filters};
    const cmsis_nn_dims output = {1, 1, in.length, filters};
    if (arm_convolve_wrapper_s8_get_buffer_size(&params, &input, &filter, &output) >
        SCRATCH_BYTES) {
        return 1;
    }
    return arm_convolve_wrapper_s8(&context, &params, &scales, &input, x, &filter, weight, &biases,
                                   bias, &output, y);
}

static inline int32_t max_pool(const int8_t *x, signal in, int32_t width, int8_t *y) {
    const cmsis_nn_context context = {scratch, sizeof scratch};
    const cmsis_nn_pool_params params = {.stride = {width, 1}, .activation = ACTIVATION};
    const cmsis_nn_dims input = {1, 1, in.length, in.channels};
    const cmsis_nn_dims filter = {1, 1, width, 1};
    const cmsis_nn_dims output = {1, 1, (in.length + width - 1) / width, in.channels};
    return arm_max_pool_s8(&context, &params, &input, x, &filter, &output, y);
}

static inline int32_t mean(const int8_t *x, signal in, int8_t *y) {
    const cmsis_nn_context context = {scratch, sizeof scratch};
    const cmsis_nn_pool_params params = {.stride = {1, 1}, .activation = ACTIVATION};
    const cmsis_nn_dims input = {1, 1, in.length, in.channels};
    const cmsis_nn_dims filter = {1, 1, in.length, 1};
    const cmsis_nn_dims output = {1, 1, 1, in.channels};
    return arm_avgpool_s8(&context, &params, &input, x, &filter, &output, y);
}

static inline int32_t dense(const int8_t *x, int32_t inputs, const int8_t *weight, int32_t outputs,
                            int8_t *y) {
    const cmsis_nn_context context = {scratch, sizeof scratch};
    const cmsis_nn_fc_params params = {
        .input_offset = INPUT_OFFSET, .output_offset = -INPUT_OFFSET, .activation = ACTIVATION};
    const cmsis_nn_per_tensor_quant_params scale = {1 << 30, -2};
    const cmsis_nn_dims input = {1, 1, 1, inputs};
    const cmsis_nn_dims filter = {inputs, 1, 1, outputs};
    const cmsis_nn_dims biases = {1, 1, 1, outputs};
    const cmsis_nn_dims output = {1, 1, 1, outputs};
    return arm_fully_connected_s8(&context, &params, &scale, &input, x, &filter, weight, &biases,
                                  bias, &output, y);
}

#endif
