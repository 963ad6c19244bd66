/* SPDX-License-Identifier: MIT */
/* iommuctl-error.c - what the command says when it cannot go on. */
#include <stdio.h>
#include <stdlib.h>

#include "iommuctl.h"

int ctl_failed(const char *what)
{
	const struct iob_error *error = iob_error();

	fprintf(stderr, "iommuctl: %s: %s (%s, step %s)\n", what, error->text,
		iob_code_name(error->code), iob_strstep(error->step));
	return CTL_FAILED;
}

void *ctl_need(void *memory)
{
	if (memory)
		return memory;
	fprintf(stderr, "iommuctl: out of memory\n");
	exit(CTL_FAILED);
}

void ctl_free_pointer(void *pointer)
{
	free(*(void **)pointer);
}
