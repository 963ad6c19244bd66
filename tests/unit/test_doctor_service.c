/* SPDX-License-Identifier: MIT */
/*
 * What "iommuctl doctor" says of the daemon: of its configuration as iommu-brokerd checks it, of its
 * socket, its process and its units. In trees of prepared files, as in test_doctor.c.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "doctor_tree.h"

Suite *test_doctor_service_suite(void);

#define CONF   "/etc/iommu-broker/iommu-broker.conf"
#define SOCKET "/run/iommu-broker/socket"
#define ETC    "/etc/systemd/system/"
#define UNIT   "/usr/lib/systemd/system/iommu-broker.socket"

/* The finding, which must be there and say this. */
static const struct doctor_finding *says(enum doctor_id id, const char *words)
{
	const struct doctor_finding *f = tree_find(id, NULL);

	ck_assert_msg(f != NULL, "%s is not found", doctor_id_name(id));
	ck_assert_msg(strstr(f->text, words) != NULL, "%s: %s", doctor_id_name(id), f->text);
	return f;
}

/* Which of the lines that mend it says this; -1 for none. */
static int mend_with(const struct doctor_finding *f, const char *words)
{
	for (size_t i = 0; i < f->mend_count; i++) {
		if (strstr(f->mend[i], words))
			return (int)i;
	}
	return -1;
}

static void nothing_tells_the_root(void)
{
	for (size_t i = 0; i < view.finding_count; i++) {
		const struct doctor_finding *f = &view.findings[i];

		ck_assert_msg(!strstr(f->text, tree_root), "%s", f->text);
		ck_assert_msg(!strstr(f->object, tree_root), "%s", f->object);
		for (size_t n = 0; n < f->mend_count; n++)
			ck_assert_msg(!strstr(f->mend[n], tree_root), "%s", f->mend[n]);
	}
}

/* ---- the configuration ---- */

/* iommu-brokerd finds these mistakes, each "LINE: REASON". */
static void mistakes_are(const char *first, const char *second, const char *third)
{
	char script[1024];

	snprintf(script, sizeof(script),
		 "#!/bin/sh\nfor m in '%s' '%s' '%s'; do\n"
		 "[ -z \"$m\" ] || echo \"${1#--check-config=}:$m\" >&2; done\nexit 1\n",
		 first, second, third);
	tree_program("/usr/sbin/iommu-brokerd", script);
}

START_TEST(every_mistake_is_told)
{
	const struct doctor_finding *f;

	mistakes_are("3: unknown key \"usr\"", "4: domains must be yes or no", "7: no such thing");
	doctor_run(&view);
	f = says(DOCTOR_IS_CONFIG_WRONG, "wrong: " CONF ":3: unknown key \"usr\"; and 2 more");
	ck_assert_int_eq(mend_with(f, "correct " CONF ":3: unknown key"), 0);
	ck_assert_int_eq(mend_with(f, "correct " CONF ":4: domains"), 1);
	ck_assert_int_eq(mend_with(f, "correct " CONF ":7: no such"), 2);
	ck_assert_int_eq(mend_with(f, "iommu-brokerd --check-config=" CONF), 3);
	nothing_tells_the_root();
}
END_TEST

/* Its users are in its own files. */
START_TEST(names_of_another_machine)
{
	tree_put("/etc/passwd", "root:x:0:0::/:\nalice:x:1000:1000::/:\n");
	tree_put("/etc/group", "root:x:0:\nstaff:x:50:\n");
	mistakes_are("2: unknown user \"alice\"", "3: unknown group \"staff\"", "");
	doctor_run(&view);
	ck_assert_ptr_null(tree_find(DOCTOR_IS_CONFIG_WRONG, NULL));
	ck_assert_ptr_nonnull(tree_find(DOCTOR_IS_CONFIG, NULL));
}
END_TEST

START_TEST(names_that_are_wrong_there_too)
{
	const struct doctor_finding *f;

	tree_put("/etc/passwd", "alicetta:x:1000:1000::/:\n");
	tree_put("/etc/group", "alice:x:50:\n");
	mistakes_are("2: unknown user \"alice\"", "3: unknown group \"alice\"", "");
	doctor_run(&view);
	f = says(DOCTOR_IS_CONFIG_WRONG, ":2: unknown user \"alice\"");
	ck_assert_int_eq(mend_with(f, "unknown group"), -1);
	ck_assert_ptr_null(tree_find(DOCTOR_IS_CONFIG, NULL));
}
END_TEST

