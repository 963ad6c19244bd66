/* SPDX-License-Identifier: MIT */
/*
 * launch.c - starts A and B with a socket between them, as two users where it is root.
 *
 * usage: launch MAPPER DRIVER
 * Exits with B's status: whatever goes wrong with A, B sees.
 */
#define _GNU_SOURCE
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "story.h"

/* Numbers only: the users need not exist. The demo's configuration names the same. */
#define UID_A 1001
#define UID_B 1002

static void become(uid_t uid)
{
	if (geteuid() != 0)
		return;
	if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 ||
	    setresuid(uid, uid, uid) < 0) {
		perror("launch: setresuid");
		_exit(1);
	}
}

static pid_t start(const char *program, uid_t uid, int sock, int other)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	close(other);
	if (sock != STORY_SOCKET && dup2(sock, STORY_SOCKET) < 0)
		_exit(1);
	if (sock != STORY_SOCKET)
		close(sock);
	become(uid);
	execl(program, program, (char *)NULL);
	perror(program);
	_exit(1);
}

int main(int argc, char **argv)
{
	int pair[2], status;

	if (argc != 3 || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0)
		return 2;
	pid_t a = start(argv[1], UID_A, pair[0], pair[1]);
	pid_t b = start(argv[2], UID_B, pair[1], pair[0]);

	close(pair[0]);
	close(pair[1]);
	if (a < 0 || b < 0 || waitpid(b, &status, 0) != b)
		return 2;
	kill(a, SIGKILL);
	waitpid(a, NULL, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
