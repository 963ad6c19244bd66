/* SPDX-License-Identifier: MIT */
/*
 * session-sandbox.c - the stages by which a session gives up everything but its descriptors.
 *
 * The order is forced: descriptors are listed while there is a /proc; no_new_privs comes before
 * Landlock and the filter, which unprivileged processes get only with it; limits, root directory
 * and bounding set need capabilities that the change of identity takes away; leaving a user
 * namespace or an identity makes a process dumpable or not by a rule of its own, so that is set
 * afterwards; the filter forbids all the others.
 *
 * Two ways to the same end. Root has capabilities for chroot and the identity, and inherits an
 * empty network from the monitor. Anyone else makes a user namespace, and where that is not allowed
 * (containers, AppArmor on Ubuntu) Landlock stands in for the empty root, and the filter, which has
 * no socket(), for the empty network.
 */
#define _GNU_SOURCE
#include "daemon/session-sandbox.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/session-filter.h"

#define CHANNEL_FD   3
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

#define REFUSE(why, sys_errno, ...) \
	fault_set((why), IOB_E_UNSAFE, IOB_STEP_SESSION, (sys_errno), __VA_ARGS__)

struct sandbox {
	const struct sandbox_params *params;
	bool root;
	int namespace_errno; /* why there is no user namespace, or 0 */
	int chroot_errno;    /* why there is no empty root, or 0 */
	bool landlocked;
	bool keeps_bounding; /* not ours to drop; worth nothing under no_new_privs */
};

/* ---- descriptors ---- */

/*
 * What may be open besides the channel and the directory: the event base is made before, because
 * its making needs calls that its running does not. A leaked file, socket, device or directory is a
 * way out that no later stage closes; it is an error, not closed in silence, because it means that
 * the monitor leaks. A session would find its own later: that is why 0 to 3 must be taken.
 */
static const char *const loop_descriptors[] = {
	"anon_inode:[eventpoll]",
	"anon_inode:[eventfd]",
	"anon_inode:[timerfd]",
	"pipe:[",
};

static bool belongs_to_loop(const char *target)
{
	for (size_t i = 0; i < COUNT(loop_descriptors); i++)
		if (!strncmp(target, loop_descriptors[i], strlen(loop_descriptors[i])))
			return true;
	return false;
}

/* An open directory leads out of any chroot. */
static int standard_fds_verify(struct fault *why)
{
	struct stat st;

	for (int fd = 0; fd <= CHANNEL_FD; fd++) {
		if (fstat(fd, &st) < 0)
			return REFUSE(why, errno,
				      "descriptor %d is not open: the next one received "
				      "would take its place",
				      fd);
		if (S_ISDIR(st.st_mode))
			return REFUSE(why, EISDIR, "descriptor %d is a directory", fd);
	}
	return S_ISSOCK(st.st_mode) ?
		       0 :
		       REFUSE(why, ENOTSOCK, "descriptor %d is not the channel", CHANNEL_FD);
}

/* Valgrind keeps descriptors of its own, above the limit that it shows to the program. */
static bool belongs_to_instrument(int fd)
{
#ifdef IOB_INSTRUMENTED
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) == 0 && (rlim_t)fd >= limit.rlim_cur;
#else
	(void)fd;
	return false;
#endif
}

static int listed_fd_verify(const struct sandbox *s, DIR *list, const char *name, struct fault *why)
{
	char target[128] = "";
	int fd = (int)strtol(name, NULL, 10);

	if (name[0] == '.' || fd <= CHANNEL_FD || fd == dirfd(list) ||
	    fd == s->params->empty_dir_fd || belongs_to_instrument(fd))
		return 0;
	if (readlinkat(dirfd(list), name, target, sizeof(target) - 1) < 0)
		return REFUSE(why, errno, "cannot tell what descriptor %d is", fd);
	return belongs_to_loop(target) ?
		       0 :
		       REFUSE(why, EBADF, "descriptor %d leaked into the session: %s", fd, target);
}

