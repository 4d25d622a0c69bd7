# SPDX-License-Identifier: Apache-2.0
# This machine's own compiler.
set(CMAKE_C_COMPILER cc)
set(CMAKE_ASM_COMPILER cc)
