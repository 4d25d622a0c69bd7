/* SPDX-License-Identifier: Apache-2.0 */
/* The six functions for Arm's boards: CMSDK UART, a free-running counter or the core's own. */
#include "ecgexp/port.h"

#include "board.h"
#include "core.h"
#include <stdbool.h>

/* CMSDK APB UART */
#define UART_DATA           REGISTER(BOARD_UART + 0x00u)
#define UART_STATE          REGISTER(BOARD_UART + 0x04u)
#define UART_CTRL           REGISTER(BOARD_UART + 0x08u)
#define UART_BAUDDIV        REGISTER(BOARD_UART + 0x10u)
#define UART_STATE_TX_FULL  (1u << 0)
#define UART_STATE_RX_FULL  (1u << 1)
#define UART_CTRL_TX_ENABLE (1u << 0)
#define UART_CTRL_RX_ENABLE (1u << 1)

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

static uint64_t now(void) {
    return cycles_count ? DWT_CYCCNT : board_counter();
}

ecgexp_status ecgexp_port_init(ecgexp_port_info *info) {
    UART_BAUDDIV = BOARD_UART_DIVISOR;
    UART_CTRL = UART_CTRL_TX_ENABLE | UART_CTRL_RX_ENABLE;
    board_counter_start();
    cycles_count = cycle_counter_works();
    info->timer = cycles_count ? "cyccnt" : BOARD_COUNTER_NAME;
    info->ticks_hz = cycles_count ? 0u : BOARD_COUNTER_HZ;
    info->warmup_runs = 0;
    info->stack_low = ecgexp_stack_low + STACK_GUARD_BYTES;
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
    const bool wraps_at_32_bits = cycles_count || BOARD_COUNTER_BITS == 32;
    return wraps_at_32_bits ? (uint32_t)ticks : ticks;
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
