/* SPDX-License-Identifier: Apache-2.0 */
/* Sorts Thumb instructions of a Cortex-M55 into the kinds that the cycle estimate tells apart. */
#ifndef ECGEXP_CLASSIFY_H
#define ECGEXP_CLASSIFY_H

#include <stdint.h>

typedef enum {
    KIND_SCALAR,
    KIND_BRANCH,
    KIND_LOOP_END,   /* le, letp: free on a core with low-overhead branches */
    KIND_LOAD_STORE, /* scalar registers */
    KIND_FP,         /* scalar floating point, its loads and moves included */
    KIND_MVE_LOAD_STORE,
    KIND_MVE_MAC, /* everything that multiplies 128-bit vectors */
    KIND_MVE_OTHER,
    KINDS
} ecgexp_kind;

extern const char *const ecgexp_kind_names[KINDS];

/* The second halfword is ignored where the first one makes a 16-bit instruction. */
ecgexp_kind ecgexp_classify(uint16_t first, uint16_t second);

/* Cycles of one instruction after another one of the same block; KIND_SCALAR where there is none.
 */
uint32_t ecgexp_cycles(ecgexp_kind kind, ecgexp_kind previous);

#endif
