/* SPDX-License-Identifier: MIT */
/* monitor-listen.c - the client socket: made, guarded by a lock, accepted from. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/monitor-manager.h"
#include "daemon/monitor.h"

#define LISTEN_BACKLOG	128
#define LISTEN_PAUSE_US 100000
#define ACCEPTED_A_TURN 8

static int listen_fault(struct fault *why, const char *path, const char *what)
{
	int e = errno;

	return fault_set(why, IOB_E_CONNECT, IOB_STEP_CONNECT, e, "socket %s: %s: %s", path, what,
			 strerror(e));
}

/* Before anything is made whose name begins with it. */
static int check_path(const char *path, struct fault *why)
{
	const size_t room = sizeof(((struct sockaddr_un *)0)->sun_path);

	if (path[strlen(path) - 1] == '/')
		return fault_set(why, IOB_E_CONNECT, IOB_STEP_CONNECT, EISDIR,
				 "the socket's path is that of a directory: %s", path);
	if (strlen(path) < room)
		return 0;
	return fault_set(why, IOB_E_CONNECT, IOB_STEP_CONNECT, ENAMETOOLONG,
			 "the socket's path is longer than the %zu bytes that the kernel takes: %s",
			 room - 1, path);
}

/* Two daemons that start at once would unlink each other's socket: the lock decides. */
static int lock_socket(struct monitor *m, struct fault *why)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 8];

	snprintf(path, sizeof(path), "%s.lock", m->config.socket_path);
	m->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (m->lock_fd < 0)
		return listen_fault(why, path, "cannot be created");
	if (flock(m->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return listen_fault(why, path, "another daemon serves this socket");
	return 0;
}

static int make_directory(const char *socket_path, struct fault *why)
{
	char *dir = strdup(socket_path);
	int r = 0;

	if (!dir)
		return listen_fault(why, socket_path, "directory");
	*strrchr(dir, '/') = '\0';
	if (dir[0] && mkdir(dir, 0755) < 0 && errno != EEXIST)
		r = listen_fault(why, dir, "the directory cannot be made");
	free(dir);
	return r;
}

/* Nothing but a socket is ours to remove, whatever the path says. */
static int remove_stale(const char *path, struct fault *why)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : listen_fault(why, path, "cannot be looked at");
	if (!S_ISSOCK(st.st_mode)) {
		errno = EEXIST;
		return listen_fault(why, path, "what is there is no socket, and stays");
	}
	return unlink(path) < 0 ? listen_fault(why, path, "a stale one cannot be removed") : 0;
}

static void on_accept(evutil_socket_t fd, short what, void *arg);

static int bind_socket(struct monitor *m, struct fault *why)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const char *path = m->config.socket_path;

	memcpy(a.sun_path, path, strlen(path) + 1);
	if (remove_stale(path, why) < 0)
		return -1;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return listen_fault(why, path, "cannot be made");
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		listen_fault(why, path, "cannot be bound");
		close(fd);
		return -1;
	}
	m->listen_fd = fd; /* from here on what is there is ours, and listen_close() removes it */
	/* Who gets something is decided by policy, from the kernel's word about the peer. */
	if (chmod(path, 0666) < 0)
		return listen_fault(why, path, "its mode cannot be set");
	if (listen(m->listen_fd, LISTEN_BACKLOG) < 0)
		return listen_fault(why, path, "cannot listen");
	return 0;
}

int listen_open(struct monitor *m, struct fault *why)
{
	struct fault refused = { 0 };

	m->listen_fd = manager_take_listener(&refused);
	m->passed = m->listen_fd >= 0;
	if (refused.code != IOB_OK) {
		*why = refused;
		return -1;
	}
	if (!m->passed && (check_path(m->config.socket_path, why) < 0 ||
			   make_directory(m->config.socket_path, why) < 0 ||
			   lock_socket(m, why) < 0 || bind_socket(m, why) < 0))
		return -1;
	m->on_listen = event_new(m->base, m->listen_fd, EV_READ | EV_PERSIST, on_accept, m);
	if (!m->on_listen || event_add(m->on_listen, NULL) < 0)
		return fault_set(why, IOB_E_NO_MEMORY, IOB_STEP_CONNECT, ENOMEM, "out of memory");
	return 0;
}

/* What is not bound to a name in the file system has one that begins with a NUL. */
void listen_tell(const struct monitor *m, char out[LISTEN_TOLD_BYTES])
{
	struct sockaddr_un a = { 0 };
	socklen_t bytes = sizeof(a);
	size_t used;

	if (getsockname(m->listen_fd, (struct sockaddr *)&a, &bytes) < 0)
		bytes = 0;
	used = bytes > sizeof(a.sun_family) ? bytes - sizeof(a.sun_family) : 0;
	if (used > 0 && a.sun_path[0] == '\0')
		a.sun_path[0] = '@';
	else
		used = strnlen(a.sun_path, used);
	for (size_t i = 0; i < used; i++)
		if (a.sun_path[i] < 0x20 || a.sun_path[i] > 0x7e)
			a.sun_path[i] = '?';
	snprintf(out, LISTEN_TOLD_BYTES, "%.*s%s", (int)used, a.sun_path,
		 m->passed ? " from the service manager" : "");
}

void listen_close(struct monitor *m)
{
	if (m->on_listen)
		event_free(m->on_listen);
	m->on_listen = NULL;
	if (m->listen_fd >= 0) {
		close(m->listen_fd);
		if (!m->passed)
			unlink(m->config.socket_path);
	}
	if (m->lock_fd >= 0)
		close(m->lock_fd);
	m->listen_fd = m->lock_fd = -1;
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct monitor *m = arg;

	(void)fd;
	(void)what;
	if (m->on_listen)
		event_add(m->on_listen, NULL);
}

/* Connections stay in the queue; looking again at once would spin. */
static void listen_pause(struct monitor *m)
{
	struct timeval pause = { .tv_usec = LISTEN_PAUSE_US };

	if (event_base_once(m->base, -1, EV_TIMEOUT, on_resume, m, &pause) == 0)
		event_del(m->on_listen);
}

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct monitor *m = arg;

	(void)what;
	for (int i = 0; i < ACCEPTED_A_TURN; i++) {
		if (close_is_behind()) { /* somebody makes it linger */
			listen_pause(m);
			return;
		}
		int client = accept4((int)fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		struct peer p;
		struct fault why;

		if (client < 0) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
			    errno == ENOBUFS) {
				log_warn("no descriptor for a new connection: %s", strerror(errno));
				listen_pause(m);
			}
			return;
		}
		if (peer_identify(client, &p, &why) < 0) {
			if (refusal_is_told(m))
				log_warn("a connection cannot be identified: %s", why.text);
			close_refused_fd(client);
			continue;
		}
		session_start(m, client, &p);
	}
}
