/* SPDX-License-Identifier: Apache-2.0 */
/* The same bench on a PC: clock_gettime and the standard streams. */
#define _POSIX_C_SOURCE 200809L
#include "ecgexp/port.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define NS_PER_S 1000000000u

static uint64_t start_ns;

static uint64_t now_ns(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

ecgexp_status ecgexp_port_init(ecgexp_port_info *info) {
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        return ECGEXP_ERROR_PORT;
    }
    /* A hanging network must not swallow the lines before it. */
    (void)setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    info->timer = "clock_monotonic";
    info->ticks_hz = NS_PER_S;
    info->warmup_runs = 2;
    info->stack_low = NULL;
    info->stack_high = NULL;
    return ECGEXP_OK;
}

void ecgexp_port_timer_start(void) {
    start_ns = now_ns();
}

uint64_t ecgexp_port_timer_read(void) {
    return now_ns() - start_ns;
}

void ecgexp_port_putc(char c) {
    (void)putchar(c);
}

int32_t ecgexp_port_getc(void) {
    return getchar();
}

_Noreturn void ecgexp_port_halt(ecgexp_status status) {
    (void)fflush(stdout);
    exit(status == ECGEXP_OK ? EXIT_SUCCESS : EXIT_FAILURE);
}
