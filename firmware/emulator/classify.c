/* SPDX-License-Identifier: Apache-2.0 */
#include "classify.h"

#include <stdbool.h>

const char *const ecgexp_kind_names[KINDS] = {
    "scalar", "branch", "loop_end", "load_store", "fp", "mve_load_store", "mve_mac", "mve_other",
};

static uint32_t bits(uint32_t word, uint32_t high, uint32_t low) {
    return (word >> low) & ((1u << (high - low + 1u)) - 1u);
}

static ecgexp_kind classify_narrow(uint16_t op) {
    if (bits(op, 15, 12) == 0xDu && bits(op, 11, 9) != 7u) {
        return KIND_BRANCH; /* b<cond> */
    }
    if (bits(op, 15, 11) == 0x1Cu || bits(op, 15, 8) == 0x47u || (op & 0xF500u) == 0xB100u) {
        return KIND_BRANCH; /* b, bx and blx, cbz and cbnz */
    }
    if (bits(op, 15, 11) == 0x09u || (op >= 0x5000u && op <= 0x9FFFu) || bits(op, 15, 12) == 0xCu) {
        return KIND_LOAD_STORE; /* literal, register and immediate offsets, multiple */
    }
    return (op & 0xF600u) == 0xB400u ? KIND_LOAD_STORE : KIND_SCALAR; /* push, pop */
}

/* 0xF0xx with the top bit of the second halfword set: branches, loops and system instructions. */
static ecgexp_kind classify_control(uint16_t first, uint16_t second) {
    if (second == 0xE001u || (second & 0xF801u) == 0xE801u) {
        return KIND_SCALAR; /* dls, dlstp, lctp, vctp */
    }
    if ((second & 0xF001u) == 0xC001u && bits(first, 11, 7) == 0u) {
        return bits(first, 3, 0) == 0xFu ? KIND_LOOP_END : KIND_BRANCH; /* le, letp; wls, wlstp */
    }
    if (bits(second, 14, 14) == 1u || bits(second, 12, 12) == 1u) {
        return KIND_BRANCH; /* bl, b.w */
    }
    return bits(first, 9, 7) == 7u ? KIND_SCALAR : KIND_BRANCH; /* hints, msr; b<cond>.w */
}

/* 0xECxx 0xEDxx 0xFCxx 0xFDxx: loads and stores, moves of register pairs, complex arithmetic. */
static ecgexp_kind classify_transfer(uint16_t first, uint16_t second) {
    const uint32_t unit = bits(second, 11, 8);
    if (unit == 0x8u) {
        return bits(first, 5, 5) == 1u ? KIND_MVE_MAC : KIND_MVE_OTHER; /* vcmla; vcadd */
    }
    if (unit >= 0xEu) {
        const bool pair_move = (first & 0xFFA0u) == 0xEC00u;
        return pair_move ? KIND_FP : KIND_MVE_LOAD_STORE;
    }
    return KIND_FP;
}

/* 0xEExx 0xFExx, units 14 and 15: reductions, long, narrowing and by-scalar vector instructions. */
static bool multiplies_long(uint16_t first, uint16_t second) {
    const bool fifteen = bits(second, 8, 8) == 1u;
    const bool by_scalar = bits(second, 6, 6) == 1u;
    const bool odd = bits(first, 0, 0) == 1u;
    const bool last = bits(second, 0, 0) == 1u;
    const bool size3 = bits(first, 5, 4) == 3u;
    if (bits(first, 7, 7) == 1u) { /* reductions into general registers, shifts by immediates */
        if (by_scalar) {
            return false;
        }
        if (!fifteen) {
            return true; /* vmladav, vmlaldav, vmlsdav, vmlsldav of 16 and 32 bits */
        }
        const bool extremum = bits(first, 6, 4) == 6u; /* vmaxv, vminv and the like */
        return !odd && !extremum && !last;             /* not vaddv, not vabav */
    }
    if (by_scalar) {
        if (fifteen) {
            return size3 && !odd && bits(second, 5, 5) == 1u; /* vqdmull */
        }
        const bool third = bits(second, 12, 12) == 1u && bits(second, 5, 5) == 1u;
        const bool shift = third && size3;
        const bool reverse = third && odd && bits(first, 12, 12) == 1u; /* vbrsr */
        return !shift && !reverse;
    }
    if (fifteen) {
        return size3 && !odd && last; /* vqdmull */
    }
    return !size3 || !odd || !last; /* all but the vmovn, vqmovn, vcvtb family */
}

/* 0xEFxx 0xFFxx: three vector registers, or a vector and an immediate. */
static bool multiplies_lanes(uint16_t first, uint16_t second) {
    const uint32_t operation = bits(second, 11, 8);
    const bool fourth = bits(second, 4, 4) == 1u;
    if (bits(first, 7, 7) == 1u) {
        return false;
    }
    return (operation == 0x9u && fourth) ||                            /* vmul */
           (operation == 0xBu && !fourth) ||                           /* vqdmulh, vqrdmulh */
           (operation == 0xCu && fourth) ||                            /* vfma, vfms */
           (operation == 0xDu && fourth && bits(first, 12, 12) == 1u); /* vmul.f */
}

static ecgexp_kind classify_processing(uint16_t first, uint16_t second) {
    if (bits(first, 8, 8) == 1u) {
        return multiplies_lanes(first, second) ? KIND_MVE_MAC : KIND_MVE_OTHER;
    }
    if (bits(second, 11, 8) < 0xEu) {
        const bool duplicate = (first & 0xFF90u) == 0xEE80u && (second & 0x0F50u) == 0x0B10u;
        return duplicate ? KIND_MVE_OTHER : KIND_FP;
    }
    if ((first & 0xFFBFu) == 0xFE31u && (second & 0x1FFFu) == 0x0F4Du) {
        return KIND_SCALAR; /* vpst, vpnot: no vector data */
    }
    return multiplies_long(first, second) ? KIND_MVE_MAC : KIND_MVE_OTHER;
}

ecgexp_kind ecgexp_classify(uint16_t first, uint16_t second) {
    if (bits(first, 15, 11) < 0x1Du) {
        return classify_narrow(first);
    }
    if (bits(first, 15, 13) == 7u && bits(first, 11, 10) == 3u) {
        return bits(first, 9, 9) == 0u ? classify_transfer(first, second)
                                       : classify_processing(first, second);
    }
    if (bits(first, 15, 11) == 0x1Eu && bits(second, 15, 15) == 1u) {
        return classify_control(first, second);
    }
    if ((first & 0xFFF0u) == 0xE8D0u && (second & 0xFFE0u) == 0xF000u) {
        return KIND_BRANCH; /* tbb, tbh */
    }
    const uint32_t group = bits(first, 15, 9);
    return group == 0x74u || group == 0x7Cu ? KIND_LOAD_STORE : KIND_SCALAR;
}

static bool is_vector(ecgexp_kind kind) {
    return kind == KIND_MVE_LOAD_STORE || kind == KIND_MVE_MAC || kind == KIND_MVE_OTHER;
}

uint32_t ecgexp_cycles(ecgexp_kind kind, ecgexp_kind previous) {
    if (kind == KIND_LOOP_END) {
        return 0;
    }
    if (!is_vector(kind)) {
        return 1;
    }
    return is_vector(previous) && previous != kind ? 1 : 2;
}
