/* SPDX-License-Identifier: MIT */
/*
 * monitor-reload.c - SIGHUP: the configuration is read again, while everything goes on.
 *
 * Reading files takes no time, looking up names may take minutes (a directory server that is
 * away), and runs code of others. So a throwaway process reads the configuration first and makes a
 * tape of the answers, see monitor-tape.h. Then the monitor reads the files itself, with the same
 * code, and takes the answers from the tape instead of asking.
 */
#define _GNU_SOURCE /* pipe2() */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/monitor-manager.h"
#include "daemon/monitor-tape.h"
#include "daemon/monitor.h"

struct reload {
	struct monitor *monitor;
	struct event *on_tape;
	struct event *on_exit;
	struct event *on_timeout;
	int pipe;
	int pidfd;
	struct tape tape;
};

/* ---- what a reload changes ---- */

/* What is open stays open, and what is charged stays charged: a new limit is for what is asked from
 * now on. A user whom no rule names any more keeps the rate of what he has open. */
void session_refresh_quota(struct session *s)
{
	const struct config *c = &s->monitor->config;
	struct priv_message msg = { 0 };
	uint32_t old_rate = s->quota.max_rate;

	policy_quota(c, &s->peer, &s->quota);
	if (!policy_knows(c, &s->peer))
		s->quota.max_rate = old_rate;
	msg.limits.max_rate = s->quota.max_rate;
	if (s->quota.max_rate != old_rate && s->state == PRIV_STATE_READY)
		session_tell(s, &msg, PRIV_LIMITS, NULL);
}

static void tell_restart(const struct monitor *m, const char *key)
{
	log_warn("reload %u: %s has changed: that needs a restart", m->reloads, key);
}

/* The keys that are used up at the start keep the values that they had then. */
static void keep_started_with(const struct monitor *m, struct config *fresh)
{
	const struct config *c = &m->config;
	char *socket = fresh->socket_path;

	if (fresh->backend != c->backend)
		tell_restart(m, "backend");
	if (strcmp(fresh->socket_path, c->socket_path) != 0)
		tell_restart(m, "socket");
	if (fresh->session_uid_base != c->session_uid_base)
		tell_restart(m, "session-uid-base");
	if (fresh->sim_devices != c->sim_devices)
		tell_restart(m, "sim-devices");
	if (fresh->allow_unsafe_interrupts != c->allow_unsafe_interrupts)
		tell_restart(m, "allow-unsafe-interrupts");
	if (fresh->allow_test_kernel != c->allow_test_kernel)
		tell_restart(m, "allow-test-kernel");
	fresh->backend = c->backend;
	fresh->session_uid_base = c->session_uid_base;
	fresh->sim_devices = c->sim_devices;
	fresh->allow_unsafe_interrupts = c->allow_unsafe_interrupts;
	fresh->allow_test_kernel = c->allow_test_kernel;
	fresh->socket_path = strdup(c->socket_path);
	if (fresh->socket_path)
		free(socket);
	else
		fresh->socket_path = socket;
}

/* Uids that sessions may have at this moment stay theirs, also when there may be fewer from now on:
 * policy takes nobody with one of them for a client. */
static int make_slots(struct monitor *m, struct config *fresh, struct fault *why)
{
	uint32_t have = m->config.session_uids;
	uint8_t *slots;

	if (fresh->session_uids <= have) {
		fresh->session_uids = have;
		return 0;
	}
	if (fresh->session_uids > UINT32_MAX - 1 - fresh->session_uid_base)
		return fault_set(why, IOB_E_ARGUMENT, IOB_STEP_NONE, EINVAL,
				 "max-sessions: session-uid-base leaves no room");
	slots = realloc(m->slots, fresh->session_uids);
	if (!slots)
		return fault_set(why, IOB_E_NO_MEMORY, IOB_STEP_NONE, ENOMEM, "out of memory");
	memset(slots + have, 0, fresh->session_uids - have);
	m->slots = slots;
	return 0;
}

static int reload_config(struct reload *r, struct fault *why)
{
	struct monitor *m = r->monitor;
	const struct config_reading how = { .resolve = tape_play, .arg = &r->tape };
	struct config fresh = { 0 };
	struct session *s;

	if (!tape_is_complete(&r->tape))
		return fault_set(why, IOB_E_SYSTEM, IOB_STEP_NONE, EIO,
				 "users and groups could not be looked up");
	if (config_load_with(m->options.config, &how, &fresh, why) < 0)
		return -1;
	if (options_apply(&m->options, &fresh, why) < 0) {
		config_deinit(&fresh);
		return -1;
	}
	keep_started_with(m, &fresh);
	if (make_slots(m, &fresh, why) < 0) {
		config_deinit(&fresh);
		return -1;
	}
	config_deinit(&m->config);
	m->config = fresh;
	LIST_FOREACH(s, &m->sessions, link)
		session_refresh_quota(s);
	return 0;
}

