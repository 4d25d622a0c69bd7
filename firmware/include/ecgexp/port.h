/* SPDX-License-Identifier: Apache-2.0 */
/* The six functions that a target port implements; nothing else depends on hardware. */
#ifndef ECGEXP_PORT_H
#define ECGEXP_PORT_H

#include "ecgexp/status.h"
#include <stdint.h>

/* What the port tells the bench about itself. */
typedef struct {
    const char *timer;    /* name of the tick source, for the START record */
    uint64_t ticks_hz;    /* ticks per second of that source; 0: core cycles */
    uint32_t warmup_runs; /* unmeasured inferences, where caches or clocks need them */
    uint8_t *stack_low;   /* lowest byte of the stack, or NULL where it cannot be painted */
    uint8_t *stack_high;  /* first byte above the stack */
} ecgexp_port_info;

ecgexp_status ecgexp_port_init(ecgexp_port_info *info);

/* Mark the start of a measurement. */
void ecgexp_port_timer_start(void);

/* Ticks since the last start. */
uint64_t ecgexp_port_timer_read(void);

void ecgexp_port_putc(char c);

/* The next received character; blocks until there is one, -1 at the end of the input. */
int32_t ecgexp_port_getc(void);

/* Flush the output and stop; the argument becomes the exit code where there is such a thing. */
_Noreturn void ecgexp_port_halt(ecgexp_status status);

#endif
