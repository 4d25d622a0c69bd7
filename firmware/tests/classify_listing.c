/* SPDX-License-Identifier: Apache-2.0 */
/* Reads pairs of halfwords in hexadecimal and prints kind and cycles of each, as one block. */
#include "classify.h"
#include <stdio.h>

int main(void) {
    unsigned first = 0;
    unsigned second = 0;
    ecgexp_kind previous = KIND_SCALAR;
    while (scanf("%x %x", &first, &second) == 2) {
        const ecgexp_kind kind = ecgexp_classify((uint16_t)first, (uint16_t)second);
        printf("%s %u\n", ecgexp_kind_names[kind], (unsigned)ecgexp_cycles(kind, previous));
        previous = kind;
    }
    return 0;
}