static int fds_verify(struct sandbox *s, struct fault *why)
{
	int r = standard_fds_verify(why);
	struct dirent *entry;
	DIR *list;

	if (r)
		return r;
	list = opendir("/proc/self/fd");
	if (!list)
		return REFUSE(why, errno, "/proc/self/fd cannot be read: /proc must be mounted");
	while (!r && (entry = readdir(list)))
		r = listed_fd_verify(s, list, entry->d_name, why);
	closedir(list);
	return r;
}

/* ---- no new privileges ---- */

static int nnp_enter(struct sandbox *s, struct fault *why)
{
	(void)s;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? REFUSE(why, errno, "prctl failed") : 0;
}

static int nnp_verify(struct sandbox *s, struct fault *why)
{
	(void)s;
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : REFUSE(why, 0, "not in force");
}

/* ---- limits ---- */

/* MEMLOCK is not here: the monitor sets it from outside, as budgets change. */
/* clang-format off */
static const struct limit {
	__rlimit_resource_t resource;
	const char *name;
} zero_limits[] = {
	{ RLIMIT_CORE, "core" },
	{ RLIMIT_NPROC, "nproc" }, /* neither process nor thread */
	{ RLIMIT_FSIZE, "fsize" }, /* see limit_applies() */
	{ RLIMIT_MSGQUEUE, "msgqueue" },
	{ RLIMIT_NICE, "nice" },
	{ RLIMIT_RTPRIO, "rtprio" },
};
/* clang-format on */

/*
 * FSIZE 0 keeps a session from writing into a client's memfd by pwrite(); VFIO does not look at it.
 * A log that is a regular file would be dead too, by SIGXFSZ at the first line; so would that of
 * valgrind.
 */
static bool limit_applies(const struct limit *l)
{
#ifdef IOB_INSTRUMENTED
	return l->resource != RLIMIT_FSIZE;
#else
	struct stat st;

	return l->resource != RLIMIT_FSIZE || fstat(STDERR_FILENO, &st) < 0 || !S_ISREG(st.st_mode);
#endif
}

static struct rlimit limit_wanted(__rlimit_resource_t resource, rlim_t value)
{
	struct rlimit limit = { .rlim_cur = value, .rlim_max = value };

#ifdef IOB_INSTRUMENTED
	struct rlimit now;

	/* valgrind has descriptors above, and does not let go of the hard limit */
	if (resource == RLIMIT_NOFILE && getrlimit(resource, &now) == 0 && now.rlim_max >= value)
		limit.rlim_max = now.rlim_max;
#else
	(void)resource;
#endif
	return limit;
}

static int limit_set(__rlimit_resource_t resource, const char *name, rlim_t value,
		     struct fault *why)
{
	const struct rlimit limit = limit_wanted(resource, value);

	return setrlimit(resource, &limit) < 0 ?
		       REFUSE(why, errno, "limit %s cannot be set to %llu", name,
			      (unsigned long long)value) :
		       0;
}

static int limit_verify(__rlimit_resource_t resource, const char *name, rlim_t value,
			struct fault *why)
{
	const struct rlimit want = limit_wanted(resource, value);
	struct rlimit limit;

	if (getrlimit(resource, &limit) < 0)
		return REFUSE(why, errno, "limit %s cannot be read", name);
	return limit.rlim_cur == want.rlim_cur && limit.rlim_max == want.rlim_max ?
		       0 :
		       REFUSE(why, 0, "limit %s is not %llu", name, (unsigned long long)value);
}

static int limits_each(const struct sandbox *s, struct fault *why,
		       int (*each)(__rlimit_resource_t, const char *, rlim_t, struct fault *))
{
	int r = each(RLIMIT_NOFILE, "nofile", s->params->max_fds, why);

	for (size_t i = 0; !r && i < COUNT(zero_limits); i++)
		if (limit_applies(&zero_limits[i]))
			r = each(zero_limits[i].resource, zero_limits[i].name, 0, why);
	return r;
}

static int limits_enter(struct sandbox *s, struct fault *why)
{
	return limits_each(s, why, limit_set);
}

