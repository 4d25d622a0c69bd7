/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the golden windows through both entry functions; exit status 0 when every output agrees. */
#include "golden_data.h"
#include "port.h"

#include <stddef.h>
#include <string.h>

#define GUARD 64

@PREFIX@_MODEL_ARENA(arena, @PREFIX@_FLOAT_ARENA_BYTES + GUARD);
static @prefix@_input_t codes[@PREFIX@_INPUT_ELEMENTS];

static void write_number(uint32_t value) {
  char text[11];
  size_t at = sizeof text - 1;
  text[at] = '\0';
  do {
    text[--at] = (char)('0' + value % 10u);
    value /= 10u;
  } while (value != 0u);
  port_write(&text[at]);
}

static int agree(const @prefix@_output_t *got, const @prefix@_output_t *wanted) {
#if @PREFIX@_OUTPUT_IS_FLOAT
  float largest = 0.0f;
  for (size_t i = 0; i < @PREFIX@_OUTPUT_ELEMENTS; ++i) {
    const float size = wanted[i] < 0.0f ? -wanted[i] : wanted[i];
    largest = size > largest ? size : largest;
  }
  for (size_t i = 0; i < @PREFIX@_OUTPUT_ELEMENTS; ++i) {
    const float off = got[i] < wanted[i] ? wanted[i] - got[i] : got[i] - wanted[i];
    if (!(off <= GOLDEN_TOLERANCE * largest)) {
      return 0;
    }
  }
  return 1;
#else
  return memcmp(got, wanted, @PREFIX@_OUTPUT_ELEMENTS * sizeof wanted[0]) == 0;
#endif
}

static int is_answer(const @prefix@_output_t *got, size_t window) {
  for (size_t i = 0; i < GOLDEN_ANSWERS; ++i) {
    if (agree(got, golden_outputs[window][i])) {
      return 1;
    }
  }
  return 0;
}

/* Nothing may depend on what the arena held, and nothing may be written behind it. */
static void paint(uint8_t value) {
  memset(arena, value, sizeof arena);
}

static int is_painted(size_t from, uint8_t value) {
  for (size_t i = from; i < sizeof arena; ++i) {
    if (arena[i] != value) {
      return 0;
    }
  }
  return 1;
}

static int window_agrees(size_t window, uint8_t value) {
  @prefix@_output_t output[@PREFIX@_OUTPUT_ELEMENTS] = {0};
  float real[@PREFIX@_OUTPUT_ELEMENTS] = {0};
  float wanted[@PREFIX@_OUTPUT_ELEMENTS];
  paint(value);
  @prefix@_model_quantise_input(golden_inputs[window], codes);
  if (@prefix@_model_run(codes, output, arena) != @PREFIX@_MODEL_OK ||
      !is_painted(@PREFIX@_ARENA_BYTES, value) || !is_answer(output, window)) {
    return 0;
  }
  paint(value);
  if (@prefix@_model_run_float(golden_inputs[window], real, arena) != @PREFIX@_MODEL_OK ||
      !is_painted(@PREFIX@_FLOAT_ARENA_BYTES, value)) {
    return 0;
  }
  @prefix@_model_dequantise_output(output, wanted);
  return memcmp(real, wanted, sizeof real) == 0;
}

int main(void) {
  uint32_t equal = 0;
  for (size_t window = 0; window < GOLDEN_WINDOWS; ++window) {
    equal += (uint32_t)(window_agrees(window, 0xA5u) && window_agrees(window, 0x5Au));
  }
  port_write("@prefix@_model golden test: ");
  write_number(equal);
  port_write(" of ");
  write_number(GOLDEN_WINDOWS);
  port_write(" windows equal\n");
  return equal == GOLDEN_WINDOWS ? 0 : 1;
}
