/* SPDX-License-Identifier: MIT */
/* suites.h - the suites of this folder, one for each file. */
#ifndef TESTS_CONFORMANCE_SUITES_H
#define TESTS_CONFORMANCE_SUITES_H

#include "tests/harness/harness.h"

Suite *connection_suite(void);
Suite *policy_suite(void);
Suite *reload_suite(void);
Suite *adopted_suite(void);
Suite *rate_suite(void);
Suite *domain_suite(void);
Suite *look_suite(void);
Suite *memory_suite(void);
Suite *seals_suite(void);
Suite *mapping_suite(void);
Suite *handles_suite(void);
Suite *bind_suite(void);
Suite *dma_suite(void);
Suite *grant_suite(void);
Suite *revoke_suite(void);
Suite *device_suite(void);
Suite *irq_suite(void);
Suite *direct_suite(void);
Suite *races_suite(void);
Suite *death_suite(void);
Suite *monitor_suite(void);
Suite *drivers_suite(void);
Suite *restart_suite(void);
Suite *words_suite(void);
Suite *stop_suite(void);

#endif
