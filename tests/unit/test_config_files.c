/* SPDX-License-Identifier: MIT */
/* The folder beside the configuration file, how several files add up, and --check-config. */
#define _GNU_SOURCE

#include "daemon/monitor-config-rules.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

Suite *test_config_files_suite(void);

static char top[64], path[80];

static void put(const char *name, const char *text)
{
	char file[128];
	int fd;

	snprintf(file, sizeof(file), "%s/%s", top, name);
	fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq((int)write(fd, text, strlen(text)), (int)strlen(text));
	close(fd);
}

static char *in_top(const char *name)
{
	static char file[128];

	snprintf(file, sizeof(file), "%s/%s", top, name);
	return file;
}

static void set_up(void)
{
	umask(022);
	strcpy(top, "/tmp/iob-config-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	snprintf(path, sizeof(path), "%s/main", top);
	put("main", "");
	ck_assert_int_eq(mkdir(in_top("conf.d"), 0755), 0);
}

static int remove_one(const char *file, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(file);
}

static void tear_down(void)
{
	nftw(top, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int next_fd(void)
{
	int fd = dup(0);

	ck_assert_int_ge(fd, 0);
	close(fd);
	return fd;
}

static void load(struct config *c)
{
	struct fault why = { 0 };
	int r, fd = next_fd();

	r = config_load(path, c, &why);
	ck_assert_msg(r == 0, "%s", why.text);
	ck_assert_int_eq(next_fd(), fd);
}

static void expect_wrong(const char *start, const char *words)
{
	struct fault why = { 0 };
	char where[160];
	struct config c;
	int fd = next_fd();

	ck_assert_int_lt(config_load(path, &c, &why), 0);
	ck_assert_ptr_null(c.rules);
	snprintf(where, sizeof(where), "%s/%s: ", top, start);
	ck_assert_msg(strncmp(why.text, where, strlen(where)) == 0, "\"%s\" is not about %s",
		      why.text, where);
	ck_assert_msg(strstr(why.text, words) != NULL, "\"%s\" says nothing of \"%s\"", why.text,
		      words);
	ck_assert_int_eq(next_fd(), fd);
}

/* ---- which files ---- */

START_TEST(no_folder)
{
	struct config c;

	ck_assert_int_eq(rmdir(in_top("conf.d")), 0);
	load(&c);
	ck_assert_uint_eq(c.file_count, 1);
	config_deinit(&c);
}
END_TEST

START_TEST(only_what_ends_in_conf)
{
	struct config c;

	put("conf.d/README", "nonsense");
	put("conf.d/10.conf~", "nonsense");
	put("conf.d/10.conf.off", "nonsense");
	put("conf.d/conf", "nonsense");
	put("conf.d/.conf", "nonsense");
	put("conf.d/.#20.conf", "nonsense");
	put("conf.d/20.CONF", "nonsense");
	put("conf.d/x.conf", "[allow x]\nuser = 1\n");
	load(&c);
	ck_assert_uint_eq(c.file_count, 2);
	ck_assert_uint_eq(c.rule_count, 1);
	config_deinit(&c);
}
END_TEST

START_TEST(in_byte_order)
{
	static const char *const order[] = { "10", "9", "B", "a", "\xc3\xa4" };
	struct config c;

	put("main", "[allow main]\nuser = 1\n");
	for (size_t i = 5; i-- > 0;) {
		char name[32], text[64];

		snprintf(name, sizeof(name), "conf.d/%s.conf", order[i]);
		snprintf(text, sizeof(text), "[allow %s]\nuser = 1\n", order[i]);
		put(name, text);
	}
	load(&c);
	ck_assert_uint_eq(c.rule_count, 6);
	ck_assert_str_eq(c.rules[0].name, "main");
	for (size_t i = 0; i < 5; i++)
		ck_assert_str_eq(c.rules[i + 1].name, order[i]);
	config_deinit(&c);
}
END_TEST

/* ---- how they add up ---- */

START_TEST(later_keys_of_the_daemon_count)
{
	struct config c;

	put("main", "[daemon]\nbackend = sim\nmax-sessions = 5\nsocket = /a\n");
	put("conf.d/1.conf", "[daemon]\nmax-sessions = 6\nsocket = /b\n");
	put("conf.d/2.conf", "[daemon]\nmax-sessions = 7\n");
	load(&c);
	ck_assert_int_eq(c.backend, CONFIG_BACKEND_SIM);
	ck_assert_uint_eq(c.max_sessions, 7);
	ck_assert_str_eq(c.socket_path, "/b");
	config_deinit(&c);
}
END_TEST

/* What one file ends with does not reach into the next. */
START_TEST(sections_end_with_their_file)
{
	put("main", "[allow a]\nuser = 1\n");
	put("conf.d/1.conf", "device = *\n");
	expect_wrong("conf.d/1.conf:1", "before any section");
	put("conf.d/1.conf", "[allow b]\n");
	put("conf.d/2.conf", "user = 1\n");
	expect_wrong("conf.d/1.conf:1", "neither user nor group");
}
END_TEST

START_TEST(a_name_is_there_once)
{
	char main_line[96];

	put("main", "\n[allow a]\nuser = 1\n");
	put("conf.d/1.conf", "\n\n[allow a]\nuser = 2\n");
	snprintf(main_line, sizeof(main_line), "rule \"a\" is also in %s/main:2", top);
	expect_wrong("conf.d/1.conf:3", main_line);
	put("main", "[daemon]\n");
	put("conf.d/1.conf", "[daemon]\n[daemon]\n");
	expect_wrong("conf.d/1.conf:2", "second [daemon]");
}
END_TEST

START_TEST(uids_are_checked_over_all_files)
{
	put("main", "[daemon]\nsession-uid-base = 1000\n");
	put("conf.d/1.conf", "\n[allow a]\nuser = 1001\n");
	expect_wrong("conf.d/1.conf:3", "own sessions");
	put("main", "[allow a]\nuser = 1001\n");
	put("conf.d/1.conf", "[daemon]\nsession-uid-base = 1000\n");
	expect_wrong("main:2", "own sessions");
}
END_TEST

/* ---- may they be trusted ---- */

START_TEST(what_is_there_must_be_readable)
{
	ck_assert_int_eq(symlink("/nonexistent/x", in_top("conf.d/1.conf")), 0);
	expect_wrong("conf.d/1.conf", "cannot open: No such file");
	unlink(in_top("conf.d/1.conf"));
	ck_assert_int_eq(mkdir(in_top("conf.d/1.conf"), 0755), 0);
	expect_wrong("conf.d/1.conf", "not a regular file");
	rmdir(in_top("conf.d/1.conf"));
	ck_assert_int_eq(mkfifo(in_top("conf.d/1.conf"), 0600), 0);
	expect_wrong("conf.d/1.conf", "not a regular file");
	unlink(in_top("conf.d/1.conf"));
	put("conf.d/1.conf", "");
	if (geteuid() != 0) {
		chmod(in_top("conf.d/1.conf"), 0);
		expect_wrong("conf.d/1.conf", "cannot open: Permission denied");
		chmod(in_top("conf.d"), 0);
		expect_wrong("conf.d", "cannot open: Permission denied");
		chmod(in_top("conf.d"), 0755);
	}
}
END_TEST

START_TEST(folder_that_is_none)
{
	ck_assert_int_eq(rmdir(in_top("conf.d")), 0);
	ck_assert_int_eq(symlink("/nonexistent/x", in_top("conf.d")), 0);
	expect_wrong("conf.d", "cannot open: No such file");
	unlink(in_top("conf.d"));
	put("conf.d", "");
	expect_wrong("conf.d", "cannot open: Not a directory");
}
END_TEST

START_TEST(who_may_write_decides)
{
	struct config c;

	put("conf.d/1.conf", "[allow a]\nuser = 1\n");
	ck_assert_int_eq(chmod(in_top("conf.d/1.conf"), 0664), 0);
	expect_wrong("conf.d/1.conf", "lets others write it");
	ck_assert_int_eq(chmod(in_top("conf.d/1.conf"), 0600), 0);
	ck_assert_int_eq(chmod(in_top("conf.d"), 0775), 0);
	expect_wrong("conf.d", "lets others write it");
	ck_assert_int_eq(chmod(in_top("conf.d"), 01757), 0);
	expect_wrong("conf.d", "lets others write it");
	ck_assert_int_eq(chmod(in_top("conf.d"), 0700), 0);
	load(&c);
	config_deinit(&c);
	if (geteuid() != 0)
		return;
	ck_assert_int_eq(chown(in_top("conf.d/1.conf"), 12345, 0), 0);
	expect_wrong("conf.d/1.conf", "owned by uid 12345");
	ck_assert_int_eq(chown(in_top("conf.d/1.conf"), 0, 0), 0);
	ck_assert_int_eq(chown(in_top("conf.d"), 12345, 0), 0);
	expect_wrong("conf.d", "owned by uid 12345");
}
END_TEST

/* Where others can put a file in place of ours, that ours is right helps nobody. */
START_TEST(so_does_who_may_move_the_file)
{
	struct config c;

	put("main", "[allow a]\nuser = 1\n");
	ck_assert_int_eq(chmod(top, 0775), 0);
	expect_wrong("", "lets others write it");
	ck_assert_int_eq(chmod(top, 0757), 0);
	expect_wrong("", "lets others write it");
	ck_assert_int_eq(chmod(top, 01777), 0); /* as /tmp: there they cannot */
	load(&c);
	config_deinit(&c);
	ck_assert_int_eq(chmod(top, 0711), 0);
	load(&c);
	config_deinit(&c);
	if (geteuid() != 0)
		return;
	ck_assert_int_eq(chown(top, 12345, 0), 0);
	expect_wrong("", "owned by uid 12345");
	ck_assert_int_eq(chmod(top, 01777), 0);
	expect_wrong("", "owned by uid 12345");
}
END_TEST

/* The folder is the one that the path names, also where that is the present one. */
START_TEST(paths_without_a_folder)
{
	struct fault why = { 0 };
	struct config c;

	put("conf.d/1.conf", "[allow a]\nuser = 1\n");
	ck_assert_int_eq(chdir(top), 0);
	strcpy(path, "main");
	load(&c);
	ck_assert_uint_eq(c.file_count, 2);
	config_deinit(&c);
	ck_assert_int_eq(chmod(top, 0777), 0);
	ck_assert_int_lt(config_load(path, &c, &why), 0);
	ck_assert_msg(strncmp(why.text, "./ (the folder that it is in): mode 0777 lets others",
			      52) == 0,
		      "%s", why.text);
	ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

START_TEST(so_many_files)
{
	char name[32];
	struct config c;

	for (unsigned i = 0; i < 256; i++) {
		snprintf(name, sizeof(name), "conf.d/%u.conf", i);
		put(name, "");
	}
	load(&c);
	ck_assert_uint_eq(c.file_count, 257);
	config_deinit(&c);
	put("conf.d/one-more.conf", "");
	expect_wrong("conf.d", "more than 256 files");
}
END_TEST

/* ---- looking up ---- */

static int asked;

static int answer(void *arg, enum config_people kind, const char *name, uint32_t *id)
{
	ck_assert_ptr_eq(arg, &asked);
	asked++;
	if (strcmp(name, "anna") == 0 && kind == CONFIG_USER)
		*id = 4711;
	else if (strcmp(name, "staff") == 0 && kind == CONFIG_GROUP)
		*id = 4712;
	else
		return strcmp(name, "moved") == 0 ? -ESTALE : -ENOENT;
	return 0;
}

START_TEST(names_are_asked_of_whom_one_likes)
{
	const struct config_reading how = { .resolve = answer, .arg = &asked };
	struct fault why = { 0 };
	struct config c;

	put("main", "[allow a]\nuser = anna 5\ngroup = staff\n");
	ck_assert_int_eq(config_load_with(path, &how, &c, &why), 0);
	ck_assert_int_eq(asked, 2);
	ck_assert_uint_eq(c.rules[0].users[0], 4711);
	ck_assert_uint_eq(c.rules[0].users[1], 5);
	ck_assert_uint_eq(c.rules[0].groups[0], 4712);
	config_deinit(&c);
	put("main", "[allow a]\nuser = root\n");
	ck_assert_int_lt(config_load_with(path, &how, &c, &why), 0);
	ck_assert_ptr_nonnull(strstr(why.text, "unknown user \"root\""));
	put("main", "[allow a]\nuser = moved\n");
	ck_assert_int_lt(config_load_with(path, &how, &c, &why), 0);
	ck_assert_ptr_nonnull(strstr(why.text, "changed while it was read"));
}
END_TEST

/* ---- --check-config ---- */

/* Returns the exit status; what it printed is in out and err. */
static int check(char out[4096], char err[8192])
{
	char *const texts[] = { out, err };
	const size_t rooms[] = { 4096, 8192 };
	FILE *files[2];
	int saved[2], status;

	for (int i = 0; i < 2; i++) {
		fflush(i ? stderr : stdout);
		files[i] = tmpfile();
		ck_assert_ptr_nonnull(files[i]);
		saved[i] = dup(i + 1);
		dup2(fileno(files[i]), i + 1);
	}
	status = config_check(path);
	for (int i = 0; i < 2; i++) {
		fflush(i ? stderr : stdout);
		dup2(saved[i], i + 1);
		close(saved[i]);
		rewind(files[i]);
		texts[i][fread(texts[i], 1, rooms[i] - 1, files[i])] = '\0';
		fclose(files[i]);
	}
	return status;
}

static unsigned lines(const char *text)
{
	unsigned n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static void says(const char *text, const char *words)
{
	ck_assert_msg(strstr(text, words) != NULL, "\"%s\" is not in:\n%s", words, text);
}

/* A session would run as that user. */
START_TEST(uids_of_sessions_belong_to_nobody)
{
	const char *passwd = in_top("passwd");
	char out[4096], err[8192];
	struct config c = { .session_uid_base = 1000, .session_uids = 24 };
	struct fault why;

	put("passwd", "root:x:0:0::/:/bin/sh\nalice:x:1024:1024::/:/bin/sh\n");
	ck_assert(!config_uids_taken(&c, passwd, &why));
	put("passwd", "root:x:0:0::/:/bin/sh\nalice:x:1023:1024::/:/bin/sh\n");
	ck_assert(config_uids_taken(&c, passwd, &why));
	says(why.text, "uid 1023 of user alice");
	ck_assert(!config_uids_taken(&c, "/nonexistent", &why));
	if (!getpwnam("nobody"))
		return;
	put("main", "[daemon]\nsession-uid-base = 65000\n[allow a]\nuser = root\n");
	ck_assert_int_eq(check(out, err), 0);
	says(err, "warning: uid 65534 of user nobody");
}
END_TEST

START_TEST(check_tells_who_may_what)
{
	char out[4096], err[8192];

	put("main", "[allow a]\nuser = root 4242\ndevice = 0000:01:00.0 class:0108\n"
		    "access = fd mediated\ndomains = yes\nmax-bytes = 3G\nmax-rate = 77\n");
	put("conf.d/1.conf", "[allow b]\ngroup = root\ninspect-all = yes\n");
	ck_assert_int_eq(check(out, err), 0);
	ck_assert_str_eq(err, "");
	says(out, "2 files");
	says(out, "users root (0), ? (4242)");
	says(out, "0000:01:00.0, class 0108\n");
	says(out, "mediated and fd");
	says(out, "may make domains");
	says(out, "3G in 65536 mappings");
	says(out, "77 operations");
	says(out, "conf.d/1.conf:1\n  group root (0)");
	says(out, "no device");
	says(out, "may not make domains; sees devices and domains of all");
	put("main", "");
	unlink(in_top("conf.d/1.conf"));
	ck_assert_int_eq(check(out, err), 0);
	says(out, "nobody gets a device");
}
END_TEST

/* Each line has the same mistake, which must not hide the others. */
START_TEST(check_tells_of_dos_once)
{
	char out[4096], err[8192];

	put("main", "[daemon]\r\nbackend = x\r\nsim-devices = 4\r\n");
	put("conf.d/1.conf", "[allow a]\r\nuser = root\r\n");
	ck_assert_int_eq(check(out, err), 1);
	says(err, "main:1: line ends of DOS (CR LF)\n");
	says(err, "main:2: backend must be");
	says(err, "not \"x\"\n");
	says(err, "conf.d/1.conf:1: line ends of DOS (CR LF)\n");
	ck_assert_uint_eq(lines(err), 3);
}
END_TEST

START_TEST(check_tells_of_drivers)
{
	char out[4096], err[8192];

	put("main", "[drivers]\nvfio-pci = 0000:01:00.0 class:0108\n"
		    "[allow a]\nuser = root\ndevice = 0000:01:00.0\ndrivers = yes\n"
		    "max-mappings = 1\nmax-domains = 1\n");
	put("conf.d/1.conf", "[drivers]\nvfio-pci = 1234:11e8\n"
			     "[allow b]\nuser = 4242\ndevice = *\n");
	ck_assert_int_eq(check(out, err), 0);
	ck_assert_str_eq(err, "");
	says(out, "at the start to vfio-pci: 0000:01:00.0, class:0108, 1234:11e8\n");
	says(out, "access: mediated\n"
		  "  may move these devices between the host's driver and vfio-pci\n");
	says(out, "200 domains made, devices opened and bound, drivers looked at or changed\n");
	says(out, "in 1 mapping; 16 connections, 1 domain, 16 devices\n");
	ck_assert_ptr_null(strstr(strstr(out, "[allow b]"), "may move"));
	put("main", "[allow a]\nuser = root\n");
	unlink(in_top("conf.d/1.conf"));
	ck_assert_int_eq(check(out, err), 0);
	ck_assert_ptr_null(strstr(out, "vfio-pci"));
}
END_TEST

/* What stands there to no purpose is told of, and is no mistake. */
START_TEST(check_warns_of_what_has_no_effect)
{
	char out[4096], err[8192];

	put("main", "[daemon]\nmax-sessions = 8\n"
		    "[allow a]\nuser = 4242\naccess = fd\n"
		    "[allow d]\nuser = 4242\ndrivers = yes\n"
		    "[allow many]\nuser = 4242\nmax-sessions = 9\n"
		    "[allow none]\nuser = 4243\nmax-sessions = 0\n");
	ck_assert_int_eq(check(out, err), 0);
	says(out, "right");
	says(err, "main:3: warning: [allow a]: access without device");
	says(err, "main:6: warning: [allow d]: drivers = yes without device");
	says(err, "main:9: warning: [allow many]: max-sessions = 9 is above the 8 of the daemon");
	says(err, "main:12: warning: [allow none]: max-sessions = 0: user 4243 can never connect");
	ck_assert_uint_eq(lines(err), 4);
	/* Another rule lets them connect; the default is above the daemon's, but nobody wrote it. */
	put("main", "[daemon]\nmax-sessions = 8\n"
		    "[allow a]\nuser = 4242\ndevice = *\naccess = fd\nmax-sessions = 8\n"
		    "[allow more]\nuser = root 4242\ngroup = root\nmax-sessions = 0\n");
	put("conf.d/1.conf", "[allow b]\nuser = 1\ndevice = *\ndrivers = yes\n");
	ck_assert_int_eq(check(out, err), 0);
	ck_assert_str_eq(err, "");
}
END_TEST

static const char *const problems[] = {
	"main:2: backend must be",
	"main:4: unknown key \"max-session\"",
	"main:5: not \"key = value\"",
	"main:6: unknown section \"alow\"",
	"main:9: rule \"a\" is also in line 7",
	"main:12: unknown user \"no-such-user-iob\"",
	"main:14: a line of ",
	"main:15: byte 0x01 at column 1",
	"main:16: the rule names neither user nor group",
	"conf.d/1.conf:1: rule \"a\" is also in ",
	"conf.d/1.conf:6: access must be",
	"conf.d/2.conf: cannot open",
	"conf.d/3.conf:1: a setting before any section",
};

/* One for each mistake, and none that only follows from another. */
START_TEST(check_tells_all_problems)
{
	char out[4096], err[8192], text[1024], end[256];

	memset(end, 'x', 220);
	end[220] = '\0';
	snprintf(text, sizeof(text),
		 "[daemon]\nbackend = x\nsim-devices = 4\nmax-session = 5\njunk\n"
		 "[alow b]\n" /* what follows belongs to nothing */
		 "[allow a]\nuser = 1\n[allow a]\nnonsense = 1\n"
		 "[allow u]\nuser = no-such-user-iob\ndomains = yes\n%s\n\x01\n[allow nobody]\n",
		 end);
	put("main", text);
	put("conf.d/1.conf", "[allow a]\nuser = 1\n[allow b]\nuser = 1\ngroup = 1\naccess = no\n");
	ck_assert_int_eq(symlink("/nonexistent/x", in_top("conf.d/2.conf")), 0);
	put("conf.d/3.conf", "user = 1\n");
	ck_assert_int_eq(check(out, err), 1);
	ck_assert_str_eq(out, "");
	for (size_t i = 0; i < sizeof(problems) / sizeof(problems[0]); i++)
		says(err, problems[i]);
	ck_assert_msg(lines(err) == sizeof(problems) / sizeof(problems[0]), "%u lines:\n%s",
		      lines(err), err);
}
END_TEST

START_TEST(check_stops_at_some_time)
{
	static char text[4000];
	char out[4096], err[8192];

	memset(text, '\n', sizeof(text) - 1);
	for (size_t i = 0; i < sizeof(text) - 1; i += 2)
		text[i] = 'x';
	put("main", text);
	put("conf.d/1.conf", "x");
	ck_assert_int_eq(check(out, err), 1);
	ck_assert_uint_eq(lines(err), 51);
	says(err, "\nthere may be more\n");
	unlink(path);
	unlink(in_top("conf.d/1.conf"));
	ck_assert_int_eq(check(out, err), 1);
	says(err, "main: cannot open: No such file");
}
END_TEST

Suite *test_config_files_suite(void)
{
	const TTest *const tests[] = {
		no_folder,
		only_what_ends_in_conf,
		in_byte_order,
		later_keys_of_the_daemon_count,
		sections_end_with_their_file,
		a_name_is_there_once,
		uids_are_checked_over_all_files,
		what_is_there_must_be_readable,
		folder_that_is_none,
		who_may_write_decides,
		so_does_who_may_move_the_file,
		paths_without_a_folder,
		so_many_files,
		names_are_asked_of_whom_one_likes,
		uids_of_sessions_belong_to_nobody,
		check_tells_who_may_what,
		check_tells_of_drivers,
		check_warns_of_what_has_no_effect,
		check_tells_all_problems,
		check_tells_of_dos_once,
		check_stops_at_some_time,
	};
	Suite *suite = suite_create("config_files");
	TCase *tc = tcase_create("files");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(suite, tc);
	return suite;
}
