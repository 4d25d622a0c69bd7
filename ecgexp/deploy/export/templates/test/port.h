/* SPDX-License-Identifier: Apache-2.0 */
/* What the golden test needs from where it runs. */
#ifndef @PREFIX@_TEST_PORT_H
#define @PREFIX@_TEST_PORT_H

void port_write(const char *text);

#endif
