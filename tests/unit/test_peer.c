/* SPDX-License-Identifier: MIT */
/* Who is at the other end: real sockets, and each way of not having a peer. */
#define _GNU_SOURCE

#include "daemon/peer.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

Suite *test_peer_suite(void);

/* The next descriptor to be given out: the same before and after means that none leaked. */
static int next_fd(void)
{
	int fd = dup(0);

	ck_assert_int_ge(fd, 0);
	close(fd);
	return fd;
}

static void expect_refused(int fd, int error)
{
	struct fault why = { 0 };
	struct peer p;
	int free_fd = next_fd();

	memset(&p, 0x11, sizeof(p));
	ck_assert_int_eq(peer_identify(fd, &p, &why), -error);
	ck_assert_uint_eq(why.code, IOB_E_SYSTEM);
	ck_assert_uint_eq(p.uid, (uid_t)-1);
	ck_assert_uint_eq(p.gid, (gid_t)-1);
	ck_assert_uint_eq(p.group_count, 0);
	ck_assert_int_eq(p.pidfd, -1);
	peer_deinit(&p);
	ck_assert_int_eq(next_fd(), free_fd);
}

static bool kernel_has_pidfd(int fd)
{
	int pidfd = -1;
	socklen_t size = sizeof(pidfd);

	if (getsockopt(fd, SOL_SOCKET, 77 /* SO_PEERPIDFD */, &pidfd, &size) < 0)
		return false;
	close(pidfd);
	return true;
}

START_TEST(own_socketpair)
{
	int pair[2], free_fd, supplementary = getgroups(0, NULL);
	struct fault why;
	struct peer p;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	free_fd = next_fd();
	ck_assert_int_eq(peer_identify(pair[0], &p, &why), 0);
	ck_assert_uint_eq(p.uid, geteuid());
	ck_assert_uint_eq(p.gid, getegid());
	ck_assert_int_eq(p.pid, getpid());
	if (supplementary <= PEER_MAX_GROUPS)
		ck_assert_int_eq((int)p.group_count, supplementary);
	ck_assert_int_eq(p.pidfd >= 0, kernel_has_pidfd(pair[0]));
	if (p.pidfd >= 0)
		ck_assert(fcntl(p.pidfd, F_GETFD) & FD_CLOEXEC);
	peer_deinit(&p);
	ck_assert_int_eq(p.pidfd, -1);
	peer_deinit(&p); /* twice does no harm */
	ck_assert_int_eq(next_fd(), free_fd);
	close(pair[0]);
	close(pair[1]);
}
END_TEST

static int listener(struct sockaddr_un *address, socklen_t *size)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	ck_assert_int_ge(fd, 0);
	*size = sizeof(sa_family_t); /* the kernel chooses an abstract name */
	ck_assert_int_eq(bind(fd, (struct sockaddr *)address, *size), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	*size = sizeof(*address);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)address, size), 0);
	return fd;
}

/* Becomes somebody else, connects, and stays until told to go. */
static _Noreturn void be_client(const struct sockaddr_un *address, socklen_t size, int stay,
				const gid_t *groups, size_t count)
{
	char byte;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	if (count && (setgroups(count, groups) < 0 || setgid(4242) < 0 || setuid(4243) < 0))
		_exit(1);
	if (fd < 0 || connect(fd, (const struct sockaddr *)address, size) < 0)
		_exit(2);
	_exit(read(stay, &byte, 1) == 0 ? 0 : 3);
}

/* A connection from a child; *stay: close it and the child ends. */
static int child_connects(pid_t *pid, int *stay, const gid_t *groups, size_t count)
{
	struct sockaddr_un address;
	socklen_t size;
	int fd = listener(&address, &size), pipes[2], accepted;

	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	*pid = fork();
	ck_assert_int_ge(*pid, 0);
	if (*pid == 0) {
		close(pipes[1]);
		be_client(&address, size, pipes[0], groups, count);
	}
	close(pipes[0]);
	*stay = pipes[1];
	accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	ck_assert_int_ge(accepted, 0);
	close(fd);
	return accepted;
}

static void end_child(pid_t pid, int stay)
{
	int status;

	close(stay);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

START_TEST(other_process)
{
	struct fault why;
	struct pollfd ended = { .events = POLLIN };
	struct peer p;
	pid_t pid;
	int stay, fd = child_connects(&pid, &stay, NULL, 0);

	ck_assert_int_eq(peer_identify(fd, &p, &why), 0);
	ck_assert_int_eq(p.pid, pid);
	ended.fd = p.pidfd;
	if (p.pidfd >= 0)
		ck_assert_int_eq(poll(&ended, 1, 0), 0);
	end_child(pid, stay);
	if (p.pidfd >= 0)
		ck_assert_int_eq(poll(&ended, 1, 10000), 1); /* it is this process */
	peer_deinit(&p);
	close(fd);
}
END_TEST

START_TEST(peer_has_ended)
{
	struct fault why;
	struct peer p;
	pid_t pid;
	int r, stay, fd = child_connects(&pid, &stay, NULL, 0);

	end_child(pid, stay);
	r = peer_identify(fd, &p, &why); /* newer kernels still have a pidfd for it */
	ck_assert(r == 0 ? p.uid == geteuid() : p.uid == (uid_t)-1 && p.pidfd == -1);
	peer_deinit(&p);
	close(fd);
}
END_TEST

/* 3: they fit. 64: just so. 65 and 300: cut. */
START_TEST(other_user_with_groups)
{
	static const size_t counts[] = { 3, PEER_MAX_GROUPS, PEER_MAX_GROUPS + 1, 300 };
	size_t count = counts[_i], kept = count < PEER_MAX_GROUPS ? count : PEER_MAX_GROUPS;
	gid_t groups[300];
	struct fault why;
	struct peer p;
	pid_t pid;
	int stay, fd;

	if (geteuid() != 0)
		return;
	for (unsigned i = 0; i < 300; i++)
		groups[i] = 7000 + i;
	fd = child_connects(&pid, &stay, groups, count);
	ck_assert_int_eq(peer_identify(fd, &p, &why), 0);
	ck_assert_uint_eq(p.uid, 4243);
	ck_assert_uint_eq(p.gid, 4242);
	ck_assert_uint_eq(p.group_count, kept);
	ck_assert_int_eq(memcmp(p.groups, groups, kept * sizeof(gid_t)), 0);
	end_child(pid, stay);
	peer_deinit(&p);
	close(fd);
}
END_TEST

START_TEST(no_peer)
{
	struct sockaddr_un address;
	socklen_t size;
	int fd = listener(&address, &size), pipes[2];

	expect_refused(fd, ENOTCONN); /* the kernel would name ourselves */
	close(fd);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	expect_refused(fd, ENOTCONN);
	close(fd);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		expect_refused(fd, ENOTCONN);
		close(fd);
	}
	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	expect_refused(pipes[0], ENOTSOCK);
	close(pipes[0]);
	close(pipes[1]);
	expect_refused(-1, EBADF);
}
END_TEST

Suite *test_peer_suite(void)
{
	Suite *suite = suite_create("peer");
	TCase *tests = tcase_create("peer");

	tcase_add_test(tests, own_socketpair);
	tcase_add_test(tests, other_process);
	tcase_add_test(tests, peer_has_ended);
	tcase_add_loop_test(tests, other_user_with_groups, 0, 4);
	tcase_add_test(tests, no_peer);
	suite_add_tcase(suite, tests);
	return suite;
}
