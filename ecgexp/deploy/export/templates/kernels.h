/* SPDX-License-Identifier: Apache-2.0 */
/* Private to @prefix@_model: the kernels, and what both source files need. */
#ifndef @PREFIX@_KERNELS_H
#define @PREFIX@_KERNELS_H

#include <float.h>
#include <stdint.h>

#if defined(__FAST_MATH__)
#error "@prefix@_model must round as IEEE 754 says: compile it without -ffast-math"
#endif
#if FLT_EVAL_METHOD == 1 || FLT_EVAL_METHOD == 2
#error "@prefix@_model needs float arithmetic in float, not in double: on x86 pass -msse2 -mfpmath=sse"
#endif
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "@prefix@_model keeps its weights in little-endian order"
#endif
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

#undef ECGEXP_CODE
#if !defined(@PREFIX@_CODE_SECTION) && defined(ECGEXP_CODE_SECTION)
#define @PREFIX@_CODE_SECTION ECGEXP_CODE_SECTION
#endif
#if defined(@PREFIX@_CODE_SECTION)
#define ECGEXP_CODE __attribute__((section(@PREFIX@_CODE_SECTION)))
#else
#define ECGEXP_CODE
#endif

@prototypes@

#endif
