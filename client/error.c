/* SPDX-License-Identifier: MIT */
/*
 * error.c - the last failure of each thread, and codes in words.
 *
 * All texts pass through fault_set(), which cuts them and keeps them printable: a broker that was
 * taken over cannot steer the terminal of the person who reads them.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "proto/fault.h"

static _Thread_local struct fault last;
static _Thread_local struct iob_error last_public;

const struct iob_error *iob_error(void)
{
	last_public.code = (int)last.code;
	last_public.step = (int)last.step;
	last_public.sys_errno = last.sys_errno;
	last_public.text = last.text;
	return &last_public;
}

const char *iob_strcode(int code)
{
	return fault_code_text((uint32_t)code);
}

const char *iob_strstep(int step)
{
	return fault_step_text((uint32_t)step);
}

const char *iob_code_name(int code)
{
	return fault_code_name((uint32_t)code);
}

int client_error_set(int code, int step, int sys_errno, const char *format, ...)
{
	char text[IOB_MAX_TEXT + 1];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fault_set(&last, (enum iob_code)code, (enum iob_step)step, sys_errno, "%s", text);
	return code;
}

int client_error_from_broker(uint32_t code, uint32_t step, int32_t sys_errno, const char *text,
			     size_t text_bytes)
{
	if (text_bytes == 0)
		return client_error_set((int)code, (int)step, sys_errno, "%s",
					fault_code_text(code));
	return client_error_set((int)code, (int)step, sys_errno, "%.*s", (int)text_bytes, text);
}

int client_error_argument(const char *text)
{
	return client_error_set(IOB_E_ARGUMENT, IOB_STEP_NONE, 0, "%s", text);
}

int client_error_system(int step, const char *what)
{
	int saved = errno;
	char buffer[128];

	return client_error_set(IOB_E_SYSTEM, step, saved, "%s: %s", what,
				strerror_r(saved, buffer, sizeof(buffer)));
}

void client_cleanup_free(void *pointer)
{
	free(*(void **)pointer);
}

void *client_alloc(size_t bytes)
{
	void *memory = calloc(1, bytes);

	if (!memory)
		client_error_system(IOB_STEP_NONE, "out of memory");
	return memory;
}
