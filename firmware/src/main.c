/* SPDX-License-Identifier: Apache-2.0 */
#include "ecgexp/bench.h"
#include "ecgexp/port.h"
#include "ecgexp/protocol.h"
#include "ecgexp/status.h"

const char *ecgexp_status_name(ecgexp_status status) {
    switch (status) {
    case ECGEXP_OK:
        return "ok";
    case ECGEXP_ERROR_PORT:
        return "port";
    case ECGEXP_ERROR_MODEL:
        return "model";
    case ECGEXP_ERROR_ARENA_OVERRUN:
        return "arena_overrun";
    case ECGEXP_ERROR_FAULT:
        return "fault";
    }
    return "unknown";
}

int main(void) {
    ecgexp_port_info info = {0};
    ecgexp_status status = ecgexp_port_init(&info);
    if (status == ECGEXP_OK) {
#ifdef ECGEXP_WAIT_FOR_HOST
        (void)ecgexp_port_getc();
#endif
        status = ecgexp_bench_run(&info);
    }
    ecgexp_record_begin("END");
    ecgexp_record_text("status", ecgexp_status_name(status));
    ecgexp_record_end();
    ecgexp_port_halt(status);
}
