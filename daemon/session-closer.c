/* SPDX-License-Identifier: MIT */
/* session-closer.c - the companion process that closes descriptors. */
#include "daemon/session-closer.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/session-filter.h"

#define COMPANION_TRIES	   100000
#define COMPANION_PAUSE_US 100

/* ---- the companion ---- */

static int companion_filter(int pipe_fd)
{
	const struct scmp_arg_cmp only_pipe = {
		.arg = 0,
		.op = SCMP_CMP_EQ,
		.datum_a = (scmp_datum_t)pipe_fd,
	};
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = f ? 0 : -ENOMEM;

	if (r == 0)
		r = seccomp_rule_add_array(f, SCMP_ACT_ALLOW, SCMP_SYS(read), 1, &only_pipe);
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(close), 0);
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(exit_group), 0);
	if (r == 0)
		r = seccomp_load(f);
	seccomp_release(f);
	return r;
}

/* It holds every descriptor the session holds, so it must neither be of use to anybody nor outlive
 * the session. The death signal is forgotten when the uid changes: it is set after. */
static int companion_lock_up(uid_t uid, pid_t session, int pipe_fd)
{
	gid_t gid = (gid_t)uid;

	if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 ||
			       setresuid(uid, uid, uid) < 0 || setuid(0) == 0))
		return -EPERM;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return -errno;
	if (getppid() != session)
		return -ESRCH;
	return companion_filter(pipe_fd);
}

static void companion(uid_t uid, pid_t session, const int *ends)
{
	int fd;

	if (companion_lock_up(uid, session, ends[0]) < 0)
		_exit(1);
	while (read(ends[0], &fd, sizeof(fd)) == (ssize_t)sizeof(fd))
		close(fd);
	_exit(0);
}

/* ---- the session ---- */

/* The writing end gets the number that the filter knows. Whatever numbers pipe2() gave, neither end
 * is in the other's way. */
static int make_pipe(int ends[2])
{
	int low[2], writer;

	if (pipe2(low, O_CLOEXEC) < 0)
		return -1;
	ends[0] = fcntl(low[0], F_DUPFD_CLOEXEC, FILTER_FD_CLOSER + 1);
	writer = fcntl(low[1], F_DUPFD_CLOEXEC, FILTER_FD_CLOSER + 1);
	close(low[0]);
	close(low[1]);
	if (ends[0] < 0 || writer < 0)
		return -1;
	ends[1] = dup2(writer, FILTER_FD_CLOSER);
	close(writer);
	return ends[1] < 0 ? -1 : 0;
}

/* It locks itself up before it reads its first number: one that gets closed proves that it is there,
 * and as it should be. Without it nothing would ever be closed. */
static int companion_verify(struct fault *why)
{
	int probe = dup(FILTER_FD_CLOSER);

	if (probe >= 0)
		closer_close(probe);
	for (int i = 0; probe >= 0 && i < COMPANION_TRIES; i++) {
		if (fcntl(probe, F_GETFD) < 0)
			return 0;
		usleep(COMPANION_PAUSE_US);
	}
	return fault_set(why, IOB_E_UNSAFE, IOB_STEP_SESSION, 0,
			 "the companion process does not close what it is told to");
}

int closer_start(uid_t uid, struct fault *why)
{
	pid_t session = getpid();
	int ends[2];

	if (make_pipe(ends) < 0)
		return fault_set(why, IOB_E_UNSAFE, IOB_STEP_SESSION, errno, "no pipe: %s",
				 strerror(errno));
	/* A fork that shares the descriptor table, and nothing else. */
	long pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);

	if (pid < 0)
		return fault_set(why, IOB_E_UNSAFE, IOB_STEP_SESSION, errno,
				 "no companion process: %s", strerror(errno));
	if (pid == 0)
		companion(uid, session, ends);
	return companion_verify(why);
}

/* The pipe holds more numbers than there can be descriptors: it is never full. Without a companion
 * there is nobody left to protect. */
void closer_close(int fd)
{
	if (write(FILTER_FD_CLOSER, &fd, sizeof(fd)) != (ssize_t)sizeof(fd))
		_exit(1);
}

void closer_close_list(struct fd_list *l)
{
	for (unsigned i = 0; i < l->count; i++)
		if (l->fd[i] >= 0)
			closer_close(l->fd[i]);
	l->count = 0;
}
