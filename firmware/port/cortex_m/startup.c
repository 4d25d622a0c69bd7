/* SPDX-License-Identifier: Apache-2.0 */
/* Vector table, reset and the handler of all faults. */
#include "core.h"
#include "ecgexp/port.h"
#include "ecgexp/protocol.h"
#include <stddef.h>
#include <string.h>

#define VECTORS 16

typedef void (*vector)(void);

extern uint8_t ecgexp_stack_low[];
extern uint8_t ecgexp_stack_high[];
extern uint8_t ecgexp_data_start[];
extern uint8_t ecgexp_data_end[];
extern const uint8_t ecgexp_data_image[];
extern uint8_t ecgexp_bss_start[];
extern uint8_t ecgexp_bss_end[];

int main(void);
int *__errno(void);
_Noreturn void ecgexp_reset(void);
_Noreturn void ecgexp_start(void);
void ecgexp_fault_entry(void);
_Noreturn void ecgexp_fault(uint32_t pc, uint32_t lr, uint32_t exception);

__attribute__((section(".vectors"), used)) static const vector vectors[VECTORS] = {
    (vector)(uintptr_t)ecgexp_stack_high,
    ecgexp_reset,
    ecgexp_fault_entry, /* NMI */
    ecgexp_fault_entry, /* HardFault */
    ecgexp_fault_entry, /* MemManage */
    ecgexp_fault_entry, /* BusFault */
    ecgexp_fault_entry, /* UsageFault */
    ecgexp_fault_entry, /* SecureFault */
    NULL,
    NULL,
    NULL,
    ecgexp_fault_entry, /* SVCall */
    ecgexp_fault_entry, /* DebugMonitor */
    NULL,
    ecgexp_fault_entry, /* PendSV */
    ecgexp_fault_entry, /* SysTick */
};

/* The C library's own brings a kilobyte of state for every thread there might be. */
int *__errno(void) {
    static int error;
    return &error;
}

#if __ARM_ARCH >= 8
#define SET_STACK_LIMIT "ldr r0, =ecgexp_stack_low\n msr msplim, r0\n"
#define STACK_OVERFLOWS SCB_CFSR_STKOF
#define CCR_EXTRA       SCB_CCR_LOB
static void guard_stack(void) {
}
#else
#define SET_STACK_LIMIT ""
#define STACK_OVERFLOWS SCB_CFSR_STACKING
#define CCR_EXTRA       0u
static void guard_stack(void) {
    MPU_RBAR = (uint32_t)(uintptr_t)ecgexp_stack_low | MPU_RBAR_REGION_0;
    MPU_RASR = MPU_RASR_1024_BYTES;
    MPU_CTRL = MPU_CTRL_DEFAULT;
}
#endif

/* Before C may touch a floating-point or vector register: coprocessor access. */
__attribute__((naked)) _Noreturn void ecgexp_reset(void) {
    __asm__ volatile("ldr r0, =ecgexp_stack_high\n"
                     "msr msp, r0\n" SET_STACK_LIMIT "ldr r0, =0xE000ED88\n"
                     "ldr r1, [r0]\n"
                     "orr r1, r1, #(0xF << 20)\n"
                     "str r1, [r0]\n"
                     "dsb\n"
                     "isb\n"
                     "b ecgexp_start\n");
}

_Noreturn void ecgexp_start(void) {
    memcpy(ecgexp_data_start, ecgexp_data_image, (size_t)(ecgexp_data_end - ecgexp_data_start));
    memset(ecgexp_bss_start, 0, (size_t)(ecgexp_bss_end - ecgexp_bss_start));
    SCB_SHCSR |= SCB_SHCSR_FAULTS;
    SCB_CCR |= SCB_CCR_DIV_0_TRP | CCR_EXTRA;
    guard_stack();
    __asm__ volatile("dsb\nisb" ::: "memory");
    (void)main();
    ecgexp_port_halt(ECGEXP_ERROR_PORT);
}

/* Takes pc and lr out of the stacked frame, then starts over at the top of the stack: whatever
 * was there is lost anyway, and an overflowing stack must not keep the report from getting out. */
__attribute__((naked)) void ecgexp_fault_entry(void) {
    __asm__ volatile("mrs r3, msp\n"
                     "ldr r0, [r3, #24]\n"
                     "ldr r1, [r3, #20]\n"
                     "mrs r2, ipsr\n"
                     "ldr r3, =ecgexp_stack_high\n"
                     "msr msp, r3\n"
                     "b ecgexp_fault\n");
}

static const char *fault_name(uint32_t exception, uint32_t cfsr) {
    if ((cfsr & STACK_OVERFLOWS) != 0u) {
        return "stack_overflow";
    }
    switch (exception) {
    case 3:
        return "hard";
    case 4:
        return "memory";
    case 5:
        return "bus";
    case 6:
        return "usage";
    case 7:
        return "secure";
    default:
        return "unexpected";
    }
}

_Noreturn void ecgexp_fault(uint32_t pc, uint32_t lr, uint32_t exception) {
    const uint32_t cfsr = SCB_CFSR;
    const int stacked = (cfsr & SCB_CFSR_NOT_STACKED) == 0u;
    /* A record may have been cut in the middle of its line. */
    ecgexp_port_putc('\n');
    ecgexp_record_begin("FAULT");
    ecgexp_record_text("kind", fault_name(exception, cfsr));
    ecgexp_record_number("exception", exception);
    ecgexp_record_address("pc", stacked ? pc : 0u);
    ecgexp_record_address("lr", stacked ? lr : 0u);
    ecgexp_record_address("cfsr", cfsr);
    ecgexp_record_address("hfsr", SCB_HFSR);
    if ((cfsr & SCB_CFSR_MMARVALID) != 0u) {
        ecgexp_record_address("address", SCB_MMFAR);
    } else if ((cfsr & SCB_CFSR_BFARVALID) != 0u) {
        ecgexp_record_address("address", SCB_BFAR);
    }
    ecgexp_record_end();
    ecgexp_record_begin("END");
    ecgexp_record_text("status", ecgexp_status_name(ECGEXP_ERROR_FAULT));
    ecgexp_record_end();
    ecgexp_port_halt(ECGEXP_ERROR_FAULT);
}
