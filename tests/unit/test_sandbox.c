/* SPDX-License-Identifier: MIT */
/*
 * The sandbox of a session, entered for real by child processes.
 *
 * Four questions: does a forbidden call end the process (forbidden), does the session's work go on
 * (work_*), does the kernel agree, asked from outside (observe_*), and does a stage that did not
 * happen stop the start (lies, obstacles)? For the last, a small filter makes a system call fail,
 * or return 0 without doing anything.
 *
 * Run as root, everything is done as root and as uid 65534; otherwise the latter half only.
 */
#define _GNU_SOURCE
#include "daemon/session-sandbox.h"

#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

Suite *test_sandbox_suite(void);

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

#define CHANNEL	    3
#define EMPTY_DIR   4
#define MAX_FDS	    64
#define SESSION_UID 54321u
#define NOBODY	    65534u
#define REFUSED	    70 /* exit code: sandbox_enter() said no */
#define BROKEN	    71 /* exit code: the scenery of the test fell down */
#define WRONG	    72 /* exit code: something inside is not as it should be */

#define SYS_landlock_create   444
#define SYS_landlock_restrict 446

/* ---- scenery ---- */

enum mode {
	ROOT,	  /* in an empty network namespace, as the monitor leaves it */
	USER,	  /* with user namespaces */
	CONFINED, /* a user whom a container forbids user namespaces and chroot: Landlock */
};
static const enum mode all_modes[] = { ROOT, USER, CONFINED };
static const char *const mode_names[] = { "root", "user", "confined user" };

struct scene {
	enum mode mode;
	void (*setup)(struct sandbox_params *p); /* in the child, before it enters */
	void (*inside)(void);			 /* in the child, after */
	void (*outside)(pid_t pid, int channel); /* in the test, meanwhile */
};

struct outcome {
	int status;
	char text[1024]; /* what the child wrote to its standard error */
};

static struct event_base *base; /* of the child */

static bool is_root(void)
{
	return geteuid() == 0;
}

static void broken(const char *what)
{
	fprintf(stderr, "test: %s: %s\n", what, strerror(errno));
	_exit(BROKEN);
}

/* By stderr, which is not buffered: dprintf() calls lseek(), the filter kills that, and a forbidden
 * call that was let through would look as if it had been caught. */
static void check(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "wrong: %s: %s\n", what, strerror(errno));
	_exit(WRONG);
}

/* From now on the kernel answers a call in this process with an errno, or with 0 for nothing. */
static void spoil(int error, int call, unsigned count, const struct scmp_arg_cmp *args)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);

	if (!f || seccomp_attr_set(f, SCMP_FLTATR_CTL_NNP, is_root() ? 0 : 1) < 0 ||
	    seccomp_rule_add_array(f, SCMP_ACT_ERRNO((uint32_t)error), call, count, args) < 0 ||
	    seccomp_load(f) < 0)
		broken("seccomp");
	seccomp_release(f);
}

static void become_nobody(void)
{
	if (!is_root())
		return;
	if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) < 0)
		broken("setresuid");
}

static void become_monitor_child(void)
{
	static const gid_t groups[] = { 7, 8 };

	if (unshare(CLONE_NEWNET) < 0 || setgroups(COUNT(groups), groups) < 0)
		broken("unshare");
}

static void become(enum mode mode)
{
	if (mode == ROOT) {
		become_monitor_child();
		return;
	}
	become_nobody();
	if (mode == CONFINED) {
		spoil(EPERM, SCMP_SYS(unshare), 0, NULL);
		spoil(EPERM, SCMP_SYS(chroot), 0, NULL);
	}
}

static int removed_directory(void)
{
	char path[] = "/tmp/iob-test-XXXXXX";
	int fd;

	if (!mkdtemp(path))
		broken("mkdtemp");
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || rmdir(path) < 0)
		broken("rmdir");
	return fd;
}

/* As the monitor and exec do it: dumpable, 0 to 4 open and nothing else. */
static void arrange(int log, int channel)
{
	int null = open("/dev/null", O_RDWR);
	int high_log = fcntl(log, F_DUPFD, 20), high_channel = fcntl(channel, F_DUPFD, 20);
	int high_dir = fcntl(removed_directory(), F_DUPFD, 20);

	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(high_log, 2) < 0 ||
	    dup2(high_channel, CHANNEL) < 0 || dup2(high_dir, EMPTY_DIR) < 0 ||
	    syscall(SYS_close_range, EMPTY_DIR + 1, ~0U, 0) < 0 ||
	    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
		broken("descriptors");
}

static void child(const struct scene *scene, int log, int channel)
{
	struct sandbox_params p = {
		.uid = SESSION_UID,
		.empty_dir_fd = EMPTY_DIR,
		.max_fds = MAX_FDS,
		.backend = IOB_BACKEND_IOMMUFD,
	};
	struct fault why = { 0 };

	become(scene->mode);
	arrange(log, channel);
	base = event_base_new();
	if (!base)
		broken("event_base_new");
	if (scene->setup)
		scene->setup(&p);
	if (sandbox_enter(&p, &why) != 0) {
		fprintf(stderr, "%u %s\n", why.code, why.text);
		_exit(REFUSED);
	}
	if (scene->inside)
		scene->inside();
	_exit(0);
}

static void collect(int log, struct outcome *o)
{
	size_t have = 0;
	ssize_t n;

	while ((n = read(log, o->text + have, sizeof(o->text) - 1 - have)) > 0)
		have += (size_t)n;
	o->text[have] = '\0';
}

static struct outcome play(const struct scene *scene)
{
	struct outcome o = { 0 };
	int log[2], channel[2];
	pid_t pid;

	ck_assert(pipe2(log, O_CLOEXEC) == 0);
	ck_assert(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) == 0);
	pid = fork();
	ck_assert(pid >= 0);
	if (pid == 0)
		child(scene, log[1], channel[1]);
	close(log[1]);
	close(channel[1]);
	if (scene->outside)
		scene->outside(pid, channel[0]);
	close(channel[0]);
	collect(log[0], &o);
	close(log[0]);
	ck_assert(waitpid(pid, &o.status, 0) == pid);
	return o;
}

