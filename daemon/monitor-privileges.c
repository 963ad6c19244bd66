/* SPDX-License-Identifier: MIT */
/*
 * monitor-privileges.c - what of root the monitor keeps.
 *
 * Little of it is for the monitor: nodes, sysfs and its socket belong to root, and an owner needs
 * no capability. CAP_DAC_OVERRIDE, CAP_SYS_ADMIN and CAP_IPC_LOCK (which would switch the kernel's
 * memlock accounting off, for every session too) are not among what is kept.
 *
 * securebits stay at 0: a session is started by exec as uid 0 and gets its capabilities by being
 * root, cut to the bounding set. With SECBIT_NOROOT it would get none, unless they were ambient,
 * and ambient ones would reach every program.
 */
#define _GNU_SOURCE
#include "daemon/monitor-privileges.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

#define REFUSE(why, sys_errno, ...) \
	fault_set((why), IOB_E_UNSAFE, IOB_STEP_NONE, (sys_errno), "privileges: " __VA_ARGS__)

/*
 * Without an optional one the monitor starts all the same, with less: then a session's memlock is
 * what the monitor was started with (LimitMEMLOCK= of the unit).
 */
static const struct kept {
	cap_value_t value;
	const char *name;
	bool optional;
} kept[] = {
	{ CAP_SETUID, "CAP_SETUID", false },	     /* sessions: each to a uid of its own */
	{ CAP_SETGID, "CAP_SETGID", false },	     /* sessions: gid, and no groups */
	{ CAP_SYS_CHROOT, "CAP_SYS_CHROOT", false }, /* sessions: an empty root */
	/* sessions: an empty bounding set. Gives nothing that the bounding set does not hold. */
	{ CAP_SETPCAP, "CAP_SETPCAP", false },
	{ CAP_KILL, "CAP_KILL", false }, /* ending a session, which has another uid */
	{ CAP_SYS_RESOURCE, "CAP_SYS_RESOURCE", true }, /* prlimit(RLIMIT_MEMLOCK) of a session */
};

static bool holds(cap_t set, cap_value_t value)
{
	cap_flag_value_t flag = CAP_CLEAR;

	return cap_get_flag(set, value, CAP_PERMITTED, &flag) == 0 && flag == CAP_SET;
}

static int keep(cap_t want, const struct kept *k, struct fault *why)
{
	if (cap_set_flag(want, CAP_PERMITTED, 1, &k->value, CAP_SET) < 0 ||
	    cap_set_flag(want, CAP_EFFECTIVE, 1, &k->value, CAP_SET) < 0)
		return REFUSE(why, errno, "%s is not known to libcap", k->name);
	return 0;
}

/* What of the table there is, permitted here and not cut off from what is executed; as permitted
 * and effective set, with nothing inheritable. */
static int choose(cap_t want, struct fault *why)
{
	cap_t have = cap_get_proc();
	int r = have ? 0 : REFUSE(why, errno, "capabilities cannot be read");

	for (size_t i = 0; !r && i < COUNT(kept); i++) {
		const struct kept *k = &kept[i];

		if (holds(have, k->value) && cap_get_bound(k->value) == 1)
			r = keep(want, k, why);
		else if (!k->optional)
			r = REFUSE(
				why, EPERM,
				"%s is missing (CapabilityBoundingSet= of the unit, --cap-add of "
				"the container)",
				k->name);
	}
	cap_free(have);
	return r;
}

static int check_securebits(struct fault *why)
{
	int bits = prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);

	return bits == 0 ? 0 :
			   REFUSE(why, 0,
				  "securebits are %#x, sessions would start without capabilities "
				  "(SecureBits= of the unit)",
				  (unsigned)bits);
}

/* ---- network ---- */

static int network_id(struct stat *st, struct fault *why)
{
	return stat("/proc/self/ns/net", st) < 0 ?
		       REFUSE(why, errno, "/proc/self/ns/net cannot be read") :
		       0;
}

/*
 * A new namespace holds a loopback device that is down, and nothing else. Sessions inherit it and
 * try to connect. What is reached by path or by an open descriptor stays: our listening socket, the
 * journal, systemd's notify socket (unless it is an abstract one).
 */
static int leave_network(struct fault *why)
{
	struct stat before, after;
	int r = network_id(&before, why);

	if (r)
		return r;
	if (unshare(CLONE_NEWNET | CLONE_NEWIPC) < 0)
		return REFUSE(why, errno,
			      "cannot leave the network: CAP_SYS_ADMIN is needed for the "
			      "start, and dropped after it (CapabilityBoundingSet= of the "
			      "unit, --cap-add of the container; seccomp may forbid it too)");
	r = network_id(&after, why);
	if (r)
		return r;
	return before.st_ino != after.st_ino ? 0 : REFUSE(why, 0, "still in the old network");
}

/* ---- capabilities ---- */

static int reduce_bounding(cap_t want, struct fault *why)
{
	for (cap_value_t c = 0; c < cap_max_bits(); c++)
		if (!holds(want, c) && cap_drop_bound(c) < 0)
			return REFUSE(why, errno, "capability %d stays in the bounding set", c);
	return 0;
}

static int verify_bounding(cap_t want, struct fault *why)
{
	for (cap_value_t c = 0; c < cap_max_bits(); c++)
		if ((cap_get_bound(c) == 1) != holds(want, c))
			return REFUSE(why, 0, "capability %d in the bounding set", c);
	return 0;
}

/* The kernel takes from the ambient set what is not inheritable, and nothing is. */
static int reduce_sets(cap_t want, struct fault *why)
{
	return cap_set_proc(want) < 0 ? REFUSE(why, errno, "capabilities cannot be reduced") : 0;
}

static int verify_sets(cap_t want, struct fault *why)
{
	cap_t have = cap_get_proc();
	int r = !have || cap_compare(want, have) != 0 ?
			REFUSE(why, 0, "the capability sets are not what they should be") :
			0;

	cap_free(have);
	for (cap_value_t c = 0; !r && c < cap_max_bits(); c++)
		if (cap_get_ambient(c) != 0)
			r = REFUSE(why, 0, "capability %d is ambient", c);
	return r;
}

/* Nobody of the same uid takes our descriptors by ptrace or /proc. Last: a change of credentials
 * may set it anew. */
static int hide(struct fault *why)
{
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return REFUSE(why, errno, "prctl failed");
	return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 : REFUSE(why, 0, "still dumpable");
}

static int drop_root(cap_t want, struct fault *why)
{
	int r = check_securebits(why);

	if (!r)
		r = choose(want, why);
	if (!r)
		r = leave_network(why);
	if (!r)
		r = reduce_bounding(want, why);
	return r ? r : verify_bounding(want, why);
}

/* Anyone but root keeps nothing: a login may hand out CAP_WAKE_ALARM, for one. */
int privileges_drop(struct fault *why)
{
	cap_t want = cap_init();
	int r = want ? 0 : REFUSE(why, ENOMEM, "out of memory");

	if (!r && geteuid() == 0)
		r = drop_root(want, why);
	if (!r)
		r = reduce_sets(want, why);
	if (!r)
		r = verify_sets(want, why);
	cap_free(want);
	return r ? r : hide(why);
}
