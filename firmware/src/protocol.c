/* SPDX-License-Identifier: Apache-2.0 */
#include "ecgexp/protocol.h"

#include "ecgexp/port.h"
#include <stdbool.h>

#define U64_MAX_DIGITS 20

static void put_text(const char *text) {
    while (*text != '\0') {
        ecgexp_port_putc(*text++);
    }
}

static void put_byte(uint8_t value) {
    static const char digits[] = "0123456789abcdef";
    ecgexp_port_putc(digits[value >> 4]);
    ecgexp_port_putc(digits[value & 0x0Fu]);
}

static void put_key(const char *key) {
    ecgexp_port_putc(' ');
    put_text(key);
    ecgexp_port_putc('=');
}

static bool is_bare(char c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool digit = c >= '0' && c <= '9';
    return letter || digit || c == '_' || c == '.' || c == ':' || c == '+' || c == '/' || c == '-';
}

static bool needs_quotes(const char *text) {
    if (*text == '\0') {
        return true;
    }
    while (*text != '\0') {
        if (!is_bare(*text++)) {
            return true;
        }
    }
    return false;
}

static void put_quoted(const char *text) {
    ecgexp_port_putc('"');
    for (; *text != '\0'; ++text) {
        const uint8_t byte = (uint8_t)*text;
        if (byte == '"' || byte == '\\') {
            ecgexp_port_putc('\\');
            ecgexp_port_putc(*text);
        } else if (byte < 0x20u || byte > 0x7Eu) {
            put_text("\\x");
            put_byte(byte);
        } else {
            ecgexp_port_putc(*text);
        }
    }
    ecgexp_port_putc('"');
}

void ecgexp_record_begin(const char *kind) {
    put_text(kind);
}

void ecgexp_record_text(const char *key, const char *value) {
    put_key(key);
    if (needs_quotes(value)) {
        put_quoted(value);
    } else {
        put_text(value);
    }
}

void ecgexp_record_number(const char *key, uint64_t value) {
    char digits[U64_MAX_DIGITS];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + (char)(value % 10u));
        value /= 10u;
    } while (value != 0u);
    put_key(key);
    while (count > 0u) {
        ecgexp_port_putc(digits[--count]);
    }
}

void ecgexp_record_address(const char *key, uint32_t value) {
    put_key(key);
    put_text("0x");
    for (int32_t shift = 24; shift >= 0; shift -= 8) {
        put_byte((uint8_t)(value >> shift));
    }
}

void ecgexp_record_bytes(const char *key, const void *bytes, size_t count) {
    const uint8_t *next = bytes;
    put_key(key);
    while (count-- > 0u) {
        put_byte(*next++);
    }
}

void ecgexp_record_end(void) {
    ecgexp_port_putc('\n');
}