static void expect_exit(const struct outcome *o, int code, const char *what)
{
	ck_assert_msg(WIFEXITED(o->status) && WEXITSTATUS(o->status) == code,
		      "%s: expected exit %d, got status %#x: %s", what, code, (unsigned)o->status,
		      o->text);
}

static void expect_signal(const struct outcome *o, int sig, const char *what)
{
	ck_assert_msg(WIFSIGNALED(o->status) && WTERMSIG(o->status) == sig,
		      "%s: expected signal %d, got status %#x: %s", what, sig, (unsigned)o->status,
		      o->text);
}

/* Valgrind does not know seccomp(2) nor Landlock, and answers some calls itself. Under it only the
 * work of a session is tried. In any other run a missing seccomp is for the tests to find. */
static bool under_valgrind(void)
{
#ifdef IOB_INSTRUMENTED
	const uint32_t action = SECCOMP_RET_KILL_PROCESS;

	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) != 0;
#else
	return false;
#endif
}

/* Without CAP_SYS_ADMIN, as in an ordinary container, there is no empty network to start from. */
static bool can_play(enum mode mode)
{
	pid_t pid;
	int status;

	if (mode != ROOT)
		return mode == USER || !under_valgrind();
	if (!is_root())
		return false;
	pid = fork();
	if (pid == 0)
		_exit(unshare(CLONE_NEWNET) == 0 ? 0 : 1);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

/* ---- forbidden ---- */

#define OF_INSTRUMENTS true
#define NOWHERE	       "no-such-directory/x" /* unfiltered, nothing may be left behind */

/* One call with its arguments. The last column: sanitizers and valgrind need it, so that the filter
 * of an instrumented build lets it through. */
static const struct forbidden {
	const char *name;
	long call;
	long args[5];
	bool of_instruments;
} forbidden[] = {
	/* a way to files */
	{ "openat", SYS_openat, { AT_FDCWD, (long)"/", O_RDONLY }, OF_INSTRUMENTS },
	{ "openat2", 437, { AT_FDCWD, (long)"/" }, false },
	{ "open_by_handle_at", SYS_open_by_handle_at, { 0 }, false },
	{ "memfd_create", SYS_memfd_create, { (long)"x" }, false },
	{ "unlinkat", SYS_unlinkat, { AT_FDCWD, (long)NOWHERE }, false },
	{ "mkdirat", SYS_mkdirat, { AT_FDCWD, (long)NOWHERE, 0700 }, false },
	{ "renameat2", SYS_renameat2, { AT_FDCWD, (long)NOWHERE, AT_FDCWD, (long)NOWHERE }, false },
	{ "linkat", SYS_linkat, { AT_FDCWD, (long)NOWHERE, AT_FDCWD, (long)NOWHERE }, false },
	{ "symlinkat", SYS_symlinkat, { (long)NOWHERE, AT_FDCWD, (long)NOWHERE }, false },
	{ "mknodat", SYS_mknodat, { AT_FDCWD, (long)NOWHERE }, false },
	{ "fchmod", SYS_fchmod, { CHANNEL, 0777 }, false },
	{ "fchown", SYS_fchown, { CHANNEL, 0, 0 }, false },
	{ "ftruncate", SYS_ftruncate, { CHANNEL, 0 }, false },
	{ "fallocate", SYS_fallocate, { CHANNEL, 0, 0, 1 }, false },
	{ "newfstatat of a path", SYS_newfstatat, { AT_FDCWD, (long)"/", 0, 0 }, false },
	{ "statx", SYS_statx, { AT_FDCWD, (long)"/" }, OF_INSTRUMENTS },
	{ "getdents64", SYS_getdents64, { 0 }, false },
	{ "chdir", SYS_chdir, { (long)"/" }, false },
	{ "fchdir", SYS_fchdir, { 0 }, false },
	{ "chroot", SYS_chroot, { (long)"/" }, false },
	{ "mount", SYS_mount, { (long)"x", (long)"/", (long)"tmpfs" }, false },
	{ "fsopen", 430, { (long)"tmpfs" }, false },
	{ "open_tree", 428, { AT_FDCWD, (long)"/" }, false },
	{ "pivot_root", SYS_pivot_root, { (long)".", (long)"." }, false },
	{ "name_to_handle_at", SYS_name_to_handle_at, { 0 }, false },
#ifdef SYS_open
	{ "open", SYS_open, { (long)"/", O_RDONLY }, OF_INSTRUMENTS },
	{ "creat", SYS_creat, { (long)NOWHERE, 0600 }, false },
	{ "unlink", SYS_unlink, { (long)"/x" }, OF_INSTRUMENTS },
	{ "chmod", SYS_chmod, { (long)"/", 0777 }, false },
#endif
	/* a way to the network, and to other processes by sockets and SysV objects */
	{ "socket, unix", SYS_socket, { AF_UNIX, SOCK_STREAM }, false },
	{ "socket, inet", SYS_socket, { AF_INET, SOCK_DGRAM }, false },
	{ "socket, netlink", SYS_socket, { AF_NETLINK, SOCK_RAW }, false },
	{ "socket, vsock", SYS_socket, { AF_VSOCK, SOCK_STREAM }, false },
	{ "socketpair", SYS_socketpair, { AF_UNIX, SOCK_STREAM }, false },
	{ "connect", SYS_connect, { CHANNEL }, false },
	{ "bind", SYS_bind, { CHANNEL }, false },
	{ "listen", SYS_listen, { CHANNEL }, false },
	{ "accept4", SYS_accept4, { CHANNEL }, false },
	{ "sendto", SYS_sendto, { CHANNEL }, false },
	{ "recvfrom", SYS_recvfrom, { CHANNEL }, false },
	{ "setsockopt", SYS_setsockopt, { CHANNEL, SOL_SOCKET, SO_PASSCRED }, false },
	{ "getsockopt of another option",
	  SYS_getsockopt,
	  { CHANNEL, SOL_SOCKET, SO_RCVBUF },
	  false },
	{ "getsockopt of another level", SYS_getsockopt, { CHANNEL, 6, SO_TYPE }, false },
	{ "shmget", SYS_shmget, { 1, 4096, 01600 }, false },
	{ "msgget", SYS_msgget, { 1, 01600 }, false },
	{ "semget", SYS_semget, { 1, 1, 01600 }, false },
	{ "mq_open", SYS_mq_open, { (long)NOWHERE, O_CREAT }, false },
	{ "io_uring_setup", 425, { 1 }, false },
	{ "bpf", SYS_bpf, { 0 }, false },
	{ "keyctl", SYS_keyctl, { 0 }, false },
	{ "add_key", SYS_add_key, { 0 }, false },
	/* other processes */
	{ "clone", SYS_clone, { SIGCHLD }, false },
	{ "clone3", 435, { 0, 0 }, false },
	{ "execve", SYS_execve, { (long)"/bin/true" }, false },
	{ "execveat", SYS_execveat, { 0, (long)"", 0, 0, AT_EMPTY_PATH }, false },
	{ "kill of all", SYS_kill, { -1, 0 }, false },
	{ "kill of init", SYS_kill, { 1, SIGABRT }, false },
	{ "tgkill of another", SYS_tgkill, { 1, 1, SIGABRT }, false },
	{ "tkill", SYS_tkill, { 1, SIGABRT }, false },
	{ "rt_sigqueueinfo", SYS_rt_sigqueueinfo, { 1, SIGABRT }, false },
	{ "pidfd_open", 434, { 1 }, false },
	{ "pidfd_send_signal", 424, { 0, 0 }, false },
	{ "pidfd_getfd", 438, { 0, 0 }, false },
	{ "ptrace", SYS_ptrace, { 0 /* TRACEME */ }, false },
	{ "process_vm_readv", SYS_process_vm_readv, { 1 }, false },
	{ "process_vm_writev", SYS_process_vm_writev, { 1 }, false },
	{ "process_madvise", 440, { 0 }, false },
	{ "kcmp", SYS_kcmp, { 1, 1 }, false },
	{ "perf_event_open", SYS_perf_event_open, { 0 }, false },
	{ "setpriority", SYS_setpriority, { 0 }, false },
	{ "sched_setscheduler", SYS_sched_setscheduler, { 0 }, false },
#ifdef SYS_fork
	{ "fork", SYS_fork, { 0 }, false },
	{ "vfork", SYS_vfork, { 0 }, false },
#endif
	/* undoing the sandbox */
	{ "setuid", SYS_setuid, { 0 }, false },
	{ "setresuid", SYS_setresuid, { 0, 0, 0 }, false },
	{ "setgid", SYS_setgid, { 0 }, false },
	{ "setgroups", SYS_setgroups, { 0 }, false },
	{ "setfsuid", SYS_setfsuid, { 0 }, false },
	{ "capset", SYS_capset, { 0 }, false },
	{ "prctl dumpable", SYS_prctl, { PR_SET_DUMPABLE, 1 }, false },
	{ "prctl mm", SYS_prctl, { PR_SET_MM, 0 }, false },
	{ "seccomp", SYS_seccomp, { 0 }, false },
	{ "prlimit64", SYS_prlimit64, { 0, RLIMIT_FSIZE, 0, 0 }, false },
	{ "unshare", SYS_unshare, { CLONE_NEWUSER }, false },
	{ "setns", SYS_setns, { 0, 0 }, false },
	{ "landlock_restrict_self", SYS_landlock_restrict, { 0 }, false },
	{ "personality", SYS_personality, { 0x0400000 /* READ_IMPLIES_EXEC */ }, false },
	{ "rt_sigaction", SYS_rt_sigaction, { SIGTERM }, OF_INSTRUMENTS },
	/* memory that becomes code, or that is not ours */
	{ "mmap, executable",
	  SYS_mmap,
	  { 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1 },
	  OF_INSTRUMENTS },
	{ "mprotect, executable", SYS_mprotect, { 0, 4096, PROT_EXEC }, false },
	{ "pkey_mprotect", SYS_pkey_mprotect, { 0, 4096, PROT_EXEC, -1 }, false },
	{ "remap_file_pages", SYS_remap_file_pages, { 0 }, false },
	{ "madvise, removing", SYS_madvise, { 0, 4096, MADV_REMOVE }, false },
	{ "userfaultfd", SYS_userfaultfd, { 0 }, false },
	{ "mlockall", SYS_mlockall, { MCL_CURRENT }, false },
	/* calls that are allowed for some arguments only */
	{ "fcntl F_SETOWN", SYS_fcntl, { CHANNEL, F_SETOWN, 1 }, false },
	{ "fcntl F_SETOWN_EX", SYS_fcntl, { CHANNEL, F_SETOWN_EX, 0 }, false },
	{ "fcntl F_SETSIG", SYS_fcntl, { CHANNEL, F_SETSIG, SIGKILL }, false },
	{ "fcntl F_SETFL", SYS_fcntl, { CHANNEL, F_SETFL, O_ASYNC }, false },
	{ "fcntl F_SETLEASE", SYS_fcntl, { CHANNEL, F_SETLEASE, F_WRLCK }, false },
	{ "fcntl F_ADD_SEALS", SYS_fcntl, { CHANNEL, F_ADD_SEALS, F_SEAL_WRITE }, false },
	{ "fcntl F_NOTIFY", SYS_fcntl, { CHANNEL, F_NOTIFY, 1 }, false },
	{ "write to the channel", SYS_write, { CHANNEL, (long)"x", 1 }, false },
	{ "write to standard output", SYS_write, { STDOUT_FILENO, (long)"x", 1 }, false },
	{ "writev to the channel", SYS_writev, { CHANNEL }, false },
	{ "read", SYS_read, { CHANNEL, 0, 0 }, false },
	{ "tgkill of self by SIGKILL", SYS_tgkill, { 0, 0, SIGKILL }, false },
	{ "ioctl TIOCSTI", SYS_ioctl, { 2, TIOCSTI }, false },
	{ "ioctl TIOCLINUX", SYS_ioctl, { 2, 0x541c }, false },
	{ "ioctl FIONBIO", SYS_ioctl, { CHANNEL, FIONBIO }, false },
	{ "ioctl FIOASYNC", SYS_ioctl, { CHANNEL, FIOASYNC }, false },
	{ "ioctl SIOCSPGRP", SYS_ioctl, { CHANNEL, 0x8902 }, false },
	{ "ioctl VFIO_GROUP_SET_CONTAINER", SYS_ioctl, { 0, 0x3b68 }, false },
	{ "ioctl VFIO_GROUP_GET_DEVICE_FD", SYS_ioctl, { 0, 0x3b6a }, false },
	{ "ioctl VFIO_DEVICE_IOEVENTFD", SYS_ioctl, { 0, 0x3b74 }, false },
	{ "ioctl VFIO_DEVICE_BIND_IOMMUFD", SYS_ioctl, { 0, 0x3b76 }, false },
	{ "ioctl type1 MAP_DMA, on a device hot reset, in a session of iommufd",
	  SYS_ioctl,
	  { 0, 0x3b71 },
	  false },
	{ "ioctl IOMMU_OPTION", SYS_ioctl, { 0, 0x3b87 }, false },
	{ "ioctl IOMMU_IOAS_MAP_FILE, as long as the mapper does not trust it",
	  SYS_ioctl,
	  { 0, 0x3b8f },
	  false },
	{ "ioctl IOMMU_IOAS_CHANGE_PROCESS", SYS_ioctl, { 0, 0x3b92 }, false },
	{ "ioctl IOMMU_TEST", SYS_ioctl, { 0, 0x3ba0 }, false },
	/* descriptors and data moved around the calls above */
	{ "dup3", SYS_dup3, { 0, CHANNEL, 0 }, false },
	{ "close_range", 436, { CHANNEL, CHANNEL, 0 }, false },
	{ "splice", SYS_splice, { 0 }, false },
	{ "sendfile", SYS_sendfile, { 0 }, false },
	{ "copy_file_range", SYS_copy_file_range, { 0 }, false },
	{ "sendmmsg", SYS_sendmmsg, { CHANNEL }, false },
	{ "recvmmsg", SYS_recvmmsg, { CHANNEL }, false },
	{ "pwritev2", SYS_pwritev2, { CHANNEL }, false },
	{ "timer_create", SYS_timer_create, { 0 }, false },
	{ "a call of the future", 1000, { 0 }, false },
	{ "a call that never was", -5, { 0 }, false },
};

static const struct forbidden *attempt;

static void attempt_it(void)
{
	long a[5];

	memcpy(a, attempt->args, sizeof(a));
	if (attempt->call == SYS_tgkill && a[0] == 0)
		a[0] = a[1] = getpid();
	syscall(attempt->call, a[0], a[1], a[2], a[3], a[4], 0);
	check(false, "the call came back");
}

static void expect_forbidden(enum mode mode, const struct forbidden *f)
{
	struct scene scene = { .mode = mode, .inside = attempt_it };
	struct outcome o;

#ifdef IOB_INSTRUMENTED
	if (f->of_instruments)
		return;
#endif
	attempt = f;
	o = play(&scene);
	expect_signal(&o, SIGSYS, f->name);
}

START_TEST(forbidden_call)
{
	for (size_t i = 0; i < COUNT(all_modes); i++)
		if (can_play(all_modes[i]))
			expect_forbidden(all_modes[i], &forbidden[_i]);
}
END_TEST

#ifdef __x86_64__
/* getpid is 20 for i386: allowed by no table. 39 is getpid of x86-64 and mkdir of i386. */
static void call_i386(void)
{
	long r;

	__asm__ volatile("int $0x80" : "=a"(r) : "a"(20L) : "memory");
	check(false, "the call came back");
}

static void call_x32(void)
{
	syscall(0x40000000L | SYS_getpid);
	check(false, "the call came back");
}

START_TEST(forbidden_architectures)
{
	struct outcome o = play(&(struct scene){ .mode = USER, .inside = call_x32 });

	expect_signal(&o, SIGSYS, "x32");
	o = play(&(struct scene){ .mode = USER, .inside = call_i386 });
	/* SIGSEGV where the kernel has no 32-bit calls at all */
	ck_assert_msg(WIFSIGNALED(o.status) && strstr(o.text, "came back") == NULL, "i386: %s",
		      o.text);
}
END_TEST
#endif

/* ---- work ---- */

static void send_fd(int channel, int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)"m", .iov_len = 1 };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.bytes,
			    .msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	if (sendmsg(channel, &m, MSG_NOSIGNAL) != 1)
		perror("sendmsg");
}

