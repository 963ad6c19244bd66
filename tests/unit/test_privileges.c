/* SPDX-License-Identifier: MIT */
/*
 * What the monitor is left with: what it can no longer do, what it still must, and that a session
 * started from it has all it needs. Everything happens in child processes; the half for root is
 * left out when not run as root, or without CAP_SYS_ADMIN.
 */
#define _GNU_SOURCE
#include "daemon/monitor-privileges.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/securebits.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/session-sandbox.h"

Suite *test_privileges_suite(void);

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

#define OTHER	65533u
#define REFUSED 70
#define BROKEN	71
#define WRONG	72

/* KILL 5, SETGID 6, SETUID 7, SETPCAP 8, SYS_CHROOT 18; and, where there is one, SYS_RESOURCE 24 */
#define KEPT	     "00000000000401e0"
#define KEPT_MEMLOCK "00000000010401e0"

struct outcome {
	int status;
	char text[4096];
};

static bool is_root(void)
{
	return geteuid() == 0;
}

static void broken(const char *what)
{
	dprintf(STDERR_FILENO, "test: %s: %s\n", what, strerror(errno));
	_exit(BROKEN);
}

static void check(bool good, const char *what)
{
	if (good)
		return;
	dprintf(STDERR_FILENO, "wrong: %s: %s\n", what, strerror(errno));
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

static void become(uid_t uid)
{
	if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
		broken("setresuid");
}

static void child(int log, void (*before)(void), void (*after)(void))
{
	struct fault why = { 0 };

	if (dup2(log, STDERR_FILENO) < 0)
		_exit(BROKEN);
	if (before)
		before();
	if (privileges_drop(&why) != 0) {
		dprintf(STDERR_FILENO, "%u %s\n", why.code, why.text);
		_exit(REFUSED);
	}
	if (after)
		after();
	_exit(0);
}

static struct outcome play(void (*before)(void), void (*after)(void))
{
	struct outcome o = { 0 };
	size_t have = 0;
	ssize_t n;
	int log[2];
	pid_t pid;

	ck_assert(pipe2(log, O_CLOEXEC) == 0);
	pid = fork();
	ck_assert(pid >= 0);
	if (pid == 0)
		child(log[1], before, after);
	close(log[1]);
	while ((n = read(log[0], o.text + have, sizeof(o.text) - 1 - have)) > 0)
		have += (size_t)n;
	close(log[0]);
	ck_assert(waitpid(pid, &o.status, 0) == pid);
	return o;
}

static void expect_exit(const struct outcome *o, int code, const char *words)
{
	ck_assert_msg(WIFEXITED(o->status) && WEXITSTATUS(o->status) == code,
		      "expected exit %d, got status %#x: %s", code, (unsigned)o->status, o->text);
	ck_assert_msg(strstr(o->text, words) != NULL, "no \"%s\" in: %s", words, o->text);
}

static bool can_play_root(void)
{
	pid_t pid;
	int status;

	if (!is_root())
		return false;
	pid = fork();
	if (pid == 0)
		_exit(unshare(CLONE_NEWNET) == 0 ? 0 : 1);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

/* ---- what root can no longer do: each harmless should it be able to all the same ---- */

static char foreign_file[] = "/tmp/iob-test-foreign-XXXXXX";
static char own_file[] = "/tmp/iob-test-own-XXXXXX";
static pid_t foreign_process;
static int old_network;

static long try_mount(void)
{
	return mount("none", "/tmp", "no such file system", 0, NULL);
}

static long try_new_mounts(void)
{
	return unshare(CLONE_NEWNS);
}

static long try_old_network(void)
{
	return setns(old_network, CLONE_NEWNET);
}

static long try_new_network(void)
{
	return unshare(CLONE_NEWNET);
}

static long try_chown(void)
{
	return chown(own_file, OTHER, OTHER);
}

static long try_foreign_file(void)
{
	return open(foreign_file, O_RDONLY);
}

static long try_foreign_chmod(void)
{
	return chmod(foreign_file, 0666);
}

static long try_device_node(void)
{
	long r = mknod("/tmp/iob-test-node", S_IFCHR | 0600, 1);

	if (r == 0)
		unlink("/tmp/iob-test-node");
	return r;
}

static long try_lock_beyond_limit(void)
{
	const struct rlimit none = { 0 };
	static char page[4096];

	if (setrlimit(RLIMIT_MEMLOCK, &none) < 0)
		broken("setrlimit");
	return syscall(SYS_mlock, page, sizeof(page)); /* sanitizers replace mlock() by nothing */
}

static long try_ptrace(void)
{
	return ptrace(PTRACE_ATTACH, foreign_process, NULL, NULL);
}

static long try_foreign_descriptors(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/environ", foreign_process);
	return open(path, O_RDONLY);
}

static long try_raw_socket(void)
{
	return socket(AF_INET, SOCK_RAW, 1);
}

static long try_hostname(void)
{
	char name[65] = "";

	gethostname(name, sizeof(name) - 1);
	return sethostname(name, strlen(name));
}

static long try_regain(void)
{
	cap_t caps = cap_from_text("cap_sys_admin=ep");
	long r = cap_set_proc(caps);

	cap_free(caps);
	return r;
}

static long try_inherit(void)
{
	const cap_value_t admin = CAP_SYS_ADMIN;
	cap_t caps = cap_get_proc();
	long r;

	cap_set_flag(caps, CAP_INHERITABLE, 1, &admin, CAP_SET);
	r = cap_set_proc(caps);
	cap_free(caps);
	return r;
}

static long try_connect(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };

	inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
	return connect(socket(AF_INET, SOCK_DGRAM, 0), (struct sockaddr *)&to, sizeof(to));
}

static const struct lost {
	const char *name;
	long (*try)(void);
	int error;
} lost[] = {
	{ "mount", try_mount, EPERM },
	{ "a mount namespace", try_new_mounts, EPERM },
	{ "the old network", try_old_network, EPERM },
	{ "another network", try_new_network, EPERM },
	{ "chown", try_chown, EPERM },
	{ "a file that only another may read", try_foreign_file, EACCES },
	{ "chmod of a foreign file", try_foreign_chmod, EPERM },
	{ "mknod", try_device_node, EPERM },
	{ "mlock beyond the limit", try_lock_beyond_limit, EPERM },
	{ "ptrace", try_ptrace, EPERM },
	{ "/proc of a foreign process", try_foreign_descriptors, EACCES },
	{ "a raw socket", try_raw_socket, EPERM },
	{ "sethostname", try_hostname, EPERM },
	{ "regaining a capability", try_regain, EPERM },
	{ "inheriting a capability", try_inherit, EPERM },
	{ "connect", try_connect, ENETUNREACH },
};

static void make_file(char *template, mode_t mode, uid_t owner)
{
	int fd = mkstemp(template);

	ck_assert(fd >= 0 && fchmod(fd, mode) == 0 && fchown(fd, owner, owner) == 0);
	close(fd);
}

static void set_scene(void)
{
	if (!can_play_root())
		return;
	make_file(foreign_file, 0600, OTHER);
	make_file(own_file, 0200, 0);
	old_network = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	ck_assert(old_network >= 0);
	foreign_process = fork();
	ck_assert(foreign_process >= 0);
	if (foreign_process == 0) {
		become(OTHER);
		prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
		for (;;)
			pause();
	}
	/* until it has changed its identity: then it is no longer readable for us as root's */
	for (struct stat st = { 0 }; st.st_uid != OTHER; usleep(1000)) {
		char path[64];

		snprintf(path, sizeof(path), "/proc/%d/status", foreign_process);
		ck_assert(stat(path, &st) == 0);
	}
}

static void strike_scene(void)
{
	if (foreign_process <= 0)
		return;
	kill(foreign_process, SIGKILL);
	waitpid(foreign_process, NULL, 0);
	unlink(foreign_file);
	unlink(own_file);
	close(old_network);
}

static int chosen;

static void lost_inside(void)
{
	long r = lost[chosen].try();

	if (r >= 0 || errno != lost[chosen].error)
		dprintf(STDERR_FILENO, "%s: returned %ld, %s\n", lost[chosen].name, r,
			strerror(errno));
	check(r < 0 && errno == lost[chosen].error, lost[chosen].name);
}

START_TEST(root_lost)
{
	struct outcome o;

	if (!can_play_root())
		return;
	chosen = _i;
	o = play(NULL, lost_inside);
	expect_exit(&o, 0, "");
}
END_TEST

/* ---- what it must still be able to do ---- */

static void keep_files(void)
{
	int fd = open(own_file, O_WRONLY);

	check(fd >= 0 && write(fd, "x", 1) == 1, "writing a file of root's, as in sysfs");
	check(fchmod(fd, 0660) == 0, "chmod of an own file");
	check(fchown(fd, (uid_t)-1, 0) == 0, "chown to an own group");
	check(open("/dev/null", O_RDWR) >= 0, "a node for everyone");
}

static void keep_kill(void)
{
	check(kill(foreign_process, 0) == 0, "a signal to a session");
}

static void keep_prlimit(void)
{
	const struct rlimit more = { 1 << 30, 1 << 30 };

	if (cap_get_bound(CAP_SYS_RESOURCE) == 1)
		check(prlimit(foreign_process, RLIMIT_MEMLOCK, &more, NULL) == 0,
		      "memlock of a session");
}

/* The session, from fork on, with exec's rules for root replaced by fork's: exec is next. */
static void keep_session(void)
{
	struct sandbox_params p = { .uid = OTHER, .empty_dir_fd = 4, .max_fds = 64 };
	struct fault why = { 0 };
	char path[] = "/tmp/iob-test-XXXXXX";
	int null = open("/dev/null", O_RDWR), pair[2];

	if (null < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0 || !mkdtemp(path) ||
	    dup2(pair[0], 3) < 0 || dup2(open(path, O_RDONLY | O_DIRECTORY), 4) < 0 ||
	    rmdir(path) < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 ||
	    syscall(SYS_close_range, 5, ~0U, 0) < 0)
		broken("scenery");
	if (sandbox_enter(&p, &why) != 0) {
		dprintf(STDERR_FILENO, "%s\n", why.text);
		_exit(WRONG);
	}
}

/* exec is how a session starts; the kernel counts its capabilities anew then */
static void keep_exec(void)
{
	const char *mask = cap_get_bound(CAP_SYS_RESOURCE) == 1 ? KEPT_MEMLOCK : KEPT;

	dprintf(STDERR_FILENO, "expected %s\n", mask);
	dup2(STDERR_FILENO, STDOUT_FILENO);
	execl("/bin/grep", "grep", "^Cap", "/proc/self/status", NULL);
	broken("execl");
}

static void (*const keeps[])(void) = { keep_files, keep_kill, keep_prlimit, keep_session };

START_TEST(root_keeps)
{
	struct outcome o;

	if (!can_play_root())
		return;
	o = play(NULL, keeps[_i]);
	expect_exit(&o, 0, "");
}
END_TEST

START_TEST(root_keeps_over_exec)
{
	struct outcome o;
	char mask[17], words[256];

	if (!can_play_root())
		return;
	o = play(NULL, keep_exec);
	ck_assert_msg(sscanf(o.text, "expected %16s", mask) == 1, "%s", o.text);
	snprintf(words, sizeof(words),
		 "CapInh:\t%016d\nCapPrm:\t%s\nCapEff:\t%s\nCapBnd:\t%s\nCapAmb:\t%016d\n", 0, mask,
		 mask, mask, 0);
	expect_exit(&o, 0, words);
}
END_TEST

static void is_hidden(void)
{
	check(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0, "not dumpable");
}

static struct stat test_net, test_ipc;

static void namespaces_are_new(void)
{
	struct stat net, ipc;

	check(stat("/proc/self/ns/net", &net) == 0 && stat("/proc/self/ns/ipc", &ipc) == 0, "stat");
	check(net.st_ino != test_net.st_ino, "a network of its own");
	check(ipc.st_ino != test_ipc.st_ino, "SysV objects of its own");
}

START_TEST(root_hidden_and_alone)
{
	struct outcome o;

	if (!can_play_root())
		return;
	o = play(NULL, is_hidden);
	expect_exit(&o, 0, "");
	ck_assert(stat("/proc/self/ns/net", &test_net) == 0);
	ck_assert(stat("/proc/self/ns/ipc", &test_ipc) == 0);
	o = play(NULL, namespaces_are_new);
	expect_exit(&o, 0, "");
}
END_TEST

/* ---- what does not let it start ---- */

static void without(cap_value_t value)
{
	if (cap_drop_bound(value) < 0)
		broken("cap_drop_bound");
}

static void without_kill(void)
{
	without(CAP_KILL);
}

static void without_setpcap(void)
{
	without(CAP_SETPCAP);
}

static void without_admin(void)
{
	cap_t caps = cap_get_proc();
	const cap_value_t admin = CAP_SYS_ADMIN;

	if (!caps || cap_set_flag(caps, CAP_EFFECTIVE, 1, &admin, CAP_CLEAR) < 0 ||
	    cap_set_proc(caps) < 0)
		broken("capabilities");
	cap_free(caps);
}

static void with_noroot(void)
{
	if (prctl(PR_SET_SECUREBITS, SECBIT_NOROOT, 0, 0, 0) < 0)
		broken("securebits");
}

static void lie_about_network(void)
{
	spoil(0, SCMP_SYS(unshare), 0, NULL);
}

static void lie_about_capabilities(void)
{
	spoil(0, SCMP_SYS(capset), 0, NULL);
}

static void lie_about_prctl(unsigned long what)
{
	const struct scmp_arg_cmp first = { 0, SCMP_CMP_EQ, what, 0 };

	spoil(0, SCMP_SYS(prctl), 1, &first);
}

static void lie_about_bounding(void)
{
	lie_about_prctl(PR_CAPBSET_DROP);
}

static void lie_about_dumpable(void)
{
	lie_about_prctl(PR_SET_DUMPABLE);
}

static const struct {
	void (*before)(void);
	const char *words;
} obstacles[] = {
	{ without_kill, "CAP_KILL is missing" },
	{ without_setpcap, "CAP_SETPCAP is missing" },
	{ without_admin, "CAP_SYS_ADMIN is needed" },
	{ with_noroot, "securebits are 0x1" },
	{ lie_about_network, "still in the old network" },
	{ lie_about_capabilities, "not what they should be" },
	{ lie_about_bounding, "in the bounding set" },
	{ lie_about_dumpable, "still dumpable" },
};

START_TEST(root_obstacle)
{
	struct outcome o;

	if (!can_play_root())
		return;
	o = play(obstacles[_i].before, NULL);
	expect_exit(&o, REFUSED, obstacles[_i].words);
}
END_TEST

/* ---- anyone else ---- */

static void user(void)
{
	if (is_root())
		become(OTHER);
}

/* What a login may leave a user: a capability that survives every exec */
static void user_with_ambient(void)
{
	const cap_value_t wake = CAP_WAKE_ALARM;
	cap_t caps = cap_init();

	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		broken("keepcaps");
	become(OTHER);
	if (!caps || cap_set_flag(caps, CAP_PERMITTED, 1, &wake, CAP_SET) < 0 ||
	    cap_set_flag(caps, CAP_EFFECTIVE, 1, &wake, CAP_SET) < 0 ||
	    cap_set_flag(caps, CAP_INHERITABLE, 1, &wake, CAP_SET) < 0 || cap_set_proc(caps) < 0 ||
	    cap_set_ambient(wake, CAP_SET) < 0)
		broken("ambient");
	cap_free(caps);
}

static void user_lie(void)
{
	user_with_ambient();
	lie_about_capabilities();
}

static void has_nothing(void)
{
	cap_t none = cap_init(), have = cap_get_proc();

	check(cap_compare(none, have) == 0, "no capabilities");
	check(cap_get_ambient(CAP_WAKE_ALARM) == 0, "no ambient capability");
	is_hidden();
	cap_free(none);
	cap_free(have);
}

START_TEST(user_has_nothing)
{
	struct outcome o = play(user, has_nothing);

	expect_exit(&o, 0, "");
	if (!is_root())
		return;
	o = play(user_with_ambient, has_nothing);
	expect_exit(&o, 0, "");
	o = play(user_lie, NULL);
	expect_exit(&o, REFUSED, "not what they should be");
}
END_TEST

Suite *test_privileges_suite(void)
{
	Suite *suite = suite_create("privileges");
	TCase *root = tcase_create("root");
	TCase *others = tcase_create("others");

	tcase_add_checked_fixture(root, set_scene, strike_scene);
	tcase_add_loop_test(root, root_lost, 0, (int)COUNT(lost));
	tcase_add_loop_test(root, root_keeps, 0, (int)COUNT(keeps));
	tcase_add_test(root, root_keeps_over_exec);
	tcase_add_test(root, root_hidden_and_alone);
	tcase_add_loop_test(root, root_obstacle, 0, (int)COUNT(obstacles));
	tcase_add_test(others, user_has_nothing);
	suite_add_tcase(suite, root);
	suite_add_tcase(suite, others);
	return suite;
}
