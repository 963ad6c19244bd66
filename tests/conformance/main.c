/* SPDX-License-Identifier: MIT */
/* main.c - the conformance suite: one set of tests, three backends, through the library only. */
#include "tests/conformance/suites.h"

int main(void)
{
	Suite *const suites[] = {
		connection_suite(), policy_suite(),  domain_suite(), memory_suite(),  seals_suite(),
		mapping_suite(),    handles_suite(), bind_suite(),   dma_suite(),     grant_suite(),
		revoke_suite(),	    device_suite(),  irq_suite(),    direct_suite(),  races_suite(),
		death_suite(),	    monitor_suite(), reload_suite(), adopted_suite(), rate_suite(),
		drivers_suite(),    restart_suite(), words_suite(),  look_suite(),    stop_suite(),
	};

	return run_suites(suites, COUNT(suites));
}
