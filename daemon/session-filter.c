/* SPDX-License-Identifier: MIT */
/*
 * session-filter.c - the system calls a session is left with; everything else ends the process.
 *
 * Read the tables. A row allows a call, with WHEN() only for some arguments. seccomp sees numbers:
 * neither what a pointer points at nor what kind of file a descriptor is, so a row must be harmless
 * for every descriptor a client can pass and for every one the monitor can.
 *
 * One call, one kind of row: libseccomp lets an unconditional rule swallow the conditional ones of
 * the same call, in either order. rows_agree() refuses such a table.
 */
#define _GNU_SOURCE
#include "daemon/session-filter.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel-glue/mapper-ioctls.h"

#ifndef F_GET_SEALS
#define F_GET_SEALS 1034
#endif
#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif

#define MAX_ARGS 2

struct row {
	int call;
	unsigned count; /* of args; all must hold */
	struct scmp_arg_cmp args[MAX_ARGS];
};

/*
 * The kernel reads int arguments from the lower half of a register. Comparing all 64 bits would let
 * through what the kernel sees otherwise, and kill what a compiler left garbage above.
 */
/* clang-format off */
#define IS(n, value)	{ (n), SCMP_CMP_MASKED_EQ, UINT32_MAX, (uint32_t)(value) }
#define WITHOUT(n, bits) { (n), SCMP_CMP_MASKED_EQ, (bits), 0 }
#define COUNT_ARGS(...)	(sizeof((struct scmp_arg_cmp[]){ __VA_ARGS__ }) / \
			 sizeof(struct scmp_arg_cmp))
#define ANY(name)	{ .call = SCMP_SYS(name), .count = 0 }
#define WHEN(name, ...)	{ .call = SCMP_SYS(name), .count = COUNT_ARGS(__VA_ARGS__), \
			  .args = { __VA_ARGS__ } }
/* clang-format on */

static const struct row session_rows[] = {
	/* messages, with descriptors in them */
	ANY(recvmsg),
	ANY(sendmsg),
	ANY(shutdown), /* hanging up on a client while its handle is still being taken apart */
	ANY(close),
	WHEN(getsockopt, IS(1, SOL_SOCKET), IS(2, SO_COOKIE)),
	WHEN(getsockopt, IS(1, SOL_SOCKET), IS(2, SO_TYPE)),
	WHEN(getsockopt, IS(1, SOL_SOCKET), IS(2, SO_DOMAIN)),

	/* the event loop: libevent on epoll, made before the filter; no signals, no timerfd */
	ANY(epoll_wait),
	ANY(epoll_pwait),
	ANY(epoll_ctl),
	ANY(clock_gettime), /* where the clock is not readable in user space: virtual machines */
	ANY(gettimeofday),

	/* Looking at a client's memory before it is trusted. F_SETOWN, F_SETSIG and F_SETFL would
	 * send signals to whoever the session names; F_ADD_SEALS would spoil the client's file. */
	WHEN(fcntl, IS(1, F_GETFL)),
	WHEN(fcntl, IS(1, F_GET_SEALS)),
	WHEN(fcntl, IS(1, F_DUPFD_CLOEXEC)),
	ANY(fstat),
	/* fstat() of glibc 2.33 to 2.38. A path may still be given with the flag: it names nothing
	 * below the empty root, and what it could say of a passed directory is metadata. */
	WHEN(newfstatat, IS(3, AT_EMPTY_PATH)),
	ANY(fstatfs),

	/* Memory: that of clients and our own. Never executable: what is not code when the client's
	 * first byte comes will never be. */
	WHEN(mmap, WITHOUT(2, PROT_EXEC)),
	WHEN(mprotect, WITHOUT(2, PROT_EXEC)),
	ANY(munmap),
	ANY(mremap),
	ANY(brk),
	WHEN(madvise, IS(2, MADV_DONTNEED)), /* malloc; MADV_REMOVE would punch the client's file */

	/* device regions; ioctl has a table of its own */
	ANY(pread64),
	ANY(pwrite64),

	/* last words, of ours by write and of glibc by writev */
	WHEN(write, IS(0, STDERR_FILENO)),
	WHEN(write, IS(0, FILTER_FD_CLOSER)), /* numbers of descriptors to be closed */
	WHEN(writev, IS(0, STDERR_FILENO)),

	/* abort(), so that a failed assertion is reported as one. tgkill: see allow_abort() */
	ANY(rt_sigprocmask),
	ANY(getpid),
	ANY(gettid),
	ANY(rt_sigreturn),
	ANY(exit_group),
};

#ifdef IOB_INSTRUMENTED
/*
 * What sanitizers and valgrind do in our name, found by running the tests under them. Weakens the
 * filter much: never in a build that is installed.
 */
