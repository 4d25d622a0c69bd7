/* SPDX-License-Identifier: Apache-2.0 */
/* Runs every golden window through the network and reports it. */
#ifndef ECGEXP_BENCH_H
#define ECGEXP_BENCH_H

#include "ecgexp/port.h"
#include "ecgexp/status.h"

ecgexp_status ecgexp_bench_run(const ecgexp_port_info *info);

#endif
