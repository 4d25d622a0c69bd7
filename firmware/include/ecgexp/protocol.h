/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The report that leaves the device: one record per line, `KIND key=value key=value`.
 * A value of letters, digits and _ . : + / - stands bare; any other is quoted, with \" \\ and \xHH.
 */
#ifndef ECGEXP_PROTOCOL_H
#define ECGEXP_PROTOCOL_H

#include <stddef.h>
#include <stdint.h>

#define ECGEXP_PROTOCOL_SCHEMA 1

void ecgexp_record_begin(const char *kind);
void ecgexp_record_text(const char *key, const char *value);
void ecgexp_record_number(const char *key, uint64_t value);
void ecgexp_record_address(const char *key, uint32_t value);
void ecgexp_record_bytes(const char *key, const void *bytes, size_t count);
void ecgexp_record_end(void);

#endif
