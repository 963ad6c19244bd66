/* SPDX-License-Identifier: MIT */
/*
 * monitor-reaper.c - taking things apart in a throwaway process.
 *
 * Resetting a device can take seconds, unmapping and unpinning as long as there is memory. So the
 * monitor forks: the child inherits the descriptors in question, closes all others, quiesces,
 * detaches, unmaps, and closes; the monitor closes its own of the devices right after the fork and
 * learns of the end from the pidfd. What the child does not manage, its exit does: the kernel's last
 * close clears bus mastering, resets and detaches.
 *
 * Not so with a domain's context: a device that somebody has the descriptor of keeps it alive, and all
 * that is mapped in it. So it stays with the service manager and with the monitor until a child has
 * said that nothing is mapped any more.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/monitor-keep.h"
#include "daemon/monitor-manager.h"

#define REVOKE_TRIES 2u /* after the first */

struct reaper_item {
	struct glue_bound bound;
	bool last_of_group;
};

struct reaper {
	struct monitor *monitor;
	struct device *device; /* exactly one of device and domain */
	struct domain *domain;
	int context_fd;
	uint32_t token;
	bool revoke;	/* also remove all mappings and the address space */
	unsigned tries; /* left, to revoke */
	size_t count;
	struct reaper_item *items;
	int *keep; /* the descriptors of all that */
	int pidfd;
	struct event *on_exit;
};

/* ---- in the child ---- */

static int compare_fds(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Everything but standard error and what is ours: a descriptor kept here by accident would keep
 * another client's device or memory alive. */
static void close_others(struct reaper *r)
{
	int *keep = r->keep;
	size_t n = 0;
	unsigned from = STDERR_FILENO + 1;

	keep[n++] = r->context_fd;
	for (size_t i = 0; i < r->count; i++) {
		keep[n++] = r->items[i].bound.device_fd;
		keep[n++] = r->items[i].bound.group_fd;
	}
	qsort(keep, n, sizeof(*keep), compare_fds);
	for (size_t i = 0; i < n; i++) {
		if (keep[i] < (int)from)
			continue;
		if ((unsigned)keep[i] > from)
			syscall(SYS_close_range, from, (unsigned)keep[i] - 1, 0);
		from = (unsigned)keep[i] + 1;
	}
	syscall(SYS_close_range, from, ~0U, 0);
}

/* The order of the architecture: stop the device, detach it, unmap, and only then release. What goes wrong
 * with a device its last close mends; with the context nothing does: that is returned. */
static int take_apart(struct reaper *r, bool may_wait)
{
	const struct glue_opener *glue = r->monitor->glue;
	int first = 0, revoked = 0;

#define STEP(call)                            \
	do {                                  \
		int error_ = (call);          \
		if (error_ < 0 && first == 0) \
			first = error_;       \
	} while (0)
	for (size_t i = 0; i < r->count; i++)
		STEP(glue->device_quiesce(&r->items[i].bound));
	if (may_wait && r->count > 0)
		manager_wait(); /* its copies are forgotten now: the last close must be ours */
	for (size_t i = 0; i < r->count; i++)
		STEP(glue->device_detach(r->context_fd, &r->items[i].bound));
	if (r->revoke && r->context_fd >= 0)
		revoked = glue->context_revoke(r->context_fd, r->token);
	for (size_t i = 0; i < r->count; i++)
		STEP(glue->device_close(r->context_fd, &r->items[i].bound,
					r->items[i].last_of_group));
#undef STEP
	if (first < 0)
		log_warn("reaper: %s; the last close does the rest", strerror(-first));
	return revoked;
}

/* Dies with the monitor: then the kernel finishes, and the next monitor finds nobody at work. */
static void child(struct reaper *r, pid_t monitor)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != monitor)
		_exit(1);
	close_others(r);
	_exit(take_apart(r, true) < 0);
}

/* ---- in the monitor ---- */

static void reaper_forget_child(struct reaper *r)
{
	if (r->on_exit)
		event_free(r->on_exit);
	if (r->pidfd >= 0)
		close(r->pidfd);
	r->on_exit = NULL;
	r->pidfd = -1;
}

static void reaper_free(struct reaper *r)
{
	reaper_forget_child(r);
	if (r->revoke && r->context_fd >= 0)
		close(r->context_fd);
	free(r->items);
	free(r->keep);
	free(r);
}

