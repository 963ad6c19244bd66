/* SPDX-License-Identifier: MIT */
/* main.c - the hostile suite: what clients send that should not. */
#include "tests/hostile/suites.h"

int main(void)
{
	Suite *const suites[] = {
		frame_suite(),
	};

	return run_suites(suites, COUNT(suites));
}
