/* SPDX-License-Identifier: Apache-2.0 */
/* @name@: the operators, one function per operator and shape. */
#include "kernels.h"

@kernels@
