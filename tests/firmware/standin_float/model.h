/* Stand-in for an emitted float network: 8 -> 3 sums, in plain C. */
#ifndef STANDIN_MODEL_H
#define STANDIN_MODEL_H

#include <stdint.h>

typedef float ecgexp_input_t;
typedef float ecgexp_output_t;

#define ECGEXP_MODEL_NAME            "stand-in float"
#define ECGEXP_INPUT_ELEMENTS        8
#define ECGEXP_OUTPUT_ELEMENTS       3
#define ECGEXP_ARENA_BYTES           16
#define ECGEXP_OUTPUT_SCALE          1.0f
#define ECGEXP_OUTPUT_ZERO_POINT     0
#define ECGEXP_OUTPUT_IS_FLOAT       1
#define ECGEXP_OUTPUT_IS_PROBABILITY 0

extern const char *const ecgexp_model_labels[ECGEXP_OUTPUT_ELEMENTS];

int32_t ecgexp_model_run(const ecgexp_input_t *input, ecgexp_output_t *output, void *arena);

#endif