START_TEST(names_that_nobody_can_look_up)
{
	mistakes_are("2: unknown user \"alice\"", "3: unknown group \"staff\"", "");
	doctor_run(&view);
	ck_assert_ptr_null(tree_find(DOCTOR_IS_CONFIG_WRONG, NULL));
	ck_assert_ptr_null(tree_find(DOCTOR_IS_CONFIG, NULL));
	ck_assert_int_eq(says(DOCTOR_IS_CONFIG_UNCHECKED, "users and groups")->severity,
			 DOCTOR_NOTE);
	nothing_tells_the_root();
}
END_TEST

/* The owner of the directory stands for root, which iommu-brokerd does not know. */
START_TEST(files_of_the_owner)
{
	view.root_uid = 1234;
	mistakes_are(" owned by uid 1234, who is neither root nor the user that runs the daemon",
		     "", "");
	doctor_run(&view);
	ck_assert_ptr_null(tree_find(DOCTOR_IS_CONFIG_WRONG, NULL));
	ck_assert_ptr_null(tree_find(DOCTOR_IS_CONFIG, NULL));
	says(DOCTOR_IS_CONFIG_UNCHECKED, "the owner of the directory");
}
END_TEST

/* ---- the command ---- */

static char text[65536];

static int run(const char *beyond)
{
	const char *build = getenv("IOB_BUILD");
	char command[1024];
	FILE *pipe;

	snprintf(command, sizeof(command), "%s/bin/iommuctl doctor --root %s%s 2>&1",
		 build ? build : "build", tree_root, beyond);
	pipe = popen(command, "r");
	ck_assert_ptr_nonnull(pipe);
	text[fread(text, 1, sizeof(text) - 1, pipe)] = '\0';
	return WEXITSTATUS(pclose(pipe));
}

/* Ours is asked; that of the tree would say that all is right. */
START_TEST(our_own_checks_the_tree)
{
	tree_put("/etc/passwd", "no-such-user-here:x:1000:1000::/:\nbob:x:1001:1001::/:\n");
	tree_put(CONF, "[allow a]\nuser = no-such-user-here\nusr = x\ndevice = *\ndomain = yes\n");
	ck_assert_int_eq(run(""), 1);
	ck_assert_msg(strstr(text, "wrong: " CONF ":3: unknown key \"usr\"; and 1 more mistake\n"),
		      "%s", text);
	ck_assert_ptr_nonnull(strstr(text, "correct " CONF ":5: unknown key \"domain\""));
	ck_assert_ptr_null(strstr(text, "no-such-user-here"));
	ck_assert_ptr_null(strstr(text, tree_root));
}
END_TEST

/* However it is written, it is the tree's. */
START_TEST(configuration_with_slashes)
{
	tree_put("/etc/passwd", "bob:x:1001:1001::/:\n");
	tree_put(CONF, "[allow a]\nuser = bob\nusr = x\n");
	run(" --config /" CONF);
	ck_assert_msg(strstr(text, "wrong: " CONF ":3: unknown key \"usr\"") != NULL, "%s", text);
}
END_TEST

/* One that came with a tree is not run by a command that came with it, either. */
START_TEST(program_of_the_tree_is_not_run)
{
	char command[512];

	tree_program("/usr/sbin/iommu-brokerd", "#!/bin/sh\ntouch $0.was-run\n");
	snprintf(command, sizeof(command), "mkdir -p %s/usr/bin && cp %s/bin/iommuctl %s/usr/bin/",
		 tree_root, getenv("IOB_BUILD") ? getenv("IOB_BUILD") : "build", tree_root);
	ck_assert_int_eq(system(command), 0);
	snprintf(command, sizeof(command),
		 "%s/usr/bin/iommuctl doctor --root %s > /dev/null;"
		 "[ -e %s/usr/sbin/iommu-brokerd.was-run ]",
		 tree_root, tree_root, tree_root);
	ck_assert_int_ne(system(command), 0);
}
END_TEST

