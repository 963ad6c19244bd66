/* SPDX-License-Identifier: MIT */
/*
 * iommuctl-error.c - what the command says when it cannot go on: to people at once, and to programs as
 * a member of the one object that they get.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iommuctl.h"

/* The first failure, until it is taken: later ones follow from it. */
static struct ctl_error first;
static bool remembered;

static void remember(int code, int step, int sys_errno, const char *text)
{
	if (remembered)
		return;
	first = (struct ctl_error){ .code = code, .step = step, .sys_errno = sys_errno };
	snprintf(first.text, sizeof(first.text), "%s", text);
	remembered = true;
}

int ctl_failed(const char *what)
{
	const struct iob_error *error = iob_error();
	bool named = strstr(error->text, what) != NULL;

	fprintf(stderr, "iommuctl: %s%s%s (%s, step %s)\n", named ? "" : what, named ? "" : ": ",
		error->text, iob_code_name(error->code), iob_strstep(error->step));
	remember(error->code, error->step, error->sys_errno, error->text);
	return CTL_FAILED;
}

int ctl_declined(int code, const char *text)
{
	fprintf(stderr, "iommuctl: %s\n", text);
	remember(code, IOB_STEP_NONE, 0, text);
	return CTL_FAILED;
}

bool ctl_error_take(struct ctl_error *error)
{
	bool taken = remembered;

	*error = first;
	remembered = false;
	return taken;
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
