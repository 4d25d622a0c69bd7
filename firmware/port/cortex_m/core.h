/* SPDX-License-Identifier: Apache-2.0 */
/* What every Cortex-M has at the same address. */
#ifndef ECGEXP_CORE_H
#define ECGEXP_CORE_H

#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))

/* Debug and trace */
#define DWT_CTRL           REGISTER(0xE0001000u)
#define DWT_CYCCNT         REGISTER(0xE0001004u)
#define DWT_CTRL_CYCCNTENA (1u << 0)
#define DEMCR              REGISTER(0xE000EDFCu)
#define DEMCR_TRCENA       (1u << 24)

/* System control */
#define SCB_CCR              REGISTER(0xE000ED14u)
#define SCB_SHCSR            REGISTER(0xE000ED24u)
#define SCB_CFSR             REGISTER(0xE000ED28u)
#define SCB_HFSR             REGISTER(0xE000ED2Cu)
#define SCB_MMFAR            REGISTER(0xE000ED34u)
#define SCB_BFAR             REGISTER(0xE000ED38u)
#define SCB_CCR_DIV_0_TRP    (1u << 4)
#define SCB_CCR_LOB          (1u << 19)   /* low-overhead loops, Armv8.1-M */
#define SCB_SHCSR_FAULTS     (0xFu << 16) /* memory, bus, usage, secure */
#define SCB_CFSR_STACKING    (1u << 4)    /* memory fault while a frame was pushed */
#define SCB_CFSR_MMARVALID   (1u << 7)
#define SCB_CFSR_BFARVALID   (1u << 15)
#define SCB_CFSR_STKOF       (1u << 20) /* stack limit, Armv8-M */
#define SCB_CFSR_NOT_STACKED (SCB_CFSR_STACKING | (1u << 12) | SCB_CFSR_STKOF)

/* Armv8-M has a register for the lowest stack address, Armv7-M gets a forbidden strip there. */
#if __ARM_ARCH >= 8
#define STACK_GUARD_BYTES 0u
#else
#define STACK_GUARD_BYTES 1024u
#endif

/* Memory protection, Armv7-M registers */
#define MPU_CTRL            REGISTER(0xE000ED94u)
#define MPU_RBAR            REGISTER(0xE000ED9Cu)
#define MPU_RASR            REGISTER(0xE000EDA0u)
#define MPU_CTRL_DEFAULT    ((1u << 0) | (1u << 2)) /* on; elsewhere the default map */
#define MPU_RBAR_REGION_0   (1u << 4)
#define MPU_RASR_1024_BYTES ((9u << 1) | (1u << 0)) /* no access by anyone */

#endif
