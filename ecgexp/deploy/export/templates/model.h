/* SPDX-License-Identifier: Apache-2.0 */
/*
 * @name@: (@input_shape@) samples in, @output_elements@ classes out.
 *
 *   static int8_t codes[@PREFIX@_INPUT_ELEMENTS];
 *   static @prefix@_output_t scores[@PREFIX@_OUTPUT_ELEMENTS];
 *   @PREFIX@_MODEL_ARENA(scratch, @PREFIX@_ARENA_BYTES);
 *   if (@prefix@_model_run(codes, scores, scratch) != @PREFIX@_MODEL_OK) { ... }
 *
 * Every function is reentrant: it reads its arguments and constants, and writes its output and the
 * arena. Two calls may run at once with two arenas. An arena keeps nothing between calls, so one
 * arena may serve several models in turn.
 *
 * A section for the weights, the code and the arenas is chosen when the model is compiled:
 *   -D@PREFIX@_WEIGHTS_SECTION='".dtcm.weights"'   this model only
 *   -DECGEXP_WEIGHTS_SECTION='".dtcm.weights"'     every exported model
 * and likewise _CODE_SECTION and _ARENA_SECTION.
 */
#ifndef @PREFIX@_MODEL_H
#define @PREFIX@_MODEL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define @PREFIX@_MODEL_NAME @name_string@

/* Element types of the network itself: int8_t where it is quantised, else float. */
typedef @input_type@ @prefix@_input_t;
typedef @output_type@ @prefix@_output_t;
#define @PREFIX@_INPUT_IS_FLOAT @input_is_float@
#define @PREFIX@_OUTPUT_IS_FLOAT @output_is_float@

/* Input: (@input_shape@) as in ONNX, batch first, the last index runs fastest. */
#define @PREFIX@_INPUT_ELEMENTS @input_elements@
#define @PREFIX@_OUTPUT_ELEMENTS @output_elements@

/* Working memory in bytes, 16-byte aligned, lent by the caller for one call. */
#define @PREFIX@_ARENA_BYTES @arena_bytes@
#define @PREFIX@_FLOAT_ARENA_BYTES @float_arena_bytes@

/* real = scale * (code - zero point); 1 and 0 where the element type is float. */
#define @PREFIX@_INPUT_SCALE @input_scale@
#define @PREFIX@_INPUT_ZERO_POINT @input_zero_point@
#define @PREFIX@_OUTPUT_SCALE @output_scale@
#define @PREFIX@_OUTPUT_ZERO_POINT @output_zero_point@

/* 1: the network ends in a softmax; 0: its outputs are logits. */
#define @PREFIX@_OUTPUT_IS_PROBABILITY @is_probability@

#define @PREFIX@_MODEL_OK 0
#define @PREFIX@_MODEL_ERROR_NULL (-1)      /* a pointer is NULL */
#define @PREFIX@_MODEL_ERROR_ALIGNMENT (-2) /* the arena is not 16-byte aligned */

/* Class names in output order, UTF-8. */
extern const char *const @prefix@_model_labels[@PREFIX@_OUTPUT_ELEMENTS];

/*
 * One inference.
 *   input   @PREFIX@_INPUT_ELEMENTS codes; may not overlap output or arena
 *   output  @PREFIX@_OUTPUT_ELEMENTS codes
 *   arena   @PREFIX@_ARENA_BYTES
 * Returns @PREFIX@_MODEL_OK or an error, which leaves the output as it was.
 */
int32_t @prefix@_model_run(const @prefix@_input_t *input, @prefix@_output_t *output, void *arena);

/*
 * The same between real numbers: quantise, run, dequantise.
 *   input   @PREFIX@_INPUT_ELEMENTS numbers
 *   output  @PREFIX@_OUTPUT_ELEMENTS numbers
 *   arena   @PREFIX@_FLOAT_ARENA_BYTES
 */
int32_t @prefix@_model_run_float(const float *input, float *output, void *arena);

/* Real numbers to codes, rounded and saturated as ONNX Runtime's QuantizeLinear does; NaN gives the
 * lowest code. A copy where the element type is float. */
void @prefix@_model_quantise_input(const float *input, @prefix@_input_t *codes);

/* Codes to real numbers, as ONNX Runtime's DequantizeLinear does. */
void @prefix@_model_dequantise_output(const @prefix@_output_t *codes, float *output);

#if !defined(@PREFIX@_ARENA_SECTION) && defined(ECGEXP_ARENA_SECTION)
#define @PREFIX@_ARENA_SECTION ECGEXP_ARENA_SECTION
#endif
#if defined(@PREFIX@_ARENA_SECTION)
#define @PREFIX@_ARENA_PLACE __attribute__((section(@PREFIX@_ARENA_SECTION), aligned(16)))
#elif defined(__GNUC__)
#define @PREFIX@_ARENA_PLACE __attribute__((aligned(16)))
#elif defined(__cplusplus)
#define @PREFIX@_ARENA_PLACE alignas(16)
#else
#define @PREFIX@_ARENA_PLACE _Alignas(16)
#endif

/* Defines a static arena. */
#define @PREFIX@_MODEL_ARENA(name, bytes) static @PREFIX@_ARENA_PLACE uint8_t name[bytes]

#ifdef __cplusplus
}
#endif

#endif
