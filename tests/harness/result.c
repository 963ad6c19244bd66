/* SPDX-License-Identifier: MIT */
/* result.c - what the library said, in words for the report. */
#include <stdio.h>
#include <string.h>

#include "tests/harness/harness.h"

static char text[512];

const char *describe_failure(int code)
{
	const struct iob_error *e = iob_error();

	if (e->code != code)
		snprintf(text, sizeof(text), "%s, while iob_error() says %s", iob_code_name(code),
			 iob_code_name(e->code));
	else
		snprintf(text, sizeof(text), "%s (%s, errno %d): %s", iob_code_name(code),
			 iob_strstep(e->step), e->sys_errno, e->text);
	return text;
}

/* Every refusal names step and reason; only the library's own checks of arguments have no step. */
static const char *describe_silence(int code)
{
	const struct iob_error *e = iob_error();

	if (e->code != code)
		return describe_failure(code);
	if (e->text[0] == '\0')
		return "refused without a text";
	if (e->step == IOB_STEP_NONE && code != IOB_E_ARGUMENT)
		return "refused without a step";
	return NULL;
}

const char *describe_refusal(int code, int wanted)
{
	if (code == wanted)
		return describe_silence(code);
	if (code == IOB_OK) {
		snprintf(text, sizeof(text), "succeeded instead of %s", iob_code_name(wanted));
	} else {
		const char *what = describe_failure(code);
		char copy[400];

		snprintf(copy, sizeof(copy), "%s", what);
		snprintf(text, sizeof(text), "%.390s instead of %s", copy, iob_code_name(wanted));
	}
	return text;
}
