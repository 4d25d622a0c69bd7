#include "model.h"

const char *const ecgexp_model_labels[ECGEXP_OUTPUT_ELEMENTS] = {"class_0", "class_1", "class_2"};

/* output[c] = sum of the inputs whose position leaves the remainder c by 3 */
int32_t ecgexp_model_run(const ecgexp_input_t *input, ecgexp_output_t *output, void *arena) {
    float *sum = arena;
    for (int32_t c = 0; c < ECGEXP_OUTPUT_ELEMENTS; ++c) {
        sum[c] = 0.0f;
    }
    for (int32_t i = 0; i < ECGEXP_INPUT_ELEMENTS; ++i) {
        sum[i % ECGEXP_OUTPUT_ELEMENTS] += input[i];
    }
    for (int32_t c = 0; c < ECGEXP_OUTPUT_ELEMENTS; ++c) {
        output[c] = sum[c];
    }
    return 0;
}
