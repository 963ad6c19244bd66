/* SPDX-License-Identifier: MIT */
/* monitor-tape.c - see monitor-tape.h. */
#include "daemon/monitor-tape.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TAPE_FD	 (STDERR_FILENO + 1)
#define TAPE_END UINT32_MAX /* instead of a kind: the recorder came to the end */

/* One name; its bytes follow. */
struct tape_entry {
	uint32_t kind;
	int32_t result;
	uint32_t id;
	uint32_t bytes;
};

/* ---- recording ---- */

static int record(void *arg, enum config_people kind, const char *name, uint32_t *id)
{
	struct tape_entry e = { .kind = kind, .bytes = (uint32_t)strlen(name) };

	e.result = config_resolve(kind, name, id);
	e.id = e.result == 0 ? *id : 0;
	fwrite(&e, sizeof(e), 1, arg);
	fwrite(name, 1, e.bytes, arg);
	return e.result;
}

/* Nothing of a client stays open here, and of root there is only the uid. */
static int confine(int pipe)
{
	cap_t nothing = cap_init();

	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	if (dup2(pipe, TAPE_FD) < 0 || syscall(SYS_close_range, TAPE_FD + 1, ~0U, 0) < 0 ||
	    !nothing || cap_set_proc(nothing) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return -1;
	return cap_free(nothing);
}

_Noreturn void tape_record(const char *config, int pipe)
{
	const struct tape_entry end = { .kind = TAPE_END };
	struct config_reading how = { .resolve = record };
	struct config c;
	struct fault why;

	if (confine(pipe) < 0)
		_exit(1);
	how.arg = fdopen(TAPE_FD, "we");
	if (!how.arg)
		_exit(1);
	config_load_with(config, &how, &c, &why); /* what is wrong is found by the player, too */
	fwrite(&end, sizeof(end), 1, how.arg);
	fflush(how.arg);
	_exit(0);
}

/* ---- playing ---- */

static bool make_room(struct tape *t, size_t bytes)
{
	size_t room = t->room ? t->room : 16384;
	uint8_t *more;

	while (room < t->used + bytes)
		room *= 2;
	if (room == t->room)
		return true;
	more = room <= TAPE_MAX_BYTES ? realloc(t->bytes, room) : NULL;
	if (!more)
		return false;
	t->bytes = more;
	t->room = room;
	return true;
}

bool tape_take(struct tape *t, int pipe)
{
	uint8_t chunk[16384];
	ssize_t n = read(pipe, chunk, sizeof(chunk));

	if (n <= 0)
		return false;
	if (!make_room(t, (size_t)n)) {
		t->cut = true; /* read on all the same, so that the recorder ends */
		return true;
	}
	memcpy(t->bytes + t->used, chunk, (size_t)n);
	t->used += (size_t)n;
	return true;
}

bool tape_is_complete(const struct tape *t)
{
	struct tape_entry end;

	if (t->cut || t->used < sizeof(end))
		return false;
	memcpy(&end, t->bytes + t->used - sizeof(end), sizeof(end));
	return end.kind == TAPE_END;
}

static bool tape_read(struct tape *t, void *out, size_t bytes)
{
	if (bytes > t->used - t->at)
		return false;
	memcpy(out, t->bytes + t->at, bytes);
	t->at += bytes;
	return true;
}

int tape_play(void *tape, enum config_people kind, const char *name, uint32_t *id)
{
	struct tape_entry e;
	char there[256];

	if (!tape_read(tape, &e, sizeof(e)) || e.kind != (uint32_t)kind || e.result > 0 ||
	    e.bytes >= sizeof(there) || !tape_read(tape, there, e.bytes))
		return -ESTALE;
	there[e.bytes] = '\0';
	if (strcmp(there, name) != 0)
		return -ESTALE;
	*id = e.id;
	return e.result;
}

void tape_deinit(struct tape *t)
{
	free(t->bytes);
	*t = (struct tape){ 0 };
}
