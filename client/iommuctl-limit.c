/* SPDX-License-Identifier: MIT */
/*
 * iommuctl-limit.c - how long the broker may take to answer.
 *
 * The library waits as long as it takes. A signal ends the program instead: what there is to say is
 * made ready before, because a handler may call next to nothing, and standard output is empty of what
 * was not written yet. The time that a slow reader of the output takes does not count.
 */
#define _GNU_SOURCE /* asprintf() */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "iommuctl.h"

/* NULL: nothing to say there. */
static char *words, *json;
/* What ends the JSON that was printed so far, up to where a member may follow. */
static const char *closing = "{";

static void write_all(int fd, const char *text)
{
	size_t left = text ? strlen(text) : 0;

	while (left > 0) {
		ssize_t n = write(fd, text, left);

		if (n <= 0)
			return;
		text += n;
		left -= (size_t)n;
	}
}

static void too_late(int number)
{
	(void)number;
	write_all(STDERR_FILENO, words);
	write_all(STDOUT_FILENO, json);
	_exit(CTL_FAILED);
}

static const char *socket_path(const struct ctl *ctl)
{
	const char *path = ctl->socket ? ctl->socket : getenv("IOMMU_BROKER_SOCKET");

	return path && path[0] ? path : IOB_DEFAULT_SOCKET;
}

static void make_ready(const struct ctl *ctl, const char *more)
{
	struct ctl_error error = {
		.code = IOB_E_SYSTEM,
		.step = IOB_STEP_TRANSPORT,
		.sys_errno = ETIMEDOUT,
	};
	ctl_cleanup_free char *member = NULL;

	free(words);
	free(json);
	words = json = NULL;
	snprintf(error.text, sizeof(error.text), "the broker at %s did not answer within %u s%s",
		 socket_path(ctl), ctl->timeout, more);
	member = ctl_json_error_member(&error);
	if (asprintf(
		    &words,
		    "iommuctl: %s (%s, step %s)\n"
		    "iommuctl: is it stopped, or busy? see iommuctl doctor; --timeout waits longer\n",
		    error.text, iob_code_name(error.code), iob_strstep(error.step)) < 0 ||
	    (ctl->json && asprintf(&json, "%s%s}\n", closing, member) < 0))
		ctl_need(NULL);
}

static void begin(const struct ctl *ctl, const char *more)
{
	struct sigaction action = { .sa_handler = too_late };
	sigset_t set;

	if (ctl->timeout == 0)
		return;
	make_ready(ctl, more);
	fflush(stdout);
	sigaction(SIGALRM, &action, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	alarm(ctl->timeout);
}

void ctl_limit_begin(const struct ctl *ctl)
{
	begin(ctl, "");
}

/* A driver lets go of a device when it likes: nobody else says how long that may take. */
void ctl_limit_begin_long(const struct ctl *ctl)
{
	if (ctl->timeout_given)
		begin(ctl, "; what was asked for may yet be done");
}

int ctl_limit_end(int code)
{
	alarm(0);
	return code;
}

void ctl_limit_closing(const char *text)
{
	closing = text;
}