static const struct row instrumented_rows[] = {
	ANY(futex),
	ANY(sched_yield),
	ANY(sigaltstack),
	ANY(rt_sigaction),
	ANY(rt_sigtimedwait),
	WHEN(madvise, IS(2, MADV_NOHUGEPAGE)),
	WHEN(madvise, IS(2, MADV_DONTDUMP)),
	WHEN(ioctl, IS(0, STDERR_FILENO), IS(1, TCGETS)), /* colours in a report? */
	/* valgrind: translated code, and descriptors above those of the program */
	WHEN(mmap, { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC }),
	WHEN(read, { 0, SCMP_CMP_GE, 900, 0 }),
	WHEN(write, { 0, SCMP_CMP_GE, 900, 0 }),
};

/* They go on without: reports lack names of functions and files. */
static const struct row instrumented_refusals[] = {
	ANY(open), ANY(openat), ANY(readlink), ANY(unlink), ANY(pipe2), ANY(statx),
};

/* LeakSanitizer, at exit, wants a thread that ptraces us. Tests look for leaks outside. */
static int filtered;
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return filtered;
}

/* valgrind does not know seccomp(2), and prctl() has no KILL_PROCESS: with one thread, the same */
#define KILL SCMP_ACT_KILL_THREAD
#else
#define KILL SCMP_ACT_KILL_PROCESS
#endif

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/*
 * The probe: a socket() of a family that does not exist, answered with an errno socket() never
 * gives (the kernel: EAFNOSUPPORT). Everything else of socket() is killed. That it is socket() and
 * not some other call matters where the filter alone keeps a session off the network.
 */
#define PROBE_FAMILY 0x494f42
#define PROBE_ERRNO  EXFULL

static int add_rows(scmp_filter_ctx filter, uint32_t action, const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int r = seccomp_rule_add_array(filter, action, rows[i].call, rows[i].count,
					       rows[i].args);

		if (r < 0)
			return r;
	}
	return 0;
}

/* The kernel looks at 32 bits of an ioctl number. Another file type may give a listed number
 * another meaning: ';' (0x3b) is VFIO's and iommufd's alone among what reaches a session. */
static int add_ioctls(scmp_filter_ctx filter, uint32_t backend)
{
	for (size_t i = 0; i < glue_mapper_ioctl_count; i++) {
		if (!glue_mapper_asks(&glue_mapper_ioctls[i], backend))
			continue;
		const struct scmp_arg_cmp number = IS(1, glue_mapper_ioctls[i].number);
		int r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, &number);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Only itself, only SIGABRT: the pid is that of this process for as long as the filter lives. */
static int allow_abort(scmp_filter_ctx filter)
{
	const struct scmp_arg_cmp args[] = { IS(0, getpid()), IS(2, SIGABRT) };

	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), COUNT(args), args);
}

static int add_probe(scmp_filter_ctx filter)
{
	const struct scmp_arg_cmp family = IS(0, PROBE_FAMILY);

	return seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(PROBE_ERRNO), SCMP_SYS(socket), 1,
				      &family);
}

static bool rows_agree(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < i; j++)
			if (rows[i].call == rows[j].call && (!rows[i].count || !rows[j].count))
				return false;
	return true;
}

static int build(scmp_filter_ctx filter, uint32_t backend)
{
	/* calls by the numbers of another architecture (int 0x80, x32) mean other things */
	int r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, KILL);

	if (!rows_agree(session_rows, COUNT(session_rows)))
		return -EINVAL;
	if (!r)
		r = add_rows(filter, SCMP_ACT_ALLOW, session_rows, COUNT(session_rows));
#ifdef IOB_INSTRUMENTED
	if (!r)
		r = add_rows(filter, SCMP_ACT_ALLOW, instrumented_rows, COUNT(instrumented_rows));
	if (!r)
		r = add_rows(filter, SCMP_ACT_ERRNO(EACCES), instrumented_refusals,
			     COUNT(instrumented_refusals));
#endif
	if (!r)
		r = add_ioctls(filter, backend);
	if (!r)
		r = allow_abort(filter);
	if (!r)
		r = add_probe(filter);
	/* The order in which rules are looked at, not what they say: an ioctl for every mapping. Calls that
	 * are allowed whatever their arguments the kernel remembers and does not ask about. */
	if (!r)
		r = seccomp_syscall_priority(filter, SCMP_SYS(ioctl), UINT8_MAX);
	return r;
}

int filter_load(uint32_t backend, struct fault *why)
{
	scmp_filter_ctx filter = seccomp_init(KILL);
	int r;

	if (!filter)
		return fault_set(
			why, IOB_E_UNSAFE, IOB_STEP_SESSION, ENOSYS,
			"the kernel has no seccomp filter that kills: CONFIG_SECCOMP_FILTER");
	r = build(filter, backend);
	if (!r)
		r = seccomp_load(filter);
	seccomp_release(filter);
#ifdef IOB_INSTRUMENTED
	filtered = r == 0;
#endif
	return r ? fault_set(why, IOB_E_UNSAFE, IOB_STEP_SESSION, -r,
			     "the kernel did not take the filter") :
		   0;
}

int filter_verify(struct fault *why)
{
	int fd = socket(PROBE_FAMILY, 0, 0);

	if (fd < 0 && errno == PROBE_ERRNO)
		return 0;
	return fault_set(why, IOB_E_UNSAFE, IOB_STEP_SESSION, 0,
			 "the filter was loaded but does not answer");
}