static int receive_fd(int channel)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.bytes,
			    .msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *c;
	int fd = -1;

	if (recvmsg(channel, &m, MSG_CMSG_CLOEXEC) != 1)
		return -1;
	c = CMSG_FIRSTHDR(&m);
	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof(int));
	return fd;
}

static void check_memory(int fd)
{
	struct stat st;
	char *p;

	check(fstat(fd, &st) == 0 && st.st_size == 8192 && S_ISREG(st.st_mode), "fstat");
	check((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR, "F_GETFL");
	check(fcntl(fd, F_GET_SEALS) == (F_SEAL_SHRINK | F_SEAL_GROW), "F_GET_SEALS");
	p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	check(p != MAP_FAILED && p[0] == 'a', "mmap of a client's memory");
	p[4096] = 'b';
	check(munmap(p, 8192) == 0, "munmap");
}

/* A listed number gets as far as /dev/null, which has no ioctl; also with what a compiler, or an
 * attacker, left in the upper half. */
static void check_ioctl(void)
{
	check(ioctl(STDIN_FILENO, 0x3b85, NULL) < 0 && errno == ENOTTY, "ioctl");
	check(syscall(SYS_ioctl, 0L, 0x3b6bL | 1L << 40, 0L) < 0 && errno == ENOTTY,
	      "ioctl with a long number");
}

static void check_socket(int fd)
{
	uint64_t cookie = 0;
	int type = 0;
	socklen_t length = sizeof(cookie);

	check(getsockopt(fd, SOL_SOCKET, 57 /* SO_COOKIE */, &cookie, &length) == 0 && cookie != 0,
	      "SO_COOKIE");
	length = sizeof(type);
	check(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_SEQPACKET,
	      "SO_TYPE");
	length = sizeof(type);
	check(getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &type, &length) == 0 && type == AF_UNIX,
	      "SO_DOMAIN");
}

