/* SPDX-License-Identifier: MIT */
/* monitor-spawn.c - starting a session: fork, arrange descriptors, exec. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/monitor.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

/* The environment reaches neither session nor loader, but for what tells whether standard error is the
 * journal, and what instrumented builds need. */
static char **session_environment(void)
{
#ifdef IOB_INSTRUMENTED
	return environ;
#else
	static char *chosen[] = { NULL, NULL };

	for (char **e = environ; *e && !chosen[0]; e++)
		if (strncmp(*e, "JOURNAL_STREAM=", strlen("JOURNAL_STREAM=")) == 0)
			chosen[0] = *e;
	return chosen;
#endif
}

/* Between fork and exec: only async-signal-safe calls. Both fds go above the targets first, so
 * that neither dup2 overwrites the other's source. */
static void arrange_fds(int channel, int empty_dir)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int high_channel = fcntl(channel, F_DUPFD_CLOEXEC, 10);
	int high_dir = fcntl(empty_dir, F_DUPFD_CLOEXEC, 10);

	if (null < 0 || high_channel < 0 || high_dir < 0 || dup2(null, STDIN_FILENO) < 0 ||
	    dup2(null, STDOUT_FILENO) < 0 || dup2(high_channel, PRIV_FD_CHANNEL) < 0 ||
	    dup2(high_dir, PRIV_FD_EMPTY_DIR) < 0)
		_exit(126);
	if (syscall(SYS_close_range, PRIV_FD_EMPTY_DIR + 1, ~0U, 0) < 0)
		_exit(126);
}

static void exec_session(const struct monitor *m, uid_t uid, int channel)
{
	char uid_text[16], backend[16];
	char *const argv[] = { (char *)"iommu-broker-session", uid_text, backend, NULL };
	sigset_t none;

	snprintf(uid_text, sizeof(uid_text), "%u", (unsigned)uid);
	snprintf(backend, sizeof(backend), "%u", (unsigned)m->glue->backend);
	arrange_fds(channel, m->empty_dir_fd);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	setsid(); /* a signal to the monitor's terminal or process group must not reach DMA */
	execve(m->session_path, argv, session_environment());
	_exit(127);
}

int spawn_session(struct monitor *m, uid_t uid, pid_t *pid, int *pidfd, int *channel)
{
	int pair[2];
	int r = message_socketpair(pair);

	if (r < 0)
		return r;
	*pid = fork();
	if (*pid == 0)
		exec_session(m, uid, pair[1]);
	r = *pid < 0 ? -errno : 0;
	close(pair[1]);
	if (r < 0) {
		close(pair[0]);
		return r;
	}
	*pidfd = (int)syscall(SYS_pidfd_open, *pid, 0);
	if (*pidfd < 0) {
		r = -errno;
		kill(*pid, SIGKILL);
		waitpid(*pid, NULL, 0);
		close(pair[0]);
		return r;
	}
	*channel = pair[0];
	return 0;
}

int spawn_collect(int pidfd)
{
	siginfo_t info = { .si_code = CLD_KILLED, .si_status = SIGKILL }; /* if nobody knows */

	while (waitid((idtype_t)P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0 && errno == EINTR)
		;
	return info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
}