static int limits_verify(struct sandbox *s, struct fault *why)
{
	return limits_each(s, why, limit_verify);
}

/* ---- network ---- */

/* No id map is written: the session is nobody in its namespace, and outside what it was. */
static int network_enter(struct sandbox *s, struct fault *why)
{
	(void)why;
	if (!s->root && unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC) < 0)
		s->namespace_errno = errno;
	return 0;
}

/* A fresh namespace has only a loopback device, and that is down: nothing is reachable. */
static int unreachable(const char *address, struct fault *why)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r, error;

	if (fd < 0) /* a kernel without the protocol has no network either */
		return errno == EAFNOSUPPORT ? 0 : REFUSE(why, errno, "socket failed");
	inet_pton(AF_INET, address, &to.sin_addr);
	r = connect(fd, (const struct sockaddr *)&to, sizeof(to));
	error = errno;
	close(fd);
	if (r < 0 && error == ENETUNREACH)
		return 0;
	return REFUSE(why, r < 0 ? error : 0,
		      "%s can be reached: not in an empty network namespace", address);
}

static int network_verify(struct sandbox *s, struct fault *why)
{
	int r;

	if (s->namespace_errno)
		return 0; /* then the filter is the wall, and its probe is a socket() */
	r = unreachable("127.0.0.1", why);
	return r ? r : unreachable("192.0.2.1", why); /* RFC 5737: for documentation */
}

/* ---- root directory ---- */

/* The directory is removed: nothing can be created in it, and nobody can put anything there. */
static int root_enter(struct sandbox *s, struct fault *why)
{
	int dir = s->params->empty_dir_fd;
	int r = 0;

	if (fchdir(dir) < 0)
		r = REFUSE(why, errno, "cannot enter the empty directory");
	else if (chroot(".") < 0)
		s->chroot_errno = errno;
	else if (chdir("/") < 0)
		r = REFUSE(why, errno, "cannot enter the new root");
	close(dir);
	if (s->chroot_errno && s->root)
		r = REFUSE(why, s->chroot_errno, "chroot refused: root needs CAP_SYS_CHROOT");
	return r;
}

static int absent(const char *path, int flags, struct fault *why)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);
	int error = errno;

	if (fd < 0 && error == ENOENT)
		return 0;
	if (fd >= 0) {
		close(fd);
		if (flags & O_CREAT)
			unlink(path);
	}
	return REFUSE(why, fd < 0 ? error : 0, "the new root is not a removed directory: %s", path);
}

