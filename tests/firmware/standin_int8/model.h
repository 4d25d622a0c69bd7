/* Stand-in for an emitted network: one int8 dense layer, 32 -> 4, in plain C. */
#ifndef STANDIN_MODEL_H
#define STANDIN_MODEL_H

#include <stdint.h>

typedef int8_t ecgexp_input_t;
typedef int8_t ecgexp_output_t;

#define ECGEXP_MODEL_NAME            "stand-in int8"
#define ECGEXP_INPUT_ELEMENTS        32
#define ECGEXP_OUTPUT_ELEMENTS       4
#define ECGEXP_ARENA_BYTES           64
#define ECGEXP_OUTPUT_SCALE          0.125f
#define ECGEXP_OUTPUT_ZERO_POINT     (-3)
#define ECGEXP_OUTPUT_IS_FLOAT       0
#define ECGEXP_OUTPUT_IS_PROBABILITY 0

extern const char *const ecgexp_model_labels[ECGEXP_OUTPUT_ELEMENTS];

int32_t ecgexp_model_run(const ecgexp_input_t *input, ecgexp_output_t *output, void *arena);

#endif
