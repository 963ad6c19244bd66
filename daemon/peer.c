/* SPDX-License-Identifier: MIT */
/*
 * peer.c - credentials of a connected AF_UNIX peer.
 *
 * The kernel notes them at connect() (net/unix/af_unix.c, init_peercred), so that what the peer
 * does afterwards, setuid or exec, changes nothing here. Whatever cannot be learned refuses the
 * peer; only a kernel that does not know SO_PEERPIDFD at all (before 6.5) leaves pidfd at -1.
 */
#define _GNU_SOURCE /* struct ucred */

#include "daemon/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* include/uapi/asm-generic/socket.h; glibc 2.36 lacks it */
#endif

static int refuse(struct fault *why, int error, const char *what)
{
	return fault_set(why, IOB_E_SYSTEM, IOB_STEP_POLICY, error,
			 "cannot identify the peer: %s: %s", what, strerror(error));
}

/* A listening socket answers SO_PEERCRED with its owner's credentials: those of the broker. */
static int check_not_listening(int fd, struct fault *why)
{
	socklen_t size = sizeof(int);
	int listening = 1;

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) < 0)
		return refuse(why, errno, "SO_ACCEPTCONN");
	if (listening)
		return refuse(why, ENOTCONN, "a listening socket");
	return 0;
}

/* Without a peer the kernel answers 0 and says uid -1. pid 0: from another pid namespace. */
static int read_credentials(int fd, struct peer *p, struct fault *why)
{
	struct ucred cred = { .uid = (uid_t)-1, .gid = (gid_t)-1 };
	socklen_t size = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
		return refuse(why, errno, "SO_PEERCRED");
	if (size != sizeof(cred) || cred.uid == (uid_t)-1 || cred.gid == (gid_t)-1)
		return refuse(why, ENOTCONN, "SO_PEERCRED");
	p->uid = cred.uid;
	p->gid = cred.gid;
	p->pid = cred.pid;
	return 0;
}

static int ask_groups(int fd, gid_t *groups, socklen_t *size)
{
	return getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, size) < 0 ? -errno : 0;
}

/* A too small buffer gets no group at all but ERANGE and the size (at most NGROUPS_MAX, 65536). */
static int ask_many_groups(int fd, struct peer *p, socklen_t size)
{
	gid_t *all = malloc(size);
	int r;

	if (!all)
		return -ENOMEM;
	r = ask_groups(fd, all, &size);
	if (r == 0) {
		size_t count = size / sizeof(gid_t);

		p->group_count = count < PEER_MAX_GROUPS ? (unsigned)count : PEER_MAX_GROUPS;
		memcpy(p->groups, all, p->group_count * sizeof(gid_t));
	}
	free(all);
	return r;
}

static int read_groups(int fd, struct peer *p, struct fault *why)
{
	socklen_t size = sizeof(p->groups);
	int r = ask_groups(fd, p->groups, &size);

	if (r == 0)
		p->group_count = (unsigned)(size / sizeof(gid_t));
	else if (r == -ERANGE && size > sizeof(p->groups))
		r = ask_many_groups(fd, p, size);
	return r < 0 ? refuse(why, -r, "SO_PEERGROUPS") : 0;
}

static int read_pidfd(int fd, struct peer *p, struct fault *why)
{
	socklen_t size = sizeof(p->pidfd);
	int pidfd = -1;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) == 0)
		p->pidfd = pidfd; /* born CLOEXEC */
	else if (errno != ENOPROTOOPT)
		return refuse(why, errno, "SO_PEERPIDFD: the peer has gone");
	return 0;
}

int peer_identify(int fd, struct peer *p, struct fault *why)
{
	int r;

	memset(p, 0, sizeof(*p));
	p->uid = (uid_t)-1;
	p->gid = (gid_t)-1;
	p->pidfd = -1;
	r = check_not_listening(fd, why);
	if (r == 0)
		r = read_credentials(fd, p, why);
	if (r == 0)
		r = read_groups(fd, p, why);
	if (r == 0)
		r = read_pidfd(fd, p, why);
	if (r < 0) { /* a caller that forgets to look must not see half an identity */
		p->uid = (uid_t)-1;
		p->gid = (gid_t)-1;
		p->group_count = 0;
	}
	return r;
}

void peer_deinit(struct peer *p)
{
	if (p->pidfd >= 0)
		close(p->pidfd);
	p->pidfd = -1;
}
