/* SPDX-License-Identifier: MIT */
/* main.c - the hostile suite: what clients send that should not. */
#include "tests/hostile/suites.h"

int main(void)
{
	Suite *const suites[] = {
		frame_suite(),	  body_suite(),	  fds_suite(),	 numbers_suite(),
		pressure_suite(), others_suite(), noise_suite(),
	};

	return run_suites(suites, COUNT(suites));
}
