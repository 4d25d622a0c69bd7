/* SPDX-License-Identifier: Apache-2.0 */
/* Without arguments checks protocol.c; with arguments prints one record per text, for a reader. */
#include "ecgexp/port.h"
#include "ecgexp/protocol.h"
#include <stdio.h>
#include <string.h>

#define CAPACITY 512

static char captured[CAPACITY];
static size_t length;
static int failures;

void ecgexp_port_putc(char c) {
    if (length + 1 < CAPACITY) {
        captured[length++] = c;
        captured[length] = '\0';
    }
}

static void expect(const char *wanted) {
    ecgexp_record_end();
    if (length < 1 || captured[length - 1] != '\n' || strlen(wanted) != length - 1 ||
        strncmp(captured, wanted, length - 1) != 0) {
        fprintf(stderr, "wanted: %s\nhave:   %s\n", wanted, captured);
        ++failures;
    }
    length = 0;
    captured[0] = '\0';
}

static void check_texts(void) {
    ecgexp_record_begin("INFER");
    ecgexp_record_text("label", "AF");
    ecgexp_record_text("model", "a.b:c/d-e_f+1");
    expect("INFER label=AF model=a.b:c/d-e_f+1");

    ecgexp_record_begin("INFER");
    ecgexp_record_text("a", "");
    ecgexp_record_text("b", "two words");
    ecgexp_record_text("c", "q\"q\\");
    ecgexp_record_text("d", "x=y\n");
    ecgexp_record_text("e", "\xc3\xa9\x7f");
    expect("INFER a=\"\" b=\"two words\" c=\"q\\\"q\\\\\" d=\"x=y\\x0a\" e=\"\\xc3\\xa9\\x7f\"");
}

static void check_numbers(void) {
    const uint8_t bytes[] = {0x00, 0x7F, 0x80, 0xFF};
    ecgexp_record_begin("K");
    ecgexp_record_number("zero", 0);
    ecgexp_record_number("most", UINT64_MAX);
    ecgexp_record_address("low", 0);
    ecgexp_record_address("high", 0xDEADBEEFu);
    ecgexp_record_bytes("out", bytes, sizeof bytes);
    ecgexp_record_bytes("none", bytes, 0);
    expect("K zero=0 most=18446744073709551615 low=0x00000000 high=0xdeadbeef out=007f80ff none=");
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; ++i) {
        length = 0;
        ecgexp_record_begin("INFER");
        ecgexp_record_text("label", argv[i]);
        ecgexp_record_number("index", (uint64_t)i - 1u);
        ecgexp_record_end();
        fputs(captured, stdout);
    }
    if (argc > 1) {
        return 0;
    }
    check_texts();
    check_numbers();
    return failures == 0 ? 0 : 1;
}
