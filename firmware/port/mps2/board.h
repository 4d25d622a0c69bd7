/* SPDX-License-Identifier: Apache-2.0 */
/* Arm's MPS2 board with the FPGA images AN386 (Cortex-M4), AN500 (M7) and AN505 (M33). */
#ifndef ECGEXP_BOARD_H
#define ECGEXP_BOARD_H

#include "core.h"

/* AN505 puts the peripherals behind the IoT kit; secure aliases. */
#ifdef __ARM_ARCH_8M_MAIN__
#define BOARD_UART     0x50200000u
#define BOARD_FPGAIO   0x50302000u
#define BOARD_CLOCK_HZ 20000000u
#else
#define BOARD_UART     0x40004000u
#define BOARD_FPGAIO   0x40028000u
#define BOARD_CLOCK_HZ 25000000u
#endif
#define BOARD_UART_DIVISOR (BOARD_CLOCK_HZ / 115200u)

/* The board's free-running counter has 32 bits: at a quarter of the clock it lasts for 600 million
 * instructions of QEMU's -icount shift=10 and still moves several times per instruction. */
#define COUNTER_DIVIDER    4u
#define BOARD_COUNTER_NAME "fpga_counter"
#define BOARD_COUNTER_HZ   (BOARD_CLOCK_HZ / COUNTER_DIVIDER)
#define BOARD_COUNTER_BITS 32
#define COUNTER            REGISTER(BOARD_FPGAIO + 0x18u)
#define COUNTER_PRESCALE   REGISTER(BOARD_FPGAIO + 0x1Cu)

static inline void board_counter_start(void) {
    COUNTER_PRESCALE = COUNTER_DIVIDER - 1u;
}

static inline uint64_t board_counter(void) {
    return COUNTER;
}

#endif