static int root_is_empty(struct fault *why)
{
	DIR *list = opendir("/");
	struct dirent *entry;
	int r = 0;

	if (!list)
		return REFUSE(why, errno, "the new root cannot be listed");
	while (!r && (entry = readdir(list)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			r = REFUSE(why, ENOTEMPTY, "the new root holds %s", entry->d_name);
	closedir(list);
	return r;
}

static int root_verify(struct sandbox *s, struct fault *why)
{
	int r;

	if (s->chroot_errno)
		return 0; /* then Landlock must do; see landlock_enter() */
	r = absent("/proc", O_RDONLY, why);
	if (!r)
		r = absent("/x", O_WRONLY | O_CREAT | O_EXCL, why);
	return r ? r : root_is_empty(why);
}

/* ---- Landlock ---- */

/*
 * Applied wherever the kernel has it, as it closes a hole of the empty root: a client can pass an
 * open directory, and from there openat() walks out of any chroot. The filter has no openat(); this
 * holds without it. Not demanded where chroot worked, since kernels may lack it.
 *
 * linux/landlock.h of Debian 12 knows the rights of 5.19 only, so they are here by number.
 */
struct landlock_attr {
	uint64_t handled_access_fs;
	uint64_t handled_access_net; /* ABI 4 */
	uint64_t scoped;	     /* ABI 6 */
};

#define LANDLOCK_CREATE	       444 /* system calls, the same on all architectures */
#define LANDLOCK_RESTRICT_SELF 446
#define LANDLOCK_GET_VERSION   1u

/* Everything an ABI can deny, none of it allowed again. Open descriptors keep what they can do. */
static struct landlock_attr landlock_deny_all(long abi)
{
	unsigned fs_rights = abi >= 5 ? 16 : abi >= 3 ? 15 : abi >= 2 ? 14 : 13;
	struct landlock_attr attr = { .handled_access_fs = (UINT64_C(1) << fs_rights) - 1 };

	if (abi >= 4)
		attr.handled_access_net = 3; /* TCP: bind, connect */
	if (abi >= 6)
		/* Abstract UNIX sockets of the world outside. Not its signals: the companion that
		 * closes descriptors ends by one, at our end; the filter has no kill() anyway. */
		attr.scoped = 1;
	return attr;
}

static int landlock_missing(const struct sandbox *s, struct fault *why)
{
	if (!s->chroot_errno)
		return 0;
	return REFUSE(why, s->namespace_errno ? s->namespace_errno : s->chroot_errno,
		      "no user namespace and no Landlock. Permit one (user.max_user_namespaces, "
		      "kernel.apparmor_restrict_unprivileged_userns=0; kernel lsm=landlock,..) or "
		      "start as root");
}

static int landlock_enter(struct sandbox *s, struct fault *why)
{
	long abi = syscall(LANDLOCK_CREATE, NULL, 0, LANDLOCK_GET_VERSION);
	struct landlock_attr attr;
	long r;
	int fd;

	if (abi < 1)
		return landlock_missing(s, why);
	attr = landlock_deny_all(abi);
	fd = (int)syscall(LANDLOCK_CREATE, &attr, sizeof(attr), 0);
	if (fd < 0)
		return REFUSE(why, errno, "no ruleset (ABI %ld)", abi);
	r = syscall(LANDLOCK_RESTRICT_SELF, fd, 0);
	if (r < 0)
		r = REFUSE(why, errno, "the ruleset was refused (ABI %ld)", abi);
	s->landlocked = r == 0;
	close(fd);
	return (int)r;
}

static int landlock_verify(struct sandbox *s, struct fault *why)
{
	int fd;

	if (!s->landlocked)
		return s->chroot_errno ? REFUSE(why, 0, "needed, but not in force") : 0;
	fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == EACCES)
		return 0;
	return REFUSE(why, fd < 0 ? errno : 0, "in force, but / can be opened");
}

/* ---- bounding set ---- */

/* Root: the monitor keeps CAP_SETPCAP for this. Others: their user namespace gives it, or nothing
 * does, and then no_new_privs has taken the meaning from the set: it is only used by exec. */
static int bounding_enter(struct sandbox *s, struct fault *why)
{
	for (cap_value_t c = 0; c < cap_max_bits(); c++) {
		if (cap_drop_bound(c) == 0)
			continue;
		if (s->root || errno != EPERM)
			return REFUSE(why, errno, "capability %d stays: CAP_SETPCAP is needed", c);
		s->keeps_bounding = true;
		return 0;
	}
	return 0;
}

static int bounding_verify(struct sandbox *s, struct fault *why)
{
	if (s->keeps_bounding)
		return nnp_verify(s, why);
	for (cap_value_t c = 0; c < cap_max_bits(); c++)
		if (cap_get_bound(c) != 0)
			return REFUSE(why, 0, "still holds capability %d", c);
	return 0;
}

/* ---- identity ---- */

static int identity_enter(struct sandbox *s, struct fault *why)
{
	uid_t uid = s->params->uid;
	gid_t gid = (gid_t)uid;

	if (!s->root)
		return 0;
	if (uid == 0 || uid == (uid_t)-1)
		return REFUSE(why, EINVAL, "a session cannot run as uid %u", uid);
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return REFUSE(why, errno,
			      "cannot become uid and gid %u: CAP_SETUID and CAP_SETGID "
			      "are needed, and in a container that the id is mapped",
			      uid);
	return 0;
}

static int identity_verify(struct sandbox *s, struct fault *why)
{
	uid_t uid = s->params->uid, u[3];
	gid_t gid = (gid_t)uid, g[3];

	if (!s->root)
		return 0;
	if (getresuid(&u[0], &u[1], &u[2]) < 0 || getresgid(&g[0], &g[1], &g[2]) < 0)
		return REFUSE(why, errno, "cannot be read");
	for (size_t i = 0; i < 3; i++)
		if (u[i] != uid || g[i] != gid)
			return REFUSE(why, 0, "is not %u", uid);
	if (getgroups(0, NULL) != 0)
		return REFUSE(why, 0, "supplementary groups remain");
	if (setuid(0) == 0 || setgid(0) == 0)
		return REFUSE(why, 0, "can become root again");
	return 0;
}

/* ---- capabilities ---- */

static int capabilities_enter(struct sandbox *s, struct fault *why)
{
	cap_t none = cap_init();
	int r = !none || cap_set_proc(none) < 0 ? REFUSE(why, errno, "cannot be given up") : 0;

	(void)s;
	cap_free(none);
	return r;
}

/* The kernel empties the ambient set with the permitted one; asked all the same. */
static int capabilities_verify(struct sandbox *s, struct fault *why)
{
	cap_t none = cap_init(), have = cap_get_proc();
	int r = 0;

	(void)s;
	if (!none || !have || cap_compare(none, have) != 0)
		r = REFUSE(why, 0, "some remain");
	for (cap_value_t c = 0; !r && c < cap_max_bits(); c++)
		if (cap_get_ambient(c) != 0)
			r = REFUSE(why, 0, "capability %d is ambient", c);
	cap_free(none);
	cap_free(have);
	return r;
}

/* ---- process attributes ---- */

/* Not dumpable: /proc/PID belongs to root and ptrace wants CAP_SYS_PTRACE, so that another process
 * of the user cannot take a session's descriptors; no core to a pipe either, which RLIMIT_CORE does
 * not stop. */
static int attributes_enter(struct sandbox *s, struct fault *why)
{
	(void)s;
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
		return REFUSE(why, errno, "prctl failed");
	return 0;
}

static int attributes_verify(struct sandbox *s, struct fault *why)
{
	(void)s;
	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0) != 0)
		return REFUSE(why, 0, "still dumpable, or keeps capabilities");
	return 0;
}

