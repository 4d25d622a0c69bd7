/* SPDX-License-Identifier: Apache-2.0 */
/* Vector table, reset and semihosting: enough to run the golden test on an emulator or a debugger. */
#include "../port.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SYS_WRITE0 0x04u
#define SYS_EXIT_EXTENDED 0x20u
#define APPLICATION_EXIT 0x20026u
#define VECTORS 16

extern uint8_t test_stack_high[];
extern uint8_t test_data_start[];
extern uint8_t test_data_end[];
extern const uint8_t test_data_image[];
extern uint8_t test_bss_start[];
extern uint8_t test_bss_end[];

typedef void (*vector)(void);

int main(void);
_Noreturn void test_reset(void);
_Noreturn void test_start(void);
_Noreturn void test_fault(void);

__attribute__((section(".vectors"), used)) static const vector vectors[VECTORS] = {
    (vector)(uintptr_t)test_stack_high,
    test_reset,
    test_fault,
    test_fault,
    test_fault,
    test_fault,
    test_fault,
    test_fault,
    NULL,
    NULL,
    NULL,
    test_fault,
    test_fault,
    NULL,
    test_fault,
    test_fault,
};

static void semihost(uint32_t operation, const void *argument) {
  register uint32_t r0 __asm__("r0") = operation;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
}

static _Noreturn void end(uint32_t status) {
  const uint32_t block[2] = {APPLICATION_EXIT, status};
  semihost(SYS_EXIT_EXTENDED, block);
  for (;;) {
  }
}

void port_write(const char *text) {
  semihost(SYS_WRITE0, text);
}

_Noreturn void test_fault(void) {
  port_write("fault\n");
  end(2);
}

/* Coprocessor access, before C may touch a floating-point or vector register. */
__attribute__((naked)) _Noreturn void test_reset(void) {
  __asm__ volatile("ldr r0, =0xE000ED88\n"
                   "ldr r1, [r0]\n"
                   "ldr r2, =0x00F00000\n"
                   "orrs r1, r2\n"
                   "str r1, [r0]\n"
                   "dsb\n"
                   "isb\n"
                   "b test_start\n");
}

_Noreturn void test_start(void) {
  memcpy(test_data_start, test_data_image, (size_t)(test_data_end - test_data_start));
  memset(test_bss_start, 0, (size_t)(test_bss_end - test_bss_start));
  end((uint32_t)main());
}
