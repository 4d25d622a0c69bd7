/* SPDX-License-Identifier: Apache-2.0 */
/* The golden inputs as they lie in the file: compiling them as C would take longer than the rest.
   Their number stands beside them, so that the code does not depend on it. */
    .section .ecgexp.golden, "a", %progbits
    .balign 16
    .global ecgexp_golden_windows
ecgexp_golden_windows:
    .4byte ECGEXP_GOLDEN_WINDOWS
    .balign 16
    .global ecgexp_golden_inputs
ecgexp_golden_inputs:
    .incbin "golden.bin"
    .balign 16
    .section .note.GNU-stack, "", %progbits
