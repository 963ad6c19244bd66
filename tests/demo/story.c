/* SPDX-License-Identifier: MIT */
/* story.c - telling, waiting for each other, giving up. */
#include "story.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

const char *story_teller = "?";

void say(const char *format, ...)
{
	va_list args;

	printf("  %s  ", story_teller);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

void say_refused(const char *what, int code)
{
	must_be(code != IOB_OK, "this should have been refused");
	say("%s", what);
	printf("       refused: %s at step \"%s\": %s\n", iob_code_name(code),
	       iob_strstep((int)iob_error()->step), iob_error()->text);
	fflush(stdout);
}

void must(int code, const char *what)
{
	if (code == IOB_OK)
		return;
	say("%s FAILED: %s at step \"%s\": %s", what, iob_code_name(code),
	    iob_strstep((int)iob_error()->step), iob_error()->text);
	exit(1);
}

void must_be(int condition, const char *claim)
{
	if (condition)
		return;
	say("NOT SO: %s", claim);
	exit(1);
}

void turn_give(void)
{
	must_be(send(STORY_SOCKET, "x", 1, MSG_NOSIGNAL) == 1, "the other program is there");
}

void turn_wait(void)
{
	char byte;

	must_be(recv(STORY_SOCKET, &byte, 1, 0) == 1, "the other program goes on");
}