START_TEST(root_that_is_too_long)
{
	char dots[301];

	for (size_t i = 0; i < sizeof(dots) - 1; i++)
		dots[i] = i % 2 ? '.' : '/';
	dots[sizeof(dots) - 1] = '\0';
	ck_assert_int_eq(run(dots), 2);
	ck_assert_ptr_nonnull(strstr(text, "longer than"));
	dots[160] = '\0';
	run(dots);
	ck_assert_msg(strstr(text, "serves this user") != NULL, "%s", text);
}
END_TEST

/* ---- the socket ---- */

/* Longer than the address of a socket. */
START_TEST(long_root)
{
	static char root[300];

	snprintf(root, sizeof(root), "%s%0120d", tree_root, 0);
	for (char *p = root + strlen(tree_root); *p; p += 2)
		memcpy(p, "/.", 2);
	view.root = root;
	doctor_run(&view);
	ck_assert_ptr_null(tree_find(DOCTOR_IS_SOCKET_WRONG, NULL));
	ck_assert_ptr_nonnull(tree_find(DOCTOR_IS_DAEMON, NULL));
	doctor_deinit(&view);
	tree_view(&view);
	view.root = root;
	tree_broker_stop();
	tree_delete("/run/iommu-broker");
	doctor_run(&view);
	says(DOCTOR_IS_SOCKET_MISSING, "no socket " SOCKET ",");
}
END_TEST

START_TEST(unit_listens_elsewhere)
{
	const struct doctor_finding *f;

	tree_put(UNIT, "[Socket]\nListenSequentialPacket=" SOCKET "\nSocketMode=0666\n");
	tree_put(CONF, "[daemon]\nsocket = /run/other/socket\n"
		       "[allow a]\nuser = alice\ndevice = 0000:00:03.0\ndomains = yes\n");
	doctor_run(&view);
	f = says(DOCTOR_IS_SOCKET_MISSING, "iommu-broker.socket listens at " SOCKET);
	ck_assert_int_ge(mend_with(f, "take \"socket =\" out of " CONF), 0);
	nothing_tells_the_root();

	doctor_deinit(&view);
	tree_view(&view);
	tree_put(ETC "iommu-broker.socket.d/override.conf",
		 "[Socket]\nListenSequentialPacket=\nListenSequentialPacket=/run/other/socket\n");
	doctor_run(&view);
	says(DOCTOR_IS_SOCKET_MISSING, "though iommu-brokerd runs");
}
END_TEST

START_TEST(file_in_place_of_the_socket)
{
	tree_broker_stop();
	tree_delete(SOCKET);
	tree_put(SOCKET, "x");
	doctor_run(&view);
	says(DOCTOR_IS_SOCKET_WRONG, SOCKET ": there is something else than a socket");
	ck_assert_ptr_null(tree_find(DOCTOR_IS_SOCKET_STALE, NULL));
	nothing_tells_the_root();
}
END_TEST

/* A stream, which connect() refuses for its kind. */
START_TEST(socket_of_another_kind)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	tree_broker_stop();
	tree_delete(SOCKET);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s" SOCKET, tree_root);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	doctor_run(&view);
	close(fd);
	says(DOCTOR_IS_SOCKET_WRONG, "cannot be reached at " SOCKET ": Protocol wrong type");
	nothing_tells_the_root();
}
END_TEST

START_TEST(stale_though_it_runs)
{
	const struct doctor_finding *f;

	tree_broker_stop();
	doctor_run(&view);
	f = says(DOCTOR_IS_SOCKET_STALE, "though iommu-brokerd runs (process 4242)");
	ck_assert_ptr_null(strstr(f->why, "killed"));
	ck_assert_int_eq(mend_with(f, "systemctl restart iommu-broker.socket"), 0);
	nothing_tells_the_root();
}
END_TEST

/* ---- the process ---- */

static void process_is(const char *pid, const char *parent)
{
	char path[64], line[64];

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	tree_put(path, "iommu-brokerd\n");
	snprintf(path, sizeof(path), "/proc/%s/status", pid);
	snprintf(line, sizeof(line), "Name:\tiommu-brokerd\nPPid:\t%s\n", parent);
	tree_put(path, line);
}

