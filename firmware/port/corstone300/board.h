/* SPDX-License-Identifier: Apache-2.0 */
/* Corstone SSE-300 as QEMU's mps3-an547 and Arm's FVP_Corstone_SSE-300 have it, secure aliases. */
#ifndef ECGEXP_BOARD_H
#define ECGEXP_BOARD_H

#include "core.h"

#define BOARD_UART         0x59303000u
#define BOARD_UART_DIVISOR 217u /* 25 MHz peripheral clock, 115200 baud */

/* SSE-300 system counter: control frame and read frame */
#define BOARD_COUNTER_NAME "system_counter"
#define BOARD_COUNTER_HZ   32000000u
#define BOARD_COUNTER_BITS 64
#define COUNTER_CONTROL    REGISTER(0x58100000u)
#define COUNTER_LOW        REGISTER(0x58101000u)
#define COUNTER_HIGH       REGISTER(0x58101004u)

static inline void board_counter_start(void) {
    COUNTER_CONTROL = 1u;
}

/* Without a loop, so that reading always costs the same: the half of the low word's range tells
 * which of the two high words belongs to it. */
static inline uint64_t board_counter(void) {
    const uint32_t before = COUNTER_HIGH;
    const uint32_t low = COUNTER_LOW;
    const uint32_t after = COUNTER_HIGH;
    const uint32_t high = (low & 0x80000000u) != 0u ? before : after;
    return ((uint64_t)high << 32) | low;
}

#endif
