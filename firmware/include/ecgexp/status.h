/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ECGEXP_STATUS_H
#define ECGEXP_STATUS_H

/* What a function that can fail returns. */
typedef enum {
    ECGEXP_OK = 0,
    ECGEXP_ERROR_PORT,          /* the hardware is not what the port expects */
    ECGEXP_ERROR_MODEL,         /* the network's entry function reported a failure */
    ECGEXP_ERROR_ARENA_OVERRUN, /* the network wrote behind its arena */
    ECGEXP_ERROR_FAULT          /* the core took a fault */
} ecgexp_status;

/* Name of a status for the END record, a static string. */
const char *ecgexp_status_name(ecgexp_status status);

#endif
