/* SPDX-License-Identifier: Apache-2.0 */
/* Corstone SSE-300 as QEMU's mps3-an547 and Arm's FVP_Corstone_SSE-300 have it, secure state. */
#include "ecgexp/port.h"

#include "registers.h"
#include <stdbool.h>

#define COUNTER_HZ   32000000u
#define UART_DIVISOR 217u /* 25 MHz peripheral clock, 115200 baud */

#define SEMIHOSTING_EXIT_EXTENDED   0x20u
#define SEMIHOSTING_APPLICATION_END 0x20026u

extern uint8_t ecgexp_stack_low[];
extern uint8_t ecgexp_stack_high[];

static bool cycles_count;
static uint64_t start_ticks;

/* QEMU leaves CYCCNT at 0; the FVP and silicon count. */
static bool cycle_counter_works(void) {
    DEMCR |= DEMCR_TRCENA;
    DWT_CYCCNT = 0;
    DWT_CTRL |= DWT_CTRL_CYCCNTENA;
    const uint32_t before = DWT_CYCCNT;
    for (volatile uint32_t i = 0; i < 16u; ++i) {
    }
    return DWT_CYCCNT != before;
}

/* Without a loop, so that reading always costs the same: the half of the low word's range tells
 * which of the two high words belongs to it. */
static uint64_t counter(void) {
    const uint32_t before = COUNTER_HIGH;
    const uint32_t low = COUNTER_LOW;
    const uint32_t after = COUNTER_HIGH;
    const uint32_t high = (low & 0x80000000u) != 0u ? before : after;
    return ((uint64_t)high << 32) | low;
}

static uint64_t now(void) {
    return cycles_count ? DWT_CYCCNT : counter();
}

ecgexp_status ecgexp_port_init(ecgexp_port_info *info) {
    UART_BAUDDIV = UART_DIVISOR;
    UART_CTRL = UART_CTRL_TX_ENABLE | UART_CTRL_RX_ENABLE;
    COUNTER_CONTROL = COUNTER_CONTROL_ENABLE;
    cycles_count = cycle_counter_works();
    info->timer = cycles_count ? "cyccnt" : "system_counter";
    info->ticks_hz = cycles_count ? 0u : COUNTER_HZ;
    info->warmup_runs = 0;
    info->stack_low = ecgexp_stack_low;
    info->stack_high = ecgexp_stack_high;
    const uint64_t before = now();
    for (volatile uint32_t i = 0; i < 16u; ++i) {
    }
    return now() != before ? ECGEXP_OK : ECGEXP_ERROR_PORT;
}

void ecgexp_port_timer_start(void) {
    start_ticks = now();
}

uint64_t ecgexp_port_timer_read(void) {
    const uint64_t ticks = now() - start_ticks;
    return cycles_count ? (uint32_t)ticks : ticks;
}

void ecgexp_port_putc(char c) {
    while ((UART_STATE & UART_STATE_TX_FULL) != 0u) {
    }
    UART_DATA = (uint8_t)c;
}

int32_t ecgexp_port_getc(void) {
    while ((UART_STATE & UART_STATE_RX_FULL) == 0u) {
    }
    return (int32_t)(UART_DATA & 0xFFu);
}

/* The FVP stops at the tag on its UART; where that means nothing, semihosting ends the emulator. */
_Noreturn void ecgexp_port_halt(ecgexp_status status) {
    for (const char *tag = "EXITTHESIM\n"; *tag != '\0'; ++tag) {
        ecgexp_port_putc(*tag);
    }
    const uint32_t block[2] = {SEMIHOSTING_APPLICATION_END, (uint32_t)status};
    register uint32_t operation __asm__("r0") = SEMIHOSTING_EXIT_EXTENDED;
    register const uint32_t *argument __asm__("r1") = block;
    __asm__ volatile("bkpt 0xAB" ::"r"(operation), "r"(argument) : "memory");
    for (;;) {
        __asm__ volatile("wfi");
    }
}
