/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QEMU plugin: exact instruction counts, instruction mix and the cycle estimate of marked regions.
 * Arguments: regions=FILE, one JSON object per region that was left; profile=FILE, one per block.
 */
#include "classify.h"
#include "qemu_plugin_api.h"
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MARK_FIRST       0xF3AFu
#define MARK_BEGIN       0x8040u
#define MARK_END         0x8060u
#define MARK_RANGE       0x20u
#define REGION_INFERENCE 0u
#define BUCKETS          4096u

/* A straight run of instructions that QEMU translated and executes as a whole. */
typedef struct block {
    uint64_t runs;
    uint64_t runs_at_begin;
    uint64_t runs_in_inference;
    uint64_t address;
    uint64_t cycles;
    uint64_t count[KINDS];
    struct block *next;
} block;

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_API_VERSION;

/* Where straight-line code was cut without a branch: at the end of a page, or of a time slice. */
typedef struct cut {
    uint64_t address;
    ecgexp_kind before;
    struct cut *next;
} cut;

static block *blocks;
static cut *cuts[BUCKETS];
static FILE *regions;
static FILE *profile;

static void *allocate(size_t size) {
    void *memory = calloc(1, size);
    if (memory == NULL) {
        fputs("ecgexp plugin: out of memory\n", stderr);
        exit(EXIT_FAILURE);
    }
    return memory;
}

static cut *find_cut(uint64_t address) {
    cut *found = cuts[address / 2 % BUCKETS];
    while (found != NULL && found->address != address) {
        found = found->next;
    }
    return found;
}

static void remember_cut(uint64_t address, ecgexp_kind before) {
    cut *found = find_cut(address);
    if (found == NULL) {
        found = allocate(sizeof *found);
        found->address = address;
        found->next = cuts[address / 2 % BUCKETS];
        cuts[address / 2 % BUCKETS] = found;
    }
    found->before = before;
}

static block *new_block(uint64_t address) {
    block *created = allocate(sizeof *created);
    created->address = address;
    created->next = blocks;
    blocks = created;
    return created;
}

static void begin_region(unsigned int vcpu, void *userdata) {
    (void)vcpu;
    (void)userdata;
    for (block *b = blocks; b != NULL; b = b->next) {
        b->runs_at_begin = b->runs;
    }
}

static void end_region(unsigned int vcpu, void *userdata) {
    const uint64_t region = (uint64_t)(uintptr_t)userdata;
    uint64_t count[KINDS] = {0};
    uint64_t total = 0;
    uint64_t cycles = 0;
    (void)vcpu;
    for (block *b = blocks; b != NULL; b = b->next) {
        const uint64_t runs = b->runs - b->runs_at_begin;
        for (int kind = 0; kind < KINDS; ++kind) {
            count[kind] += runs * b->count[kind];
            total += runs * b->count[kind];
        }
        cycles += runs * b->cycles;
        if (region == REGION_INFERENCE) {
            b->runs_in_inference += runs;
        }
    }
    fprintf(regions,
            "{\"region\": %" PRIu64 ", \"instructions\": %" PRIu64 ", \"cycles_est\": %" PRIu64
            ", \"mix\": {",
            region, total, cycles);
    for (int kind = 0; kind < KINDS; ++kind) {
        fprintf(regions, "%s\"%s\": %" PRIu64, kind > 0 ? ", " : "", ecgexp_kind_names[kind],
                count[kind]);
    }
    fputs("}}\n", regions);
    (void)fflush(regions);
}

/* Counts one instruction into its block; returns its kind. */
static ecgexp_kind count_instruction(struct qemu_plugin_insn *insn, const uint16_t half[2],
                                     ecgexp_kind previous, block **current) {
    const ecgexp_kind kind = ecgexp_classify(half[0], half[1]);
    if (*current == NULL) {
        *current = new_block(qemu_plugin_insn_vaddr(insn));
        qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64,
                                                   &(*current)->runs, 1);
    }
    (*current)->count[kind] += 1;
    (*current)->cycles += ecgexp_cycles(kind, previous);
    return kind;
}

static void translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    const size_t instructions = qemu_plugin_tb_n_insns(tb);
    const cut *before = find_cut(qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, 0)));
    ecgexp_kind previous = before != NULL ? before->before : KIND_SCALAR;
    block *current = NULL;
    uint64_t next = 0;
    (void)id;
    for (size_t i = 0; i < instructions; ++i) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        uint16_t half[2] = {0, 0};
        /* Never the size QEMU gives: near the end of a page it is wrong. */
        memcpy(&half[0], qemu_plugin_insn_data(insn), sizeof half[0]);
        const bool wide = half[0] >= 0xE800u;
        if (wide) {
            memcpy(half, qemu_plugin_insn_data(insn), sizeof half);
        }
        next = qemu_plugin_insn_vaddr(insn) + (wide ? 4u : 2u);
        const bool begins = half[0] == MARK_FIRST && half[1] - MARK_BEGIN < MARK_RANGE;
        const bool ends = half[0] == MARK_FIRST && half[1] - MARK_END < MARK_RANGE;
        if (begins || ends) {
            const uintptr_t region = half[1] % MARK_RANGE;
            qemu_plugin_register_vcpu_insn_exec_cb(insn, begins ? begin_region : end_region,
                                                   QEMU_PLUGIN_CB_NO_REGS, (void *)region);
            current = NULL; /* what follows counts on its own; the mark itself does not count */
            previous = KIND_SCALAR;
        } else {
            previous = count_instruction(insn, half, previous, &current);
        }
    }
    if (previous != KIND_BRANCH && previous != KIND_LOOP_END) {
        remember_cut(next, previous);
    }
}

static void finish(qemu_plugin_id_t id, void *userdata) {
    (void)id;
    (void)userdata;
    for (const block *b = blocks; b != NULL && profile != NULL; b = b->next) {
        uint64_t length = 0;
        for (int kind = 0; kind < KINDS; ++kind) {
            length += b->count[kind];
        }
        if (b->runs_in_inference > 0) {
            fprintf(profile,
                    "{\"address\": %" PRIu64 ", \"instructions\": %" PRIu64
                    ", \"cycles_est\": %" PRIu64 "}\n",
                    b->address, b->runs_in_inference * length, b->runs_in_inference * b->cycles);
        }
    }
    if (profile != NULL) {
        (void)fclose(profile);
    }
    (void)fclose(regions);
}

static FILE *open_argument(const char *argument, const char *key) {
    const size_t length = strlen(key);
    return strncmp(argument, key, length) == 0 ? fopen(argument + length, "w") : NULL;
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc,
                                           char **argv) {
    (void)info;
    for (int i = 0; i < argc; ++i) {
        FILE *file = open_argument(argv[i], "regions=");
        regions = file != NULL ? file : regions;
        file = open_argument(argv[i], "profile=");
        profile = file != NULL ? file : profile;
    }
    if (regions == NULL) {
        fputs("ecgexp plugin: pass regions=FILE in a folder that can be written\n", stderr);
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
    qemu_plugin_register_atexit_cb(id, finish, NULL);
    return 0;
}
