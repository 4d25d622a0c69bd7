/* SPDX-License-Identifier: Apache-2.0 */
/* Marks around measured code: unallocated NOP hints that the emulator's plugin looks for. */
#ifndef ECGEXP_REGION_H
#define ECGEXP_REGION_H

#define ECGEXP_REGION_INFERENCE 0
#define ECGEXP_REGION_EMPTY     1

#ifdef __arm__
#define ECGEXP_REGION_BEGIN(id) __asm__ volatile(".inst.w 0xF3AF8040 + %c0" ::"i"(id) : "memory")
#define ECGEXP_REGION_END(id)   __asm__ volatile(".inst.w 0xF3AF8060 + %c0" ::"i"(id) : "memory")
#else
#define ECGEXP_REGION_BEGIN(id) __asm__ volatile("" ::"i"(id) : "memory")
#define ECGEXP_REGION_END(id)   __asm__ volatile("" ::"i"(id) : "memory")
#endif

#endif
