/* SPDX-License-Identifier: Apache-2.0 */
/* The few registers the port needs, at their secure aliases. */
#ifndef ECGEXP_CORSTONE300_REGISTERS_H
#define ECGEXP_CORSTONE300_REGISTERS_H

#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))

/* CMSDK APB UART 0 */
#define UART_DATA           REGISTER(0x59303000u)
#define UART_STATE          REGISTER(0x59303004u)
#define UART_CTRL           REGISTER(0x59303008u)
#define UART_BAUDDIV        REGISTER(0x59303010u)
#define UART_STATE_TX_FULL  (1u << 0)
#define UART_STATE_RX_FULL  (1u << 1)
#define UART_CTRL_TX_ENABLE (1u << 0)
#define UART_CTRL_RX_ENABLE (1u << 1)

/* SSE-300 system counter: control frame and read frame */
#define COUNTER_CONTROL        REGISTER(0x58100000u)
#define COUNTER_LOW            REGISTER(0x58101000u)
#define COUNTER_HIGH           REGISTER(0x58101004u)
#define COUNTER_CONTROL_ENABLE (1u << 0)

/* Cortex-M55 debug and trace */
#define DWT_CTRL           REGISTER(0xE0001000u)
#define DWT_CYCCNT         REGISTER(0xE0001004u)
#define DWT_CTRL_CYCCNTENA (1u << 0)
#define DEMCR              REGISTER(0xE000EDFCu)
#define DEMCR_TRCENA       (1u << 24)

/* Cortex-M55 system control */
#define SCB_CCR              REGISTER(0xE000ED14u)
#define SCB_SHCSR            REGISTER(0xE000ED24u)
#define SCB_CFSR             REGISTER(0xE000ED28u)
#define SCB_HFSR             REGISTER(0xE000ED2Cu)
#define SCB_MMFAR            REGISTER(0xE000ED34u)
#define SCB_BFAR             REGISTER(0xE000ED38u)
#define SCB_CPACR            REGISTER(0xE000ED88u)
#define SCB_CCR_DIV_0_TRP    (1u << 4)
#define SCB_CCR_LOB          (1u << 19)
#define SCB_SHCSR_FAULTS     (0xFu << 16) /* memory, bus, usage, secure */
#define SCB_CPACR_FPU        (0xFu << 20)
#define SCB_CFSR_MMARVALID   (1u << 7)
#define SCB_CFSR_BFARVALID   (1u << 15)
#define SCB_CFSR_STKOF       (1u << 20)
#define SCB_CFSR_NOT_STACKED ((1u << 4) | (1u << 12) | SCB_CFSR_STKOF)

#endif