static void on_readable(evutil_socket_t channel, short what, void *arg)
{
	int fd = receive_fd((int)channel);
	char byte;

	(void)what;
	(void)arg;
	check(fd >= 0, "receiving a descriptor");
	check_memory(fd);
	check(pread(fd, &byte, 1, 4096) == 1 && byte == 'b', "pread");
	check_socket((int)channel);
	check_ioctl();
	send_fd((int)channel, fd);
	close(fd);
	event_base_loopbreak(base);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	int *ticks = arg;

	(void)fd;
	(void)what;
	if (++*ticks == 3)
		event_base_loopbreak(base);
}

static void loop_inside(void)
{
	struct event *readable = event_new(base, CHANNEL, EV_READ | EV_PERSIST, on_readable, NULL);
	int ticks = 0;
	struct event *timer = event_new(base, -1, EV_PERSIST, on_timer, &ticks);
	const struct timeval soon = { .tv_usec = 1000 };

	check(readable && timer && event_add(readable, NULL) == 0, "event_add");
	check(event_base_dispatch(base) == 0, "dispatch");
	event_del(readable);
	check(event_add(timer, &soon) == 0 && event_base_dispatch(base) == 0 && ticks == 3,
	      "timer");
	event_free(readable);
	event_free(timer);
	event_base_free(base);
	fprintf(stderr, "done: %s\n", strerror(ENOENT));
}

