/* SPDX-License-Identifier: MIT */
/* restart.h - between the files about restarts of the monitor. */
#ifndef TESTS_CONFORMANCE_RESTART_H
#define TESTS_CONFORMANCE_RESTART_H

#include "tests/conformance/scene.h"

/* A broker that is kept; NULL: the usual rules. */
void start_kept(const char *rules);
/* All users exit; then nothing is left but what there was at the start. */
void all_is_back(void);

/* Between start_driving() and stop_driving(). */
void dma_goes_on(void);
void alice_maps_on(void);
/* Another one than when it was called last. */
void alice_hears_another_monitor(void);

/* Rules that give alice 8 MiB, 100 mappings, 2 domains and a device; a step that uses them up. */
extern const char exact[];
void alice_uses_all(void);

void restart_away_cases(Suite *s);

#endif
