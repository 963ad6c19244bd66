/* SPDX-License-Identifier: MIT */
/* monitor-manager.c - the talk with the service manager. */
#include "daemon/monitor-manager.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/monitor.h"

#define MANAGER_WAIT_US 60000000

/* What we let it keep begins with this; a listening socket is called as its unit likes. */
#define KEPT_PREFIX "iob-"

struct inherited {
	int fd; /* -1: taken */
	char *name;
};

static struct inherited *inherited;
static int inherited_count;

int manager_init(struct fault *why)
{
	char **names = NULL;
	int n = sd_listen_fds_with_names(1, &names);

	if (n < 0)
		return fault_set(why, IOB_E_SYSTEM, IOB_STEP_NONE, -n,
				 "LISTEN_FDS: what the service manager passed cannot be used: %s",
				 strerror(-n));
	inherited = n ? calloc((size_t)n, sizeof(*inherited)) : NULL;
	for (int i = 0; inherited && i < n; i++) {
		inherited[i].fd = SD_LISTEN_FDS_START + i;
		inherited[i].name = names[i];
	}
	free(names);
	inherited_count = n;
	return n && !inherited ?
		       fault_set(why, IOB_E_NO_MEMORY, IOB_STEP_NONE, ENOMEM, "out of memory") :
		       0;
}

int manager_take(const char *name)
{
	for (int i = 0; i < inherited_count; i++) {
		int fd = inherited[i].fd;

		if (fd < 0 || strcmp(inherited[i].name, name) != 0)
			continue;
		inherited[i].fd = -1;
		return fd;
	}
	return -1;
}

static bool is_not_ours(const struct inherited *h)
{
	return h->fd >= 0 && strncmp(h->name, KEPT_PREFIX, strlen(KEPT_PREFIX)) != 0;
}

/* Somebody would wait for ever at a socket that is passed over. */
static int check_single(struct fault *why)
{
	int n = 0;

	for (int i = 0; i < inherited_count; i++)
		n += is_not_ours(&inherited[i]);
	return n <= 1 ? 0 :
			fault_set(why, IOB_E_CONNECT, IOB_STEP_CONNECT, EINVAL,
				  "%d sockets were passed, and the daemon listens on one", n);
}

int manager_take_listener(struct fault *why)
{
	if (check_single(why) < 0)
		return -1;
	for (int i = 0; i < inherited_count; i++) {
		int fd = inherited[i].fd;

		if (!is_not_ours(&inherited[i]))
			continue;
		if (sd_is_socket_unix(fd, SOCK_SEQPACKET, 1, NULL, 0) <= 0 ||
		    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
			return fault_set(why, IOB_E_CONNECT, IOB_STEP_CONNECT, EINVAL,
					 "the descriptor \"%s\" that was passed is no listening "
					 "UNIX socket of type SEQPACKET "
					 "(ListenSequentialPacket=)",
					 inherited[i].name);
		inherited[i].fd = -1;
		return fd;
	}
	return -1;
}

void manager_discard_rest(void)
{
	for (int i = 0; i < inherited_count; i++) {
		if (inherited[i].fd >= 0) {
			manager_forget(inherited[i].name);
			close_foreign_fd(inherited[i].fd);
		}
		free(inherited[i].name);
	}
	free(inherited);
	inherited = NULL;
	inherited_count = 0;
}

/* ---- keeping ---- */

static bool manager_listens(void)
{
	return getenv("NOTIFY_SOCKET") != NULL;
}

bool manager_keeps(void)
{
	return manager_listens() && manager_room() > 0;
}

unsigned manager_room(void)
{
	const char *said = getenv("FDSTORE");
	long n = said ? strtol(said, NULL, 10) : 0;

	return n > 0 && n <= INT_MAX ? (unsigned)n : 0;
}

static void complain(const char *what, int r)
{
	if (r < 0)
		log_warn("service manager: %s: %s", what, strerror(-r));
}

/* Not FDPOLL: what hangs up while no monitor is there is what the next one wants to see. */
void manager_keep(const char *name, const int *fds, unsigned count)
{
	char state[128];

	if (!manager_keeps())
		return;
	snprintf(state, sizeof(state), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
	complain(name, sd_pid_notify_with_fds(0, 0, state, fds, count));
}

void manager_forget(const char *name)
{
	char state[300];

	if (!manager_keeps())
		return;
	snprintf(state, sizeof(state), "FDSTOREREMOVE=1\nFDNAME=%.200s", name);
	complain(name, sd_notify(0, state));
}

void manager_wait(void)
{
	if (manager_keeps())
		complain("no answer", sd_notify_barrier(0, MANAGER_WAIT_US));
}

/* ---- telling ---- */

void manager_tell(const char *state)
{
	if (manager_listens())
		complain("notification", sd_notify(0, state));
}

static bool watched;

void manager_alive(void)
{
	if (watched)
		manager_tell("WATCHDOG=1");
}

static void on_watchdog(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	manager_alive();
}

static struct event *watchdog;

int manager_watchdog_start(struct event_base *base)
{
	uint64_t us;
	struct timeval half;

	if (sd_watchdog_enabled(0, &us) <= 0)
		return 0;
	watched = true;
	half.tv_sec = (time_t)(us / 2 / 1000000);
	half.tv_usec = (suseconds_t)(us / 2 % 1000000);
	watchdog = event_new(base, -1, EV_PERSIST, on_watchdog, NULL);
	return watchdog && event_add(watchdog, &half) == 0 ? 0 : -ENOMEM;
}

void manager_watchdog_stop(void)
{
	if (watchdog)
		event_free(watchdog);
	watchdog = NULL;
}
