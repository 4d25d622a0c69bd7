/* SPDX-License-Identifier: Apache-2.0 */
#include "ecgexp/bench.h"

#include "ecgexp/golden.h"
#include "ecgexp/protocol.h"
#include "ecgexp/region.h"
#include "model.h"
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define PPM         1000000.0f
#define GUARD_BYTES 16u
#define PAINT       0xA5u
/* Bytes below the painter's own frame that stay unpainted: the frame and a possible interrupt. */
#define PAINT_MARGIN_BYTES 256
#define PLACED             __attribute__((section(".ecgexp.arena"), aligned(16)))

/* Input and output lie beside the arena: a real device has them in RAM as well. */
static PLACED ecgexp_input_t input[ECGEXP_INPUT_ELEMENTS];
static PLACED ecgexp_output_t output[ECGEXP_OUTPUT_ELEMENTS];
static PLACED uint8_t arena[ECGEXP_ARENA_BYTES + GUARD_BYTES];

static __attribute__((noinline)) void paint_stack(uint8_t *low) {
    uint8_t *const here = __builtin_frame_address(0);
    for (volatile uint8_t *p = low; p < here - PAINT_MARGIN_BYTES; ++p) {
        *p = PAINT;
    }
}

static uint64_t stack_high_water(const ecgexp_port_info *info) {
    const uint8_t *p = info->stack_low;
    while (p < info->stack_high && *p == PAINT) {
        ++p;
    }
    return (uint64_t)(info->stack_high - p);
}

static __attribute__((noinline)) uint64_t measure_nothing(void) {
    ecgexp_port_timer_start();
    ECGEXP_REGION_BEGIN(ECGEXP_REGION_EMPTY);
    ECGEXP_REGION_END(ECGEXP_REGION_EMPTY);
    return ecgexp_port_timer_read();
}

static __attribute__((noinline)) uint64_t measure_inference(int32_t *status) {
    ecgexp_port_timer_start();
    ECGEXP_REGION_BEGIN(ECGEXP_REGION_INFERENCE);
    *status = ecgexp_model_run(input, output, arena);
    ECGEXP_REGION_END(ECGEXP_REGION_INFERENCE);
    return ecgexp_port_timer_read();
}

static uint32_t winner(void) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < ECGEXP_OUTPUT_ELEMENTS; ++i) {
        if (output[i] > output[best]) {
            best = i;
        }
    }
    return best;
}

static float real_output(uint32_t index) {
    return ECGEXP_OUTPUT_SCALE * ((float)output[index] - (float)ECGEXP_OUTPUT_ZERO_POINT);
}

/* Softmax probability of one class in parts per million; 0 for outputs that are no numbers. */
static uint32_t confidence_ppm(uint32_t index) {
    float probability = real_output(index);
    if (!ECGEXP_OUTPUT_IS_PROBABILITY) {
        float sum = 0.0f;
        for (uint32_t i = 0; i < ECGEXP_OUTPUT_ELEMENTS; ++i) {
            sum += expf(real_output(i) - real_output(index));
        }
        probability = 1.0f / sum;
    }
    if (!(probability > 0.0f)) {
        return 0;
    }
    return probability < 1.0f ? (uint32_t)(probability * PPM + 0.5f) : (uint32_t)PPM;
}

static bool guard_intact(void) {
    for (uint32_t i = 0; i < GUARD_BYTES; ++i) {
        if (arena[ECGEXP_ARENA_BYTES + i] != PAINT) {
            return false;
        }
    }
    return true;
}

static ecgexp_status run_window(uint32_t index, uint64_t *ticks) {
    int32_t failed = 0;
    memcpy(input, ecgexp_golden_inputs + (size_t)index * ECGEXP_INPUT_ELEMENTS, sizeof input);
    /* Painted, so that no inference can live on what another one left behind. */
    memset(arena, PAINT, sizeof arena);
    memset(output, PAINT, sizeof output);
    *ticks = measure_inference(&failed);
    if (failed != 0) {
        return ECGEXP_ERROR_MODEL;
    }
    return guard_intact() ? ECGEXP_OK : ECGEXP_ERROR_ARENA_OVERRUN;
}

static void report_start(const ecgexp_port_info *info) {
    ecgexp_record_begin("START");
    ecgexp_record_number("schema", ECGEXP_PROTOCOL_SCHEMA);
    ecgexp_record_text("model", ECGEXP_MODEL_NAME);
    ecgexp_record_number("windows", ecgexp_golden_windows);
    ecgexp_record_number("outputs", ECGEXP_OUTPUT_ELEMENTS);
    ecgexp_record_number("output_bytes", sizeof output);
    ecgexp_record_text("timer", info->timer);
    ecgexp_record_number("ticks_hz", info->ticks_hz);
    ecgexp_record_number("overhead_ticks", measure_nothing());
    ecgexp_record_end();
}

static void report_inference(uint32_t index, uint64_t ticks) {
    const uint32_t best = winner();
    ecgexp_record_begin("INFER");
    ecgexp_record_number("index", index);
    ecgexp_record_number("class", best);
    ecgexp_record_text("label", ecgexp_model_labels[best]);
    ecgexp_record_number("confidence_ppm", confidence_ppm(best));
    ecgexp_record_number("ticks", ticks);
    ecgexp_record_bytes("out", output, sizeof output);
    ecgexp_record_end();
}

ecgexp_status ecgexp_bench_run(const ecgexp_port_info *info) {
    uint64_t ticks = 0;
    ecgexp_status status = ECGEXP_OK;
    if (info->stack_low != NULL) {
        paint_stack(info->stack_low);
    }
    report_start(info);
    for (uint32_t run = 0; run < info->warmup_runs && status == ECGEXP_OK; ++run) {
        status = run_window(0, &ticks);
    }
    for (uint32_t index = 0; index < ecgexp_golden_windows && status == ECGEXP_OK; ++index) {
        status = run_window(index, &ticks);
        if (status == ECGEXP_OK) {
            report_inference(index, ticks);
        }
    }
    if (info->stack_low != NULL) {
        ecgexp_record_begin("STACK");
        ecgexp_record_number("bytes", stack_high_water(info));
        ecgexp_record_number("reserved", (uint64_t)(info->stack_high - info->stack_low));
        ecgexp_record_end();
    }
    return status;
}
