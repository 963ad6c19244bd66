/* SPDX-License-Identifier: MIT */
/* suites.h - the suites of this folder, one for each file. */
#ifndef TESTS_HOSTILE_SUITES_H
#define TESTS_HOSTILE_SUITES_H

#include "tests/hostile/raw.h"

Suite *frame_suite(void);
Suite *body_suite(void);
Suite *fds_suite(void);
Suite *numbers_suite(void);
Suite *pressure_suite(void);
Suite *others_suite(void);
Suite *noise_suite(void);

#endif