/* ---- system calls ---- */

static int calls_enter(struct sandbox *s, struct fault *why)
{
	return filter_load(s->params->backend, why);
}

static int calls_verify(struct sandbox *s, struct fault *why)
{
	(void)s;
	return filter_verify(why);
}

static const struct stage {
	const char *name;
	int (*enter)(struct sandbox *s, struct fault *why); /* NULL: the monitor did it */
	int (*verify)(struct sandbox *s, struct fault *why);
} stages[] = {
	{ "descriptors", NULL, fds_verify },
	{ "no new privileges", nnp_enter, nnp_verify },
	{ "limits", limits_enter, limits_verify },
	{ "network", network_enter, network_verify },
	{ "root directory", root_enter, root_verify },
	{ "Landlock", landlock_enter, landlock_verify },
	{ "bounding set", bounding_enter, bounding_verify },
	{ "identity", identity_enter, identity_verify },
	{ "capabilities", capabilities_enter, capabilities_verify },
	{ "process attributes", attributes_enter, attributes_verify },
	{ "system call filter", calls_enter, calls_verify },
};

int sandbox_enter(const struct sandbox_params *p, struct fault *why)
{
	struct sandbox s = { .params = p, .root = geteuid() == 0 };
	struct fault inner = { 0 };

	for (size_t i = 0; i < COUNT(stages); i++) {
		int r = stages[i].enter ? stages[i].enter(&s, &inner) : 0;

		if (!r)
			r = stages[i].verify(&s, &inner);
		if (r)
			return fault_set(why, inner.code, inner.step, inner.sys_errno,
					 "sandbox: %s: %s", stages[i].name, inner.text);
	}
	return 0;
}
