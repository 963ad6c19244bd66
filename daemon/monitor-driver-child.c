/* SPDX-License-Identifier: MIT */
/*
 * monitor-driver-child.c - the throwaway process that changes drivers.
 *
 * Every step of it may wait for ever, for who uses the device or for the kernel's lock of it, and
 * then not even SIGKILL ends it. It is forked, not a thread, so that nobody has to wait for it. It
 * writes to files of root, for which it takes uid 0 and no capability at all: it keeps none.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/monitor-driver.h"

/* ---- in the child ---- */

struct teller {
	int channel;
	uint32_t index;
};

static void tell(const struct teller *t, enum glue_driver_step step, const struct fault *end)
{
	struct move_report r = { .index = t->index, .step = step };

	if (end) {
		r.ended = 1;
		r.fault = *end;
	}
	/* When the monitor is gone there is nobody to tell, and the work goes on. */
	if (send(t->channel, &r, sizeof(r), MSG_NOSIGNAL) < 0)
		return;
}

static void on_step(void *context, enum glue_driver_step step)
{
	tell(context, step, NULL);
}

static int keep_no_capability(struct fault *why)
{
	cap_t none = cap_init();
	int r = !none || cap_set_proc(none) < 0 ?
			fault_set(why, IOB_E_INTERNAL, IOB_STEP_DRIVER, errno,
				  "the process that changes drivers keeps its capabilities") :
			0;

	cap_free(none);
	return r;
}

static void close_others(int channel, int other)
{
	int low = channel < other ? channel : other, high = channel < other ? other : channel;
	unsigned from = STDERR_FILENO + 1;

	if (low >= (int)from) {
		if ((unsigned)low > from)
			syscall(SYS_close_range, from, (unsigned)low - 1, 0);
		from = (unsigned)low + 1;
	}
	if ((unsigned)high > from)
		syscall(SYS_close_range, from, (unsigned)high - 1, 0);
	syscall(SYS_close_range, (unsigned)high + 1, ~0U, 0);
}

static int change_all(const struct move *v, struct teller *t, struct fault *why)
{
	const struct glue_opener *glue = v->monitor->glue;
	int r = 0;

	for (size_t i = 0; i < v->count && r == 0; i++) {
		const struct glue_driver_change c = {
			.name = v->items[i].device->info.name,
			.to = v->to,
			.former = v->items[i].former,
			.at = on_step,
			.context = t,
		};

		t->index = (uint32_t)i;
		r = glue->driver_change(&c, why);
	}
	return r;
}

/* It is not to be stopped half-way, with the device in nobody's hands. */
static void child(const struct move *v, int channel)
{
	struct teller t = { .channel = channel };
	struct fault why = { 0 };
	char go;

	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	close_others(channel, v->monitor->glue->driver_fd());
	if (recv(channel, &go, 1, 0) != 1)
		_exit(1);
	if (keep_no_capability(&why) == 0)
		change_all(v, &t, &why);
	tell(&t, GLUE_DRIVER_WAITS, &why);
	_exit(0);
}

/* ---- in the monitor ---- */

int move_fork(struct move *v, struct fault *why)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return fault_set(why, IOB_E_NO_MEMORY, IOB_STEP_DRIVER, errno,
				 "no process to change drivers in: %s", strerror(errno));
	pid = fork();
	if (pid == 0) {
		close(pair[0]);
		child(v, pair[1]);
	}
	int error = errno;

	close(pair[1]);
	v->channel = pair[0];
	if (pid > 0) {
		v->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
		if (v->pidfd >= 0)
			return 0;
		error = errno;
		kill(pid, SIGKILL); /* it has not begun */
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	return fault_set(why, IOB_E_NO_MEMORY, IOB_STEP_DRIVER, error,
			 "no process to change drivers in: %s", strerror(error));
}

void move_unfork(struct move *v)
{
	if (v->pidfd < 0)
		return;
	syscall(SYS_pidfd_send_signal, v->pidfd, SIGKILL, NULL, 0);
	spawn_collect(v->pidfd);
}

void move_listen(struct move *v)
{
	struct move_report r;

	while (recv(v->channel, &r, sizeof(r), MSG_DONTWAIT) == sizeof(r)) {
		if (r.index >= v->count)
			continue;
		r.fault.text[sizeof(r.fault.text) - 1] = '\0';
		v->report = r;
	}
}