static void reaper_done(struct reaper *r)
{
	struct monitor *m = r->monitor;

	if (r->device)
		device_waited(m, r->device, DEVICE_WAIT_REAPER);
	else
		domain_reaped(m, r->domain);
	reaper_free(r);
}

static void tell_unrevoked(const struct reaper *r)
{
	log_error("domain %u: its mappings could not be removed; they end when nobody has a device "
		  "any more that was in it",
		  r->domain->id);
}

static void reaper_start(struct reaper *r);

/* What it had of the devices went with it. */
static void on_child_exit(evutil_socket_t fd, short what, void *arg)
{
	struct reaper *r = arg;

	(void)what;
	if (spawn_collect((int)fd) == 0 || !r->revoke) {
		reaper_done(r);
	} else if (r->tries == 0) {
		tell_unrevoked(r);
		reaper_done(r);
	} else {
		r->tries--;
		r->count = 0;
		reaper_forget_child(r);
		reaper_start(r);
	}
}

static void close_ours(struct reaper *r)
{
	for (size_t i = 0; i < r->count; i++) {
		close(r->items[i].bound.device_fd);
		if (r->items[i].bound.group_fd >= 0)
			close(r->items[i].bound.group_fd);
	}
	if (!r->revoke && r->context_fd >= 0)
		close(r->context_fd);
}

static void reaper_start(struct reaper *r)
{
	pid_t monitor = getpid(), pid = fork();
	int status = 0;

	if (pid == 0)
		child(r, monitor);
	r->pidfd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	if (r->pidfd >= 0) {
		r->on_exit = event_new(r->monitor->base, r->pidfd, EV_READ, on_child_exit, r);
		if (r->on_exit && event_add(r->on_exit, NULL) == 0) {
			close_ours(r);
			return;
		}
	}
	/* Without a process, or without a way to hear of its end, it is done here and now. */
	log_warn("reaper: no throwaway process: %s", strerror(errno));
	if (pid > 0)
		waitpid(pid, &status, 0);
	else
		status = take_apart(r, false);
	if (status != 0 && r->revoke)
		tell_unrevoked(r);
	close_ours(r);
	reaper_done(r);
}

static struct reaper *reaper_new(struct monitor *m, int context_fd, uint32_t token, size_t devices)
{
	struct reaper *r = calloc(1, sizeof(*r));

	if (r) {
		r->items = calloc(devices + 1, sizeof(*r->items));
		r->keep = calloc(2 * devices + 1, sizeof(*r->keep));
	}
	if (!r || !r->items || !r->keep)
		abort(); /* better to die, and let the kernel take all apart, than to leave it be */
	r->monitor = m;
	r->context_fd = context_fd;
	r->token = token;
	r->pidfd = -1;
	return r;
}

static bool last_of_group(const struct device *d)
{
	const struct device *o;

	LIST_FOREACH(o, &d->domain->devices, of_domain)
		if (o != d && o->info.group == d->info.group && !o->reaping)
			return false;
	return true;
}

static void reaper_take(struct reaper *r, struct device *d)
{
	d->reaping = true;
	if (d->bound.device_fd < 0)
		return;
	struct reaper_item *item = &r->items[r->count++];

	keep_forget_bound(r->monitor, d);
	item->last_of_group = last_of_group(d);
	item->bound = d->bound;
	d->bound = (struct glue_bound){ -1, -1 };
}

/* Of an adopted device the descriptors may be gone already, with the process that had them last. */
void reap_device(struct monitor *m, struct device *d)
{
	if (d->bound.device_fd < 0) {
		device_waited(m, d, DEVICE_WAIT_REAPER);
		return;
	}
	int context = m->glue->descriptor_dup(d->domain->context_fd);
	struct reaper *r = reaper_new(m, context, d->domain->token, 1);

	r->device = d;
	reaper_take(r, d);
	reaper_start(r);
}

void reap_domain(struct monitor *m, struct domain *domain)
{
	struct device *d;
	size_t devices = 0;

	/* all that are in it, also those on their way out */
	LIST_FOREACH(d, &domain->devices, of_domain)
		devices++;
	struct reaper *r = reaper_new(m, domain->context_fd, domain->token, devices);

	domain->context_fd = -1;
	r->domain = domain;
	r->revoke = true;
	r->tries = REVOKE_TRIES;
	LIST_FOREACH(d, &domain->devices, of_domain) {
		if (d->reaping)
			continue;
		reaper_take(r, d);
		d->reaped_with_domain = true;
	}
	reaper_start(r);
}
