/* SPDX-License-Identifier: MIT */
/* suites.h - the suites of this folder, one for each file. */
#ifndef TESTS_HOSTILE_SUITES_H
#define TESTS_HOSTILE_SUITES_H

#include "tests/hostile/raw.h"

Suite *frame_suite(void);

#endif
