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

/* A straight run of instructions that always executes as a whole. */
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

static block *blocks;
static FILE *regions;
static FILE *profile;

static block *new_block(uint64_t address) {
    block *created = calloc(1, sizeof *created);
    if (created == NULL) {
        fputs("ecgexp plugin: out of memory\n", stderr);
        exit(EXIT_FAILURE);
    }
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

static void translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    const size_t instructions = qemu_plugin_tb_n_insns(tb);
    block *current = NULL;
    ecgexp_kind previous = KIND_SCALAR;
    (void)id;
    for (size_t i = 0; i < instructions; ++i) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        uint16_t half[2] = {0, 0};
        /* Never the size QEMU gives: near the end of a page it is wrong. */
        memcpy(&half[0], qemu_plugin_insn_data(insn), sizeof half[0]);
        if (half[0] >= 0xE800u) {
            memcpy(half, qemu_plugin_insn_data(insn), sizeof half);
        }
        const bool begins = half[0] == MARK_FIRST && half[1] - MARK_BEGIN < MARK_RANGE;
        const bool ends = half[0] == MARK_FIRST && half[1] - MARK_END < MARK_RANGE;
        if (begins || ends) {
            const uintptr_t region = half[1] % MARK_RANGE;
            qemu_plugin_register_vcpu_insn_exec_cb(insn, begins ? begin_region : end_region,
                                                   QEMU_PLUGIN_CB_NO_REGS, (void *)region);
            current = NULL; /* what follows counts on its own; the mark itself does not count */
            previous = KIND_SCALAR;
            continue;
        }
        if (current == NULL) {
            current = new_block(qemu_plugin_insn_vaddr(insn));
            qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64,
                                                       &current->runs, 1);
        }
        const ecgexp_kind kind = ecgexp_classify(half[0], half[1]);
        current->count[kind] += 1;
        current->cycles += ecgexp_cycles(kind, previous);
        previous = kind;
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