/* Not one of its children, whichever name sorts first. */
START_TEST(monitor_among_its_children)
{
	tree_broker_stop();
	tree_delete("/proc/4242");
	process_is("98", "999");
	process_is("999", "1");
	process_is("1000", "999");
	process_is("1001", "1");
	doctor_run(&view);
	ck_assert_int_eq((int)view.monitor_pid, 999);
}
END_TEST

/* ---- the units ---- */

START_TEST(starts_in_vain)
{
	static const char *const states[] = {
		"ActiveState=activating\\nSubState=auto-restart\\nResult=exit-code\\nNRestarts=0",
		"ActiveState=activating\\nSubState=start\\nResult=exit-code\\nNRestarts=7",
		"ActiveState=activating\\nSubState=start\\nResult=success\\nNRestarts=0",
		"ActiveState=active\\nSubState=running\\nResult=success\\nNRestarts=3",
	};
	char script[256];

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		const struct doctor_finding *f;

		doctor_deinit(&view);
		tree_view(&view);
		snprintf(script, sizeof(script), "#!/bin/sh\nprintf '%s\\n'\n", states[i]);
		tree_program("/usr/bin/systemctl", script);
		doctor_run(&view);
		f = tree_find(DOCTOR_IS_SYSTEMD_FAILED, NULL);
		ck_assert_msg((f != NULL) == (i < 2), "%s", states[i]);
		if (f) {
			says(DOCTOR_IS_SYSTEMD_FAILED, "each time it is started");
			ck_assert_int_ge(mend_with(f, "journalctl"), 0);
			ck_assert_int_lt(mend_with(f, "reset-failed"), 0);
		}
	}
}
END_TEST

START_TEST(masked_by_an_empty_file)
{
	tree_put(ETC "iommu-broker.socket", "");
	doctor_run(&view);
	says(DOCTOR_IS_SYSTEMD_MASKED, "iommu-broker.socket is masked");
}
END_TEST

/* What the administrator wrote goes before it. */
START_TEST(not_masked_after_all)
{
	tree_put("/run/systemd/system/iommu-broker.socket", "");
	tree_put(ETC "iommu-broker.socket", "[Socket]\n");
	doctor_run(&view);
	ck_assert_ptr_null(tree_find(DOCTOR_IS_SYSTEMD_MASKED, NULL));
}
END_TEST

START_TEST(unmasked_before_it_is_started)
{
	const struct doctor_finding *f;

	tree_broker_stop();
	tree_delete(SOCKET);
	tree_delete("/proc/4242");
	tree_link(ETC "iommu-broker.socket", "/dev/null");
	doctor_run(&view);
	f = says(DOCTOR_IS_SOCKET_MISSING, "no socket");
	ck_assert_int_eq(mend_with(f, "systemctl unmask iommu-broker.socket"), 0);
	ck_assert_int_eq(mend_with(f, "systemctl enable --now iommu-broker.socket"), 1);
}
END_TEST

Suite *test_doctor_service_suite(void)
{
	Suite *suite = suite_create("doctor_service");
	TCase *tc = tcase_create("tree");

	tcase_add_checked_fixture(tc, tree_set_up, tree_tear_down);
	tcase_add_test(tc, every_mistake_is_told);
	tcase_add_test(tc, names_of_another_machine);
	tcase_add_test(tc, names_that_are_wrong_there_too);
	tcase_add_test(tc, names_that_nobody_can_look_up);
	tcase_add_test(tc, files_of_the_owner);
	tcase_add_test(tc, our_own_checks_the_tree);
	tcase_add_test(tc, configuration_with_slashes);
	tcase_add_test(tc, program_of_the_tree_is_not_run);
	tcase_add_test(tc, root_that_is_too_long);
	tcase_add_test(tc, long_root);
	tcase_add_test(tc, unit_listens_elsewhere);
	tcase_add_test(tc, file_in_place_of_the_socket);
	tcase_add_test(tc, socket_of_another_kind);
	tcase_add_test(tc, stale_though_it_runs);
	tcase_add_test(tc, monitor_among_its_children);
	tcase_add_test(tc, starts_in_vain);
	tcase_add_test(tc, masked_by_an_empty_file);
	tcase_add_test(tc, not_masked_after_all);
	tcase_add_test(tc, unmasked_before_it_is_started);
	suite_add_tcase(suite, tc);
	return suite;
}
