/* SPDX-License-Identifier: Apache-2.0 */
/* @name@: weights and entry functions. */
#include "@prefix@/model.h"

#include "kernels.h"
#include <stddef.h>
#include <string.h>

#if !defined(@PREFIX@_WEIGHTS_SECTION) && defined(ECGEXP_WEIGHTS_SECTION)
#define @PREFIX@_WEIGHTS_SECTION ECGEXP_WEIGHTS_SECTION
#endif
#if defined(@PREFIX@_WEIGHTS_SECTION)
#define ECGEXP_WEIGHT __attribute__((section(@PREFIX@_WEIGHTS_SECTION), aligned(16)))
#elif defined(__GNUC__)
#define ECGEXP_WEIGHT __attribute__((aligned(16)))
#else
#define ECGEXP_WEIGHT
#endif

/* Adding and subtracting 1.5 * 2^23 rounds a small float to a whole number, ties to even. */
#define ROUND 12582912.0f

const char *const @prefix@_model_labels[@PREFIX@_OUTPUT_ELEMENTS] = {
    @labels@};

@weights@
ECGEXP_CODE int32_t @prefix@_model_run(const @prefix@_input_t *input, @prefix@_output_t *output,
                                       void *arena) {
  int8_t *const base = arena;
  if (input == NULL || output == NULL || base == NULL) {
    return @PREFIX@_MODEL_ERROR_NULL;
  }
  if ((uintptr_t)arena % 16u != 0u) {
    return @PREFIX@_MODEL_ERROR_ALIGNMENT;
  }
@calls@  return @PREFIX@_MODEL_OK;
}

ECGEXP_CODE void @prefix@_model_quantise_input(const float *input, @prefix@_input_t *codes) {
#if @PREFIX@_INPUT_IS_FLOAT
  memcpy(codes, input, @PREFIX@_INPUT_ELEMENTS * sizeof(float));
#else
  for (size_t i = 0; i < @PREFIX@_INPUT_ELEMENTS; ++i) {
    float steps = input[i] / @PREFIX@_INPUT_SCALE;
    steps = steps > @input_low@ ? steps : @input_low@;
    steps = steps < @input_high@ ? steps : @input_high@;
    codes[i] = (int8_t)((int32_t)((steps + ROUND) - ROUND) + @PREFIX@_INPUT_ZERO_POINT);
  }
#endif
}

ECGEXP_CODE void @prefix@_model_dequantise_output(const @prefix@_output_t *codes, float *output) {
#if @PREFIX@_OUTPUT_IS_FLOAT
  memcpy(output, codes, @PREFIX@_OUTPUT_ELEMENTS * sizeof(float));
#else
  for (size_t i = 0; i < @PREFIX@_OUTPUT_ELEMENTS; ++i) {
    output[i] = (float)(codes[i] - @PREFIX@_OUTPUT_ZERO_POINT) * @PREFIX@_OUTPUT_SCALE;
  }
#endif
}

ECGEXP_CODE int32_t @prefix@_model_run_float(const float *input, float *output, void *arena) {
  if (input == NULL || output == NULL || arena == NULL) {
    return @PREFIX@_MODEL_ERROR_NULL;
  }
#if @PREFIX@_INPUT_IS_FLOAT
  const float *const codes = input;
#else
  int8_t *const codes = (int8_t *)arena + @PREFIX@_ARENA_BYTES;
  @prefix@_model_quantise_input(input, codes);
#endif
#if @PREFIX@_OUTPUT_IS_FLOAT
  return @prefix@_model_run(codes, output, arena);
#else
  int8_t *const scores = (int8_t *)arena + @PREFIX@_ARENA_BYTES + @input_codes_bytes@;
  const int32_t status = @prefix@_model_run(codes, scores, arena);
  if (status == @PREFIX@_MODEL_OK) {
    @prefix@_model_dequantise_output(scores, output);
  }
  return status;
#endif
}
