/* Smallest start-up that runs kernels on mps3-an547 or mps2-an505 and prints what they wrote. */
#include <stdint.h>

extern uint8_t _stack_top[];
extern void trials(void);
void reset(void);
void fault(void);

__attribute__((section(".vectors"), used)) static void *const vectors[16] = {
    _stack_top, (void *)reset, (void *)fault, (void *)fault,
    (void *)fault, (void *)fault, (void *)fault, (void *)fault,
    (void *)fault, (void *)fault, (void *)fault, (void *)fault,
    (void *)fault, (void *)fault, (void *)fault, (void *)fault};

#define CPACR (*(volatile uint32_t *)0xE000ED88u)
#ifdef __ARM_FEATURE_MVE
#define COUNTER_CONTROL (*(volatile uint32_t *)0x58100000u)
#define COUNTER_LOW (*(volatile uint32_t *)0x58101000u)
#else
/* mps2-an505 counts nothing as fine. */
static volatile uint32_t COUNTER_CONTROL, COUNTER_LOW;
#endif

static int semihost(int operation, const void *argument) {
  register int r0 __asm__("r0") = operation;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

static void print(const char *text) { (void)semihost(4, text); }

static void print_unsigned(uint32_t value) {
  char digits[12];
  int at = 11;
  digits[at] = 0;
  do {
    digits[--at] = (char)('0' + value % 10u);
    value /= 10u;
  } while (value != 0u);
  print(&digits[at]);
}

static void finish(uint32_t code) {
  const uint32_t block[2] = {0x20026u, code};
  (void)semihost(0x20, block);
  for (;;) {
  }
}

void fault_report(const uint32_t *frame) {
  print("\nfault status ");
  print_unsigned(*(volatile uint32_t *)0xE000ED28u);
  print(" address ");
  print_unsigned(*(volatile uint32_t *)0xE000ED38u);
  print(" pc ");
  print_unsigned(frame[6]);
  print("\n");
  finish(2u);
}

__attribute__((naked)) void fault(void) {
  __asm__ volatile("mrs r0, msp\n b fault_report");
}

_Alignas(16) static uint8_t output[0x100000] __attribute__((section(".bulk")));

void trial_run(int index, void (*call)(uint8_t *), unsigned size) {
  static char line[129];
  for (unsigned i = 0; i < size; i++) output[i] = 0x5A;
  const uint32_t start = COUNTER_LOW;
  call(output);
  const uint32_t ticks = COUNTER_LOW - start;
  print("trial ");
  print_unsigned((uint32_t)index);
  print(" ticks ");
  print_unsigned(ticks);
  print(" out ");
  unsigned used = 0;
  for (unsigned i = 0; i < size; i++) {
    line[used++] = "0123456789abcdef"[output[i] >> 4];
    line[used++] = "0123456789abcdef"[output[i] & 15];
    if (used == 128u || i + 1u == size) {
      line[used] = 0;
      print(line);
      used = 0;
    }
  }
  print("\n");
}

void reset(void) {
  CPACR |= 0xFu << 20;
  __asm__ volatile("dsb\nisb");
  COUNTER_CONTROL = 1;
  trials();
  finish(0u);
}