static int client_memory(void)
{
	int fd = memfd_create("client", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert(fd >= 0 && ftruncate(fd, 8192) == 0 && pwrite(fd, "a", 1, 0) == 1);
	ck_assert(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0);
	return fd;
}

static void loop_outside(pid_t pid, int channel)
{
	int fd = client_memory(), back;
	char byte;

	(void)pid;
	send_fd(channel, fd);
	back = receive_fd(channel);
	ck_assert(pread(fd, &byte, 1, 4096) == 1);
	if (back >= 0) /* otherwise the child tells what went wrong */
		ck_assert_int_eq(byte, 'b');
	close(back);
	close(fd);
}

static void expect_work(void (*inside)(void), void (*outside)(pid_t, int), const char *word)
{
	for (size_t i = 0; i < COUNT(all_modes); i++) {
		struct scene scene = { all_modes[i], NULL, inside, outside };
		struct outcome o;

		if (!can_play(scene.mode))
			continue;
		o = play(&scene);
		expect_exit(&o, 0, mode_names[scene.mode]);
		ck_assert_msg(strstr(o.text, word) != NULL, "%s: %s", mode_names[scene.mode],
			      o.text);
	}
}

START_TEST(work_loop)
{
	expect_work(loop_inside, loop_outside, "done: No such file");
}
END_TEST

/* Calls of other versions of glibc, of other architectures, and of clocks that user space cannot
 * read: none happens in the tests above here. They come back, that is all. */
static const struct {
	const char *name;
	long call;
	long args[4];
} allowed[] = {
	{ "fstat", SYS_fstat, { CHANNEL, 0 } },
	{ "newfstatat", SYS_newfstatat, { CHANNEL, (long)"", 0, AT_EMPTY_PATH } },
	{ "fstatfs", SYS_fstatfs, { CHANNEL, 0 } },
	{ "shutdown", SYS_shutdown, { CHANNEL, 2 } },
	{ "epoll_pwait", SYS_epoll_pwait, { CHANNEL, 0, 1, 0 } },
	{ "clock_gettime", SYS_clock_gettime, { CLOCK_MONOTONIC, 0 } },
	{ "gettimeofday", SYS_gettimeofday, { 0, 0 } },
	{ "madvise", SYS_madvise, { 0, 4096, MADV_DONTNEED } },
	{ "writev to standard error", SYS_writev, { STDERR_FILENO, 0, 0 } },
	{ "fcntl F_DUPFD_CLOEXEC", SYS_fcntl, { CHANNEL, F_DUPFD_CLOEXEC, 0 } },
};

static void allowed_inside(void)
{
	for (size_t i = 0; i < COUNT(allowed); i++) {
		const long *a = allowed[i].args;

		fprintf(stderr, "%s\n", allowed[i].name);
		syscall(allowed[i].call, a[0], a[1], a[2], a[3], 0, 0);
	}
	fputs("came back\n", stderr);
}

START_TEST(work_rare)
{
	expect_work(allowed_inside, NULL, "came back");
}
END_TEST

/* brk, mmap, mremap, munmap, and, when brk is used up, what malloc does instead */
static void heap_inside(void)
{
	char *small[2000], *large = NULL;

	for (size_t i = 0; i < COUNT(small); i++)
		check((small[i] = malloc(1 + i)) != NULL, "malloc");
	for (size_t bytes = 1 << 16; bytes <= 1 << 24; bytes *= 2) {
		char *larger = realloc(large, bytes);

		check(larger != NULL, "realloc");
		large = larger;
		memset(large, 1, bytes);
	}
	free(large);
	for (size_t i = 0; i < COUNT(small); i++)
		free(small[i]);
	check(mprotect((void *)((uintptr_t)small & ~(uintptr_t)4095), 4096,
		       PROT_READ | PROT_WRITE) == 0,
	      "mprotect");
	fprintf(stderr, "%s %d\n", "heap is", 17);
}

START_TEST(work_heap)
{
	expect_work(heap_inside, NULL, "heap is 17");
}
END_TEST

static void exit_inside(void)
{
	fputs("leaving\n", stderr);
	exit(0);
}

START_TEST(work_exit)
{
	expect_work(exit_inside, NULL, "leaving");
}
END_TEST

/* A handler returns, by rt_sigreturn. */
static void on_abort(int sig)
{
	(void)sig;
}

static void handle_abort(struct sandbox_params *p)
{
	(void)p;
	signal(SIGABRT, on_abort);
}

static void handler_inside(void)
{
	check(raise(SIGABRT) == 0, "raise");
	fputs("handled\n", stderr);
}

START_TEST(work_handler)
{
	struct outcome o = play(
		&(struct scene){ .mode = USER, .setup = handle_abort, .inside = handler_inside });

	expect_exit(&o, 0, "a signal handler");
}
END_TEST

/* A failed assertion must look like one, not like a forbidden call. */
START_TEST(work_abort)
{
	for (size_t i = 0; i < COUNT(all_modes); i++) {
		struct outcome o;

		if (!can_play(all_modes[i]))
			continue;
		o = play(&(struct scene){ .mode = all_modes[i], .inside = abort });
		expect_signal(&o, SIGABRT, "abort");
	}
}
END_TEST

#ifndef IOB_INSTRUMENTED /* there may be a log of valgrind's */
/* FSIZE 0: no byte into the file of a client by write... */
static void write_memory_inside(void)
{
	int fd = receive_fd(CHANNEL);

	check(pwrite(fd, "c", 1, 0) < 0, "the client's memory was written");
}

static void write_memory_outside(pid_t pid, int channel)
{
	int fd = client_memory();

	(void)pid;
	send_fd(channel, fd);
	close(fd);
}

START_TEST(limit_of_file_size)
{
	struct outcome o = play(&(struct scene){
		.mode = USER, .inside = write_memory_inside, .outside = write_memory_outside });

	expect_signal(&o, SIGXFSZ, "pwrite");
}
END_TEST
#endif

/* ... but a log that is a file must still be written. */
static int log_file = -1;

static void log_into_memfd(struct sandbox_params *p)
{
	int fd = receive_fd(CHANNEL);

	(void)p;
	check(dup2(fd, STDERR_FILENO) == STDERR_FILENO && close(fd) == 0, "dup2");
}

static void log_inside(void)
{
	fputs("to a file\n", stderr);
}

static void log_outside(pid_t pid, int channel)
{
	(void)pid;
	send_fd(channel, log_file);
}

START_TEST(work_log_file)
{
	struct outcome o;
	char text[32] = "";

	log_file = memfd_create("log", MFD_CLOEXEC);
	ck_assert(log_file >= 0);
	o = play(&(struct scene){ USER, log_into_memfd, log_inside, log_outside });
	expect_exit(&o, 0, "a log in a regular file");
	ck_assert(pread(log_file, text, sizeof(text) - 1, 0) > 0);
	ck_assert_str_eq(text, "to a file\n");
	close(log_file);
}
END_TEST

/* ---- what the kernel says of a session from outside ---- */

static enum mode observed;

static void wait_inside(void)
{
	struct iovec iov = { .iov_base = (void *)"r", .iov_len = 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	check(sendmsg(CHANNEL, &m, 0) == 1, "sendmsg");
	receive_fd(CHANNEL); /* until the other end is closed */
}

static void read_proc(pid_t pid, const char *name, char *text, size_t size)
{
	char path[64];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		n = read(fd, text, size - 1);
	ck_assert_msg(n > 0, "%s: %s", path, strerror(errno));
	text[n] = '\0';
	close(fd);
}

__attribute__((format(printf, 2, 3))) static void expect_line(const char *text, const char *format,
							      ...)
{
	char line[128];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	ck_assert_msg(strstr(text, line) != NULL, "no \"%s\" in:\n%s", line, text);
}

static void observe_status(pid_t pid)
{
	uid_t uid = observed == ROOT ? SESSION_UID : is_root() ? NOBODY : getuid();
	char text[4096];

	read_proc(pid, "status", text, sizeof(text));
	expect_line(text, "\nUid:\t%u\t%u\t%u\t%u\n", uid, uid, uid, uid);
	if (observed == ROOT)
		expect_line(text, "\nGid:\t%u\t%u\t%u\t%u\n", uid, uid, uid, uid);
	if (is_root())
		expect_line(text, "\nGroups:\t \n");
	expect_line(text, "\nCapInh:\t0000000000000000\n");
	expect_line(text, "\nCapPrm:\t0000000000000000\n");
	expect_line(text, "\nCapEff:\t0000000000000000\n");
	expect_line(text, "\nCapAmb:\t0000000000000000\n");
	if (observed != CONFINED)
		expect_line(text, "\nCapBnd:\t0000000000000000\n");
	expect_line(text, "\nNoNewPrivs:\t1\n");
	expect_line(text, "\nSeccomp:\t2\n");
}

static void observe_limits(pid_t pid)
{
	char text[4096];

	read_proc(pid, "limits", text, sizeof(text));
#ifndef IOB_INSTRUMENTED
	expect_line(text, "Max open files            64                   64 ");
	expect_line(text, "Max file size             0                    0 ");
#endif
	expect_line(text, "Max core file size        0                    0 ");
	expect_line(text, "Max processes             0                    0 ");
	expect_line(text, "Max msgqueue size         0                    0 ");
	expect_line(text, "Max nice priority         0                    0 ");
	expect_line(text, "Max realtime priority     0                    0 ");
}

/* Not dumpable: its files in /proc belong to root. */
static void observe_owner(pid_t pid)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	ck_assert(stat(path, &st) == 0);
	ck_assert_uint_eq(st.st_uid, 0);
}

static void expect_link(pid_t pid, const char *name, bool ours)
{
	char theirs[64], path[64], a[128] = "", b[128] = "";

	snprintf(theirs, sizeof(theirs), "/proc/%d/%s", pid, name);
	snprintf(path, sizeof(path), "/proc/self/%s", name);
	ck_assert(readlink(theirs, a, sizeof(a) - 1) > 0 && readlink(path, b, sizeof(b) - 1) > 0);
	ck_assert_msg((strcmp(a, b) == 0) == ours, "%s: %s, here %s", name, a, b);
}

/* Only root may follow these links. */
static void observe_namespaces(pid_t pid)
{
	expect_link(pid, "ns/net", observed == CONFINED);
	expect_link(pid, "ns/user", observed != USER);
	expect_link(pid, "ns/ipc", observed != USER); /* root: the monitor's part */
	expect_link(pid, "root", observed == CONFINED);
}

static void observe(pid_t pid, int channel)
{
	char byte;

	ck_assert(recv(channel, &byte, 1, 0) == 1);
	observe_status(pid);
	observe_limits(pid);
	observe_owner(pid);
	if (is_root())
		observe_namespaces(pid);
}

START_TEST(observed_from_outside)
{
	struct scene scene = { (enum mode)_i, NULL, wait_inside, observe };
	struct outcome o;

	observed = scene.mode;
	if (!can_play(observed))
		return;
	o = play(&scene);
	expect_exit(&o, 0, mode_names[observed]);
}
END_TEST

/* ---- stages that were not done ---- */

/* clang-format off */
#define ARG(n, operation, value) { (n), SCMP_CMP_##operation, (value), 0 }
#define ALWAYS			 0, { { 0 } }
#define FIRST(value)		 1, { ARG(0, EQ, (value)) }
#define SETTING(resource)	 2, { ARG(1, EQ, (resource)), ARG(2, NE, 0) }
/* clang-format on */

/* The call returns 0 and nothing has happened: only the verification can notice. */
static const struct lie {
	enum mode mode;
	const char *stage; /* that must refuse */
	int call;
	unsigned count;
	struct scmp_arg_cmp args[2];
} lies[] = {
	{ ROOT, "no new privileges", SCMP_SYS(prctl), FIRST(PR_SET_NO_NEW_PRIVS) },
	{ ROOT, "limits: limit core", SCMP_SYS(prlimit64), SETTING(RLIMIT_CORE) },
	{ ROOT, "limits: limit nproc", SCMP_SYS(prlimit64), SETTING(RLIMIT_NPROC) },
#ifndef IOB_INSTRUMENTED /* has no such limit */
	{ USER, "limits: limit fsize", SCMP_SYS(prlimit64), SETTING(RLIMIT_FSIZE) },
#endif
	{ USER, "limits: limit nofile", SCMP_SYS(prlimit64), SETTING(RLIMIT_NOFILE) },
	{ USER, "network", SCMP_SYS(unshare), ALWAYS },
	{ ROOT, "root directory", SCMP_SYS(chroot), ALWAYS },
	{ ROOT, "root directory", SCMP_SYS(fchdir), ALWAYS },
	{ USER, "root directory", SCMP_SYS(chroot), ALWAYS },
	{ ROOT, "Landlock", SYS_landlock_restrict, ALWAYS },
	{ USER, "Landlock", SYS_landlock_restrict, ALWAYS },
	{ CONFINED, "Landlock", SYS_landlock_restrict, ALWAYS },
	{ ROOT, "bounding set", SCMP_SYS(prctl), FIRST(PR_CAPBSET_DROP) },
	{ USER, "bounding set", SCMP_SYS(prctl), FIRST(PR_CAPBSET_DROP) },
	{ ROOT, "identity", SCMP_SYS(setresuid), ALWAYS },
	{ ROOT, "identity", SCMP_SYS(setresgid), ALWAYS },
	{ ROOT, "identity: supplementary", SCMP_SYS(setgroups), ALWAYS },
	{ USER, "capabilities", SCMP_SYS(capset), ALWAYS },
	/* a change of identity or user namespace takes dumpable away as well */
	{ CONFINED, "process attributes", SCMP_SYS(prctl), FIRST(PR_SET_DUMPABLE) },
	{ USER, "system call filter", SCMP_SYS(seccomp), FIRST(SECCOMP_SET_MODE_FILTER) },
	{ CONFINED, "system call filter", SCMP_SYS(seccomp), FIRST(SECCOMP_SET_MODE_FILTER) },
};

static const struct lie *lie;

static void tell_lie(struct sandbox_params *p)
{
	(void)p;
	spoil(0, lie->call, lie->count, lie->args);
}

static void expect_refusal(const struct outcome *o, const char *words)
{
	expect_exit(o, REFUSED, words);
	ck_assert_msg(strstr(o->text, words) != NULL, "no \"%s\" in: %s", words, o->text);
}

static bool has_landlock(void)
{
	return syscall(SYS_landlock_create, NULL, 0, 1) > 0;
}

START_TEST(stage_not_done)
{
	char words[64];
	struct outcome o;

	lie = &lies[_i];
	if (!can_play(lie->mode) || (lie->call == SYS_landlock_restrict && !has_landlock()))
		return;
	snprintf(words, sizeof(words), "sandbox: %s", lie->stage);
	o = play(&(struct scene){ .mode = lie->mode, .setup = tell_lie });
	expect_refusal(&o, words);
}
END_TEST

/* ---- obstacles ---- */

static void ask_for_uid_0(struct sandbox_params *p)
{
	p->uid = 0;
}

static void ask_for_uid_none(struct sandbox_params *p)
{
	p->uid = (uid_t)-1;
}

static void ask_for_too_many_fds(struct sandbox_params *p)
{
	const struct rlimit limit = { .rlim_cur = 50, .rlim_max = 50 };

	(void)p;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		broken("setrlimit");
}

static void leak(struct sandbox_params *p, int fd)
{
	(void)p;
	if (fd < 0)
		broken("leak");
}

static void leak_file(struct sandbox_params *p)
{
	leak(p, open("/proc/version", O_RDONLY));
}

static void leak_directory(struct sandbox_params *p)
{
	leak(p, open("/", O_RDONLY | O_DIRECTORY));
}

static void leak_socket(struct sandbox_params *p)
{
	leak(p, socket(AF_UNIX, SOCK_STREAM, 0));
}

/* an anonymous inode, as VFIO's and iommufd's are, but not one of the loop's */
static void leak_anonymous(struct sandbox_params *p)
{
	leak(p, inotify_init1(0));
}

static void leak_memory(struct sandbox_params *p)
{
	leak(p, memfd_create("x", 0));
}

static void lose_input(struct sandbox_params *p)
{
	(void)p;
	close(STDIN_FILENO);
}

static void directory_as_output(struct sandbox_params *p)
{
	int fd = open("/", O_RDONLY | O_DIRECTORY);

	(void)p;
	if (dup2(fd, STDOUT_FILENO) < 0 || close(fd) < 0)
		broken("dup2");
}

static void file_as_channel(struct sandbox_params *p)
{
	(void)p;
	if (dup2(STDIN_FILENO, CHANNEL) < 0)
		broken("dup2");
}

static void living_directory(struct sandbox_params *p)
{
	int fd = open("/tmp", O_RDONLY | O_DIRECTORY);

	if (dup2(fd, p->empty_dir_fd) < 0 || close(fd) < 0)
		broken("dup2");
}

static void no_directory(struct sandbox_params *p)
{
	if (dup2(STDIN_FILENO, p->empty_dir_fd) < 0)
		broken("dup2");
}

static void no_capability(cap_value_t value)
{
	cap_t caps = cap_get_proc();

	if (!caps || cap_set_flag(caps, CAP_EFFECTIVE, 1, &value, CAP_CLEAR) < 0 ||
	    cap_set_flag(caps, CAP_PERMITTED, 1, &value, CAP_CLEAR) < 0 || cap_set_proc(caps) < 0)
		broken("capabilities");
	cap_free(caps);
}

static void no_chroot_capability(struct sandbox_params *p)
{
	(void)p;
	no_capability(CAP_SYS_CHROOT);
}

static void no_setpcap(struct sandbox_params *p)
{
	(void)p;
	no_capability(CAP_SETPCAP);
}

static void no_setuid(struct sandbox_params *p)
{
	(void)p;
	no_capability(CAP_SETUID);
}

static void no_landlock(struct sandbox_params *p)
{
	(void)p;
	spoil(ENOSYS, SYS_landlock_create, 0, NULL);
}

/* Landlock compiled in, but not in the kernel's list of security modules */
static void landlock_off(struct sandbox_params *p)
{
	(void)p;
	spoil(EOPNOTSUPP, SYS_landlock_create, 0, NULL);
}

static void no_seccomp(struct sandbox_params *p)
{
	const struct scmp_arg_cmp args[] = { ARG(0, EQ, PR_SET_SECCOMP) };

	(void)p;
	spoil(EINVAL, SCMP_SYS(prctl), COUNT(args), args);
	spoil(EINVAL, SCMP_SYS(seccomp), 0, NULL);
}

/* Ubuntu: the namespace is made, but gives no capabilities */
static void powerless_namespace(struct sandbox_params *p)
{
	(void)p;
	spoil(EPERM, SCMP_SYS(chroot), 0, NULL);
}

static void powerless_namespace_no_landlock(struct sandbox_params *p)
{
	powerless_namespace(p);
	no_landlock(p);
}

static const struct obstacle {
	enum mode mode;
	void (*setup)(struct sandbox_params *p);
	const char *words; /* NULL: it must not matter */
} obstacles[] = {
	{ ROOT, ask_for_uid_0, "identity: a session cannot run as uid 0" },
	{ ROOT, ask_for_uid_none, "identity: a session cannot run as uid 4294967295" },
	{ USER, ask_for_uid_0, NULL },
	{ USER, ask_for_too_many_fds, "limits: limit nofile cannot be set to 64" },
	{ ROOT, leak_file, "leaked into the session: /proc/version" },
	{ USER, leak_file, "leaked into the session" },
	{ USER, leak_directory, "leaked into the session" },
	{ USER, leak_socket, "leaked into the session" },
	{ USER, leak_memory, "leaked into the session" },
	{ USER, leak_anonymous, "leaked into the session" },
	{ USER, lose_input, "descriptors: descriptor 0 is not open" },
	{ USER, directory_as_output, "descriptors: descriptor 1 is a directory" },
	{ USER, file_as_channel, "descriptors: descriptor 3 is not the channel" },
	{ ROOT, living_directory, "root directory: the new root is not a removed directory" },
	{ USER, living_directory, "root directory: the new root is not a removed directory" },
	{ ROOT, no_directory, "root directory: cannot enter the empty directory" },
	{ ROOT, no_chroot_capability, "CAP_SYS_CHROOT" },
	{ ROOT, no_setpcap, "CAP_SETPCAP" },
	{ ROOT, no_setuid, "CAP_SETUID" },
	{ ROOT, no_landlock, NULL },
	{ USER, no_landlock, NULL },
	{ CONFINED, no_landlock, "user.max_user_namespaces" },
	{ CONFINED, landlock_off, "kernel.apparmor_restrict_unprivileged_userns" },
	{ USER, powerless_namespace, NULL },
	{ USER, powerless_namespace_no_landlock, "no user namespace and no Landlock" },
	{ ROOT, no_seccomp, "system call filter" },
	{ USER, no_seccomp, "system call filter" },
};

START_TEST(obstacle)
{
	const struct obstacle *b = &obstacles[_i];
	struct outcome o;

	if (!can_play(b->mode))
		return;
	o = play(&(struct scene){ .mode = b->mode, .setup = b->setup });
	if (b->words)
		expect_refusal(&o, b->words);
	else
		expect_exit(&o, 0, "an obstacle that should not matter");
}
END_TEST

/* The monitor forgot to leave the network: a root session has no way to do it for itself. */
static void back_in_network(struct sandbox_params *p)
{
	int fd = receive_fd(CHANNEL);

	(void)p;
	if (setns(fd, CLONE_NEWNET) < 0)
		broken("setns");
	close(fd);
}

static void give_network(pid_t pid, int channel)
{
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	(void)pid;
	send_fd(channel, fd);
	close(fd);
}

START_TEST(obstacle_network)
{
	struct outcome o;

	if (!can_play(ROOT))
		return;
	o = play(&(struct scene){ ROOT, back_in_network, NULL, give_network });
	expect_refusal(&o, "not in an empty network namespace");
}
END_TEST

static TCase *forbidden_tests(void)
{
	TCase *calls = tcase_create("forbidden");

	tcase_add_loop_test(calls, forbidden_call, 0, (int)COUNT(forbidden));
#ifdef __x86_64__
	tcase_add_test(calls, forbidden_architectures);
#endif
	return calls;
}

static TCase *work_tests(void)
{
	TCase *work = tcase_create("work");

	tcase_add_test(work, work_loop);
	tcase_add_test(work, work_heap);
	tcase_add_test(work, work_exit);
	tcase_add_test(work, work_handler);
	tcase_add_test(work, work_log_file);
	if (under_valgrind())
		return work;
	tcase_add_test(work, work_rare);
	tcase_add_test(work, work_abort);
#ifndef IOB_INSTRUMENTED
	tcase_add_test(work, limit_of_file_size);
#endif
	return work;
}

static TCase *stage_tests(void)
{
	TCase *stages = tcase_create("stages");

	tcase_add_loop_test(stages, observed_from_outside, 0, (int)COUNT(all_modes));
	tcase_add_loop_test(stages, stage_not_done, 0, (int)COUNT(lies));
	tcase_add_loop_test(stages, obstacle, 0, (int)COUNT(obstacles));
	tcase_add_test(stages, obstacle_network);
	return stages;
}

Suite *test_sandbox_suite(void)
{
	Suite *suite = suite_create("sandbox");

	suite_add_tcase(suite, work_tests());
	if (under_valgrind())
		return suite;
	suite_add_tcase(suite, forbidden_tests());
	suite_add_tcase(suite, stage_tests());
	return suite;
}