/* ---- its course ---- */

/* Between these two the configuration in force is about to change; the second comes after every
 * first, however it ends. Whoever supervises the daemon is told here. */
static void reload_begins(struct monitor *m)
{
	log_info("reload %u: begins", m->reloads);
	if (m->ready)
		manager_tell("RELOADING=1");
}

static void reload_ends(struct monitor *m, const struct fault *why)
{
	if (why)
		log_error("reload %u: failed, the old configuration stays in force: %s", m->reloads,
			  why->text);
	else
		log_info("reload %u: done, %zu rules from %u files are in force", m->reloads,
			 m->config.rule_count, m->config.file_count);
	if (m->ready)
		manager_tell("READY=1");
}

static void reload_free(struct reload *r)
{
	if (r->on_tape)
		event_free(r->on_tape);
	if (r->on_exit)
		event_free(r->on_exit);
	if (r->on_timeout)
		event_free(r->on_timeout);
	if (r->pipe >= 0)
		close(r->pipe);
	if (r->pidfd >= 0)
		close(r->pidfd);
	tape_deinit(&r->tape);
	free(r);
}

/* r may be NULL. */
void reload_cancel(struct reload *r)
{
	if (!r)
		return;
	if (r->pidfd >= 0) {
		syscall(SYS_pidfd_send_signal, r->pidfd, SIGKILL, NULL, 0);
		spawn_collect(r->pidfd);
	}
	reload_free(r);
}

static void reload_finish(struct reload *r)
{
	struct monitor *m = r->monitor;
	struct fault why = { 0 };
	bool done = reload_config(r, &why) == 0;

	m->reload = NULL;
	reload_free(r);
	reload_ends(m, done ? NULL : &why);
	if (m->reload_again)
		reload_start(m);
}

static void on_tape(evutil_socket_t fd, short what, void *arg)
{
	struct reload *r = arg;

	(void)fd;
	(void)what;
	if (!tape_take(&r->tape, r->pipe))
		event_del(r->on_tape); /* its end: on_exit() is next */
}

static void on_exit_event(evutil_socket_t fd, short what, void *arg)
{
	struct reload *r = arg;

	(void)what;
	spawn_collect((int)fd);
	while (tape_take(&r->tape, r->pipe))
		;
	reload_finish(r);
}

/* It is waited for also after that: the kernel may hold it in a file system that hangs. */
static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct reload *r = arg;

	(void)fd;
	(void)what;
	log_warn("reload %u: looking up users and groups takes too long", r->monitor->reloads);
	r->tape.cut = true;
	syscall(SYS_pidfd_send_signal, r->pidfd, SIGKILL, NULL, 0);
}

static int reload_fork(struct reload *r)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	r->pipe = ends[0];
	fcntl(ends[1], F_SETFL, 0); /* the writer may wait for us, not we for him */
	pid = fork();
	if (pid == 0)
		tape_record(r->monitor->options.config, ends[1]);
	if (pid > 0)
		r->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	int error = errno;

	close(ends[1]);
	if (pid > 0 && r->pidfd < 0) { /* not collected yet, so the number is still its own */
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	return r->pidfd < 0 ? -error : 0;
}

static int reload_watch(struct reload *r)
{
	struct event_base *base = r->monitor->base;
	const struct timeval limit = { .tv_sec = MONITOR_RELOAD_SECONDS };

	r->on_tape = event_new(base, r->pipe, EV_READ | EV_PERSIST, on_tape, r);
	r->on_exit = event_new(base, r->pidfd, EV_READ, on_exit_event, r);
	r->on_timeout = evtimer_new(base, on_timeout, r);
	if (!r->on_tape || !r->on_exit || !r->on_timeout || event_add(r->on_tape, NULL) < 0 ||
	    event_add(r->on_exit, NULL) < 0 || event_add(r->on_timeout, &limit) < 0)
		return -ENOMEM;
	return 0;
}

void reload_start(struct monitor *m)
{
	struct reload *r;
	struct fault why;
	int error;

	m->reload_again = m->reload != NULL; /* what changed since it was read counts, too */
	if (m->reload)
		return;
	m->reloads++;
	reload_begins(m);
	r = calloc(1, sizeof(*r));
	if (r)
		*r = (struct reload){ .monitor = m, .pipe = -1, .pidfd = -1 };
	error = r ? reload_fork(r) : -ENOMEM;
	if (error == 0)
		error = reload_watch(r);
	if (error < 0) {
		fault_set(&why, IOB_E_SYSTEM, IOB_STEP_NONE, -error,
			  "a process for it could not be started: %s", strerror(-error));
		reload_cancel(r);
		reload_ends(m, &why);
		return;
	}
	m->reload = r;
}
