/* SPDX-License-Identifier: MIT */
/* The configuration file: what it says, and each way of saying it wrong. */
#define _GNU_SOURCE

#include "daemon/monitor-config-rules.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

Suite *test_config_suite(void);

#define RULE "[allow a]\nuser = 1000\n"

static char path[64];

static void write_file(const void *text, size_t bytes)
{
	int fd;

	strcpy(path, "/tmp/iob-config-XXXXXX");
	fd = mkostemp(path, O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq((int)write(fd, text, bytes), (int)bytes);
	close(fd);
}

static int next_fd(void)
{
	int fd = dup(0);

	ck_assert_int_ge(fd, 0);
	close(fd);
	return fd;
}

static void expect_empty(const struct config *c)
{
	static const struct config empty;

	ck_assert_ptr_null(c->socket_path);
	ck_assert_ptr_null(c->rules);
	ck_assert_uint_eq(c->rule_count, 0);
	ck_assert_uint_eq(c->max_sessions, empty.max_sessions);
}

/* Loads the text; it must be right. */
static void load(const char *text, struct config *c)
{
	struct fault why = { 0 };
	int r, fd = next_fd();

	write_file(text, strlen(text));
	r = config_load(path, c, &why);
	unlink(path);
	ck_assert_msg(r == 0, "%s", why.text);
	ck_assert_int_eq(next_fd(), fd);
}

/* Loads the text; it must be refused in that line (0: no line) for a reason with these words. */
static void expect_wrong(const void *text, size_t bytes, unsigned line, const char *words)
{
	struct fault why = { 0 };
	struct config c;
	char start[96];
	int r, fd = next_fd();

	write_file(text, bytes);
	memset(&c, 0x11, sizeof(c));
	r = config_load(path, &c, &why);
	unlink(path);
	snprintf(start, sizeof(start), line ? "%s:%u: " : "%s: ", path, line);
	ck_assert_msg(r == -EINVAL, "accepted, or wrong code %d: %s", r, (const char *)text);
	ck_assert_uint_eq(why.code, IOB_E_ARGUMENT);
	ck_assert_msg(strncmp(why.text, start, strlen(start)) == 0, "\"%s\", not in line %u",
		      why.text, line);
	ck_assert_msg(strstr(why.text, words) != NULL, "\"%s\" says nothing of \"%s\"", why.text,
		      words);
	expect_empty(&c);
	config_deinit(&c);
	ck_assert_int_eq(next_fd(), fd);
}

static void expect_defaults(const struct config *c)
{
	ck_assert_int_eq(c->backend, CONFIG_BACKEND_AUTO);
	ck_assert_str_eq(c->socket_path, IOB_DEFAULT_SOCKET);
	ck_assert_uint_eq(c->session_uid_base, 1879048192);
	ck_assert_uint_eq(c->max_sessions, 1024);
	ck_assert_uint_eq(c->session_uids, 1024);
	ck_assert_uint_eq(c->sim_devices, 8);
	ck_assert(!c->allow_unsafe_interrupts);
	ck_assert(!c->allow_test_kernel);
}

static void expect_default_rule(const struct config_rule *rule)
{
	struct quota q = rule->quota;

	ck_assert_uint_eq(rule->access, IOB_ACCESS_MEDIATED);
	ck_assert(!rule->inspect_all);
	policy_fill_quota(&q, rule->written);
	ck_assert_uint_eq(q.max_bytes, 256 << 20);
	ck_assert_uint_eq(q.max_mappings, 65536);
	ck_assert_uint_eq(q.max_sessions, 16);
	ck_assert_uint_eq(q.max_domains, 16);
	ck_assert_uint_eq(q.max_devices, 16);
	ck_assert_uint_eq(q.max_rate, QUOTA_UNLIMITED);
	ck_assert_uint_eq(q.max_connects, 50);
	ck_assert_uint_eq(q.max_setups, 200);
}

START_TEST(defaults)
{
	struct config c;
	struct fault why;

	ck_assert_int_eq(config_load(NULL, &c, &why), 0);
	expect_defaults(&c);
	ck_assert_uint_eq(c.rule_count, 0);
	config_deinit(&c);
	expect_empty(&c);
	load("", &c);
	expect_defaults(&c);
	config_deinit(&c);
	load("[daemon]", &c); /* no newline at the end */
	expect_defaults(&c);
	config_deinit(&c);
}
END_TEST

START_TEST(daemon_section)
{
	struct config c;

	load("# comment\n"
	     "\t[daemon]  ; the whole machine\n"
	     "backend = iommufd ; comment\n"
	     "  socket=/tmp/x\n"
	     "session-uid-base = 1000\n\n"
	     "max-sessions = 65536\n"
	     "sim-devices\t=\t64\t\n"
	     "allow-unsafe-interrupts = yes\n"
	     "allow-test-kernel = yes",
	     &c);
	ck_assert_int_eq(c.backend, CONFIG_BACKEND_IOMMUFD);
	ck_assert_str_eq(c.socket_path, "/tmp/x");
	ck_assert_uint_eq(c.session_uid_base, 1000);
	ck_assert_uint_eq(c.max_sessions, 65536);
	ck_assert_uint_eq(c.sim_devices, 64);
	ck_assert(c.allow_unsafe_interrupts);
	ck_assert(c.allow_test_kernel);
	config_deinit(&c);
	load("[daemon]\nsession-uid-base = 4294967293\nmax-sessions = 1\n", &c);
	config_deinit(&c);
}
END_TEST

START_TEST(rule_with_everything)
{
	struct config c;
	const struct config_rule *rule;

	load("[allow web team]\n"
	     "  user = root 1000\t4294967294\n"
	     "  group = 500 root\n"
	     "  device = 0000:01:1F.7 1234:11E8 class:0108 driver:vfio-pci * class:02 class:020001\n"
	     "  access = fd mediated\n"
	     "  domains = yes\n"
	     "  inspect-all = yes\n"
	     "  max-bytes = 3G\n"
	     "  max-mappings = 1\n"
	     "  max-sessions = 2\n"
	     "  max-domains = 3\n"
	     "  max-devices = 0\n"
	     "  max-rate = 10000000\n"
	     "  max-connects = 1\n"
	     "  max-setups = unlimited\n"
	     "[allow b]\n"
	     "group = 7\n",
	     &c);
	ck_assert_uint_eq(c.rule_count, 2);
	rule = &c.rules[0];
	ck_assert_str_eq(rule->name, "web team");
	ck_assert_uint_eq(rule->user_count, 3);
	ck_assert(rule->users[0] == 0 && rule->users[1] == 1000 && rule->users[2] == 4294967294);
	ck_assert_uint_eq(rule->group_count, 2);
	ck_assert(rule->groups[0] == 500 && rule->groups[1] == 0);
	ck_assert_uint_eq(rule->pattern_count, 7);
	ck_assert_int_eq(rule->patterns[0].kind, PATTERN_NAME);
	ck_assert_str_eq(rule->patterns[0].text, "0000:01:1f.7");
	ck_assert_int_eq(rule->patterns[1].kind, PATTERN_ID);
	ck_assert(rule->patterns[1].vendor == 0x1234 && rule->patterns[1].device == 0x11e8);
	ck_assert_int_eq(rule->patterns[2].kind, PATTERN_CLASS);
	ck_assert(rule->patterns[2].class_code == 0x0108 && rule->patterns[2].class_shift == 8);
	ck_assert_int_eq(rule->patterns[3].kind, PATTERN_DRIVER);
	ck_assert_str_eq(rule->patterns[3].text, "vfio-pci");
	ck_assert_int_eq(rule->patterns[4].kind, PATTERN_ALL);
	ck_assert(rule->patterns[5].class_code == 2 && rule->patterns[5].class_shift == 16);
	ck_assert(rule->patterns[6].class_code == 0x020001 && rule->patterns[6].class_shift == 0);
	ck_assert_uint_eq(rule->access, IOB_ACCESS_MEDIATED | IOB_ACCESS_FD);
	ck_assert(rule->domains && rule->inspect_all);
	ck_assert_uint_eq(rule->quota.max_bytes, UINT64_C(3) << 30);
	ck_assert_uint_eq(rule->quota.max_mappings, 1);
	ck_assert_uint_eq(rule->quota.max_sessions, 2);
	ck_assert_uint_eq(rule->quota.max_domains, 3);
	ck_assert_uint_eq(rule->quota.max_devices, 0);
	ck_assert_uint_eq(rule->quota.max_rate, 10000000);
	ck_assert_uint_eq(rule->quota.max_connects, 1);
	ck_assert_uint_eq(rule->quota.max_setups, QUOTA_UNLIMITED);
	ck_assert_uint_eq(rule->written, QUOTA_BIT(max_bytes) | QUOTA_BIT(max_mappings) |
						 QUOTA_BIT(max_sessions) | QUOTA_BIT(max_domains) |
						 QUOTA_BIT(max_devices) | QUOTA_BIT(max_rate) |
						 QUOTA_BIT(max_connects) | QUOTA_BIT(max_setups));
	rule = &c.rules[1];
	ck_assert_uint_eq(rule->written, 0);
	expect_default_rule(rule);
	ck_assert(rule->user_count == 0 && rule->pattern_count == 0 && !rule->domains);
	config_deinit(&c);
}
END_TEST

START_TEST(drivers_add_up)
{
	const struct glue_device nvme = { .name = "0000:01:00.0", .class_code = 0x010802 };
	const struct glue_device card = { .name = "0000:02:00.0", .class_code = 0x020000 };
	const struct glue_device edu = { .name = "0000:03:00.0",
					 .vendor = 0x1234,
					 .device = 0x11e8 };
	const struct glue_device bridge = { .name = "0000:04:00.0", .class_code = 0x060400 };
	const struct glue_device nvswitch = { .name = "0000:05:00.0", .class_code = 0x068000 };
	struct config c;

	load("[drivers]\nvfio-pci = class:0680\n", &c);
	ck_assert(policy_wants_vfio(&c, &nvswitch) && !policy_wants_vfio(&c, &bridge));
	config_deinit(&c);
	load("[drivers]\nvfio-pci = 0000:02:00.0 0000:04:00.0\n"
	     "[allow x]\nuser = root\ndrivers = yes\n"
	     "[drivers]\nvfio-pci = 1234:11e8 class:0108\n",
	     &c);
	ck_assert_uint_eq(c.vfio_count, 4);
	ck_assert(c.rules[0].drivers);
	ck_assert(policy_wants_vfio(&c, &nvme) && policy_wants_vfio(&c, &card));
	ck_assert(policy_wants_vfio(&c, &edu) && !policy_wants_vfio(&c, &bridge));
	ck_assert_str_eq(policy_vfio_word(&c, 3), "class:0108");
	ck_assert_ptr_null(policy_vfio_word(&c, 4));
	config_deinit(&c);
	load("[allow x]\nuser = root\ndevice = *\n", &c);
	ck_assert(!c.rules[0].drivers && !policy_wants_vfio(&c, &nvme));
	config_deinit(&c);
}
END_TEST

START_TEST(access_replaces_the_default)
{
	struct config c;

	load(RULE "access = fd\n", &c);
	ck_assert_uint_eq(c.rules[0].access, IOB_ACCESS_FD);
	config_deinit(&c);
}
END_TEST

START_TEST(byte_suffixes)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} right[] = {
		{ "0", 0 },	   { "4096", 4096 },  { "1K", 1 << 10 },
		{ "5M", 5 << 20 }, { "1G", 1 << 30 }, { "1024T", UINT64_C(1) << 50 },
	};
	char text[80];
	struct config c;

	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		snprintf(text, sizeof(text), RULE "max-bytes = %s\n", right[i].text);
		load(text, &c);
		ck_assert_uint_eq(c.rules[0].quota.max_bytes, right[i].bytes);
		config_deinit(&c);
	}
}
END_TEST

/* ---- wrong lines ---- */
static const struct {
	const char *text;
	unsigned line;
	const char *words;
} wrong[] = {
	/* sections */
	{ "[demon]\n", 1, "unknown section" },
	{ "\n[]\n", 2, "unknown section" },
	{ "[daemon x]\n", 1, "[daemon] takes no name" },
	{ "[Daemon]\n", 1, "unknown section" },
	{ "[allowance]\n", 1, "unknown section" },
	{ "[drivers x]\n", 1, "[drivers] takes no name" },
	{ "[drivers]\ndevice = 1234:11e8\n", 2, "\"device\" belongs in [allow NAME]" },
	{ "[drivers]\nvfio-pci = *\n", 2, "\"*\" cannot be moved" },
	{ "[drivers]\nvfio-pci = 1234:11e8 driver:nvme\n", 2, "\"driver:nvme\" cannot" },
	{ "[drivers]\nvfio-pci = class:06\n", 2, "bridges" },
	{ "[drivers]\nvfio-pci = class:0604\n", 2, "bridges" },
	{ "[drivers]\nvfio-pci = class:060400\n", 2, "bridges" },
	{ "[drivers]\nvfio-pci = class:0607\n", 2, "bridges" },
	{ "[drivers]\nvfio-pci = yes\n", 2, "\"yes\" cannot be moved" },
	{ "[drivers]\nvfio-pci =\n", 2, "no value" },
	{ "[drivers]\nvfio-pci = 1:0\n", 2, "cannot be moved" },
	{ "[allow x]\nuser = root\ndrivers = maybe\n", 3, "drivers must be yes or no" },
	{ "[allow]\n", 1, "needs a name" },
	{ "[allow  ]\n", 1, "needs a name" },
	{ "[allow aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\n", 1, "needs a name" },
	{ "[daemon\n", 1, "not [section]" },
	{ "[daemon] x\n", 1, "junk" },
	{ "[allow a][allow b]\n", 1, "not [section]" },
	{ "[daemon]\n[daemon]\n", 2, "second [daemon]" },
	{ "[daemon]\n" RULE "[daemon]\n", 4, "second [daemon]" },
	{ RULE "[allow a]\ngroup = 1\n", 3, "also in line 1" },
	{ RULE "[allow   a ]\ngroup = 1\n", 3, "also in line 1" },
	{ "backend = sim\n", 1, "before any section (is the section's line still a comment?)" },
	/* rules that name nobody, also the last one and one without any key */
	{ "[allow a]\n", 1, "neither user nor group" },
	{ "\n[allow a]\ndevice = *\n\n"
	  "[allow b]\nuser = 0\n",
	  2, "neither user nor group" },
	{ RULE "[allow b]\naccess = fd\n", 3, "neither user nor group" },
	/* the shape of a setting */
	{ "[daemon]\nbackend\n", 2, "not \"key = value\"" },
	{ "[daemon]\nbackend\n[nonsense]\n", 2, "not \"key = value\"" },
	{ "[daemon]\nbackend ; = sim\n", 2, "not \"key = value\"" },
	{ "[daemon]\nbackend =\n", 2, "no value" },
	{ "[daemon]\nbackend = ; sim\n", 2, "no value" },
	{ "[daemon]\n= sim\n", 2, "unknown key" },
	{ "[daemon]\nuser = 1\n", 2, "\"user\" belongs in [allow NAME]" },
	{ "[daemon]\nvfio-pci = 1234:11e8\n", 2, "\"vfio-pci\" belongs in [drivers]" },
	{ RULE "backend = sim\n", 3, "\"backend\" belongs in [daemon]" },
	{ RULE "domains: yes\n", 3, "not \"key = value\"" },
	{ RULE "device : 1234:11e8\n", 3, "not \"key = value\"" },
	{ RULE "device: a = b\n", 3, "not \"key = value\"" },
	{ "[daemon]\nBackend = sim\n", 2, "unknown key" },
	{ RULE "user = 1000\n", 3, "given twice" },
	{ "[allow a]\nuser = 1000\n  1001\n", 3, "not \"key = value\"" },
	{ "[daemon]\nbackend = sim\nbackend = sim\n", 3, "given twice" },
	{ "[daemon]\nbackend = sim\r\n", 2, "line ends of DOS (CR LF)" },
	{ "[daemon]\r\nbackend = sim\r\n", 1, "line ends of DOS (CR LF)" },
	{ "[daemon]\r", 1, "line ends of DOS (CR LF)" },
	{ "[daemon]\nbackend =\rsim\n", 2, "byte 0x0d at column 10" },
	{ "\xef\xbb\xbf[daemon]\n", 1, "byte order mark" },
	{ "[allow a\xc2\x9b]\nuser = 0\n", 1, "no control characters" },
	{ "[allow a\x9b]\nuser = 0\n", 1, "no control characters" },
	/* values */
	{ "[daemon]\nbackend = vfio\n", 2, "auto, iommufd, type1 or sim" },
	{ "[daemon]\nbackend = sim # x\n", 2,
	  "not \"sim # x\" (a comment after a value begins with ;)" },
	{ "[daemon]\nsocket = run/x\n", 2, "absolute" },
	{ "[daemon]\nsocket = /run/x # y\n", 2, "blanks" },
	{ "[daemon]\nsocket = /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
	  2, "longer than the 107 bytes" },
	{ "[daemon]\nsession-uid-base = 999\n", 2, "from 1000" },
	{ "[daemon]\nsession-uid-base = 4294967294\n", 2, "to 4294967293" },
	{ "[daemon]\nsession-uid-base = 4294967293\nmax-sessions = 2\n", 0, "no room" },
	{ "[daemon]\nmax-sessions = 0\n", 2, "from 1 to 65536" },
	{ "[daemon]\nmax-sessions = 65537\n", 2, "from 1 to 65536" },
	{ "[daemon]\nmax-sessions = -1\n", 2, "from 1 to 65536" },
	{ "[daemon]\nmax-sessions = +1\n", 2, "from 1 to 65536" },
	{ "[daemon]\nmax-sessions = 0x10\n", 2, "from 1 to 65536" },
	{ "[daemon]\nmax-sessions = 1 2\n", 2, "from 1 to 65536" },
	{ "[daemon]\nmax-sessions = 4294967297\n", 2, "from 1 to 65536" },
	{ "[daemon]\nmax-sessions = 18446744073709551617\n", 2, "from 1 to 65536" },
	{ "[daemon]\nsim-devices = 65\n", 2, "from 1 to 64" },
	{ "[daemon]\nsim-devices = 0\n", 2, "from 1 to 64" },
	{ "[daemon]\nallow-test-kernel = true\n", 2, "yes or no" },
	{ "[daemon]\nallow-unsafe-interrupts = Yes\n", 2, "yes or no" },
	{ RULE "max-bytes = 1Z\n", 3, "number of bytes" },
	{ RULE "max-bytes = K\n", 3, "number of bytes" },
	{ RULE "max-bytes = 1KK\n", 3, "number of bytes" },
	{ RULE "max-bytes = -1\n", 3, "number of bytes" },
	{ RULE "max-bytes = 1 G\n", 3, "number of bytes" },
	{ RULE "max-bytes = 1025T\n", 3, "number of bytes" },
	{ RULE "max-bytes = 16777216T\n", 3, "number of bytes" },
	{ RULE "max-bytes = 18446744073709551615K\n", 3, "number of bytes" },
	{ RULE "max-bytes = 1111111111111111111111111111111111\n", 3, "number of bytes" },
	{ RULE "max-mappings = 16777217\n", 3, "to 16777216" },
	{ RULE "max-mappings = 1K\n", 3, "to 16777216" },
	{ RULE "max-rate = 0\n", 3, "1 to 10000000 or unlimited" },
	{ RULE "max-rate = 10000001\n", 3, "1 to 10000000 or unlimited" },
	{ RULE "max-connects = none\n", 3, "1 to 10000000 or unlimited" },
	{ RULE "max-setups = 0\n", 3, "1 to 10000000 or unlimited" },
	{ RULE "domains = 1\n", 3, "yes or no" },
	{ RULE "access = direct\n", 3, "mediated and fd" },
	{ RULE "access = mediated, fd\n", 3, "\"mediated,\" (names are separated by blanks, not" },
	/* people */
	{ "[allow a]\nuser = no-such-user-iob\n", 2, "unknown user \"no-such-user-iob\"" },
	{ "[allow a]\ngroup = no-such-group-iob\n", 2, "unknown group" },
	{ "[allow a]\nuser = root # why\n", 2,
	  "unknown user \"#\" (a comment after a value begins with ;)" },
	{ "[allow a]\nuser = root, daemon\n", 2,
	  "unknown user \"root,\" (names are separated by blanks, not commas)" },
	{ "[allow a]\nuser = root no-such-user-iob\n", 2, "unknown user" },
	{ "[allow a]\nuser = -1\n", 2, "unknown user" },
	{ "[allow a]\nuser = 4294967295\n", 2, "out of range" },
	{ "[allow a]\ngroup = 4294967295\n", 2, "out of range" },
	{ "[allow a]\nuser = 18446744073709551616\n", 2, "out of range" },
	{ "[allow a]\nuser = 1879048192\n", 2, "own sessions" },
	{ "[allow a]\ndomains = yes\nuser = 5 1879049215\n", 3, "own sessions" },
	{ RULE "[daemon]\nsession-uid-base = 1000\n", 2, "own sessions" },
	/* devices */
	{ RULE "device = 0000:01:00\n", 3, "is no device" },
	{ RULE "device = 0000:01:00.8\n", 3, "is no device" },
	{ RULE "device = 0000:01:20.0\n", 3, "is no device" },
	{ RULE "device = 000:01:00.0\n", 3, "is no device" },
	{ RULE "device = 0000:01:00.0.\n", 3, "is no device" },
	{ RULE "device = 000000000:01:00.0\n", 3, "is no device" },
	{ RULE "device = 01:00.0\n", 3, "is no device" },
	{ RULE "device = 1234:11e\n", 3, "is no device" },
	{ RULE "device = 1234:11e8f\n", 3, "is no device" },
	{ RULE "device = 1234:\n", 3, "is no device" },
	{ RULE "device = class:\n", 3, "is no device" },
	{ RULE "device = class:010\n", 3, "is no device" },
	{ RULE "device = class:01080200\n", 3, "is no device" },
	{ RULE "device = class:0x01\n", 3, "is no device" },
	{ RULE "device = driver:\n", 3, "is no device" },
	{ RULE "device = driver:../x\n", 3, "is no device" },
	{ RULE "device = driver:aaaaaaaaaaaaaaaaaaaaaaaa\n", 3, "is no device" },
	{ RULE "device = ** \n", 3, "is no device" },
	{ RULE "device = 0000:01:00.0 # mine\n", 3, "\"#\" is no device" },
	/* the first error wins */
	{ "[daemon]\nx = 1\ny = 2\n[nonsense]\n", 2, "\"x\"" },
	{ RULE "device = bad\nuser = 5\n", 3, "is no device" },
};

START_TEST(wrong_line)
{
	expect_wrong(wrong[_i].text, strlen(wrong[_i].text), wrong[_i].line, wrong[_i].words);
}
END_TEST

START_TEST(nul_bytes)
{
	static const char in_value[] = "[allow a]\nuser = 0\0001000\n";
	static const char in_comment[] = "# x\0\nbackend = sim\n";
	static const char at_end[] = "[daemon]\n\0";

	expect_wrong(in_value, sizeof(in_value) - 1, 2, "byte 0x00 at column 9");
	expect_wrong(in_comment, sizeof(in_comment) - 1, 1, "byte 0x00 at column 4");
	expect_wrong(at_end, sizeof(at_end) - 1, 2, "byte 0x00 at column 1");
}
END_TEST

/* 197 bytes are read whole; one more, and inih would make two lines of it. */
START_TEST(long_lines)
{
	static const char comment_end[] = "user = root";
	char text[512];
	struct config c;
	int used = snprintf(text, sizeof(text), "[allow a]\nuser =%*s1000\n", 197 - 10, "");

	load(text, &c);
	ck_assert_uint_eq(c.rules[0].users[0], 1000);
	config_deinit(&c);
	used = snprintf(text, sizeof(text), "[allow a]\nuser =%*s1000\n", 198 - 10, "");
	expect_wrong(text, (size_t)used, 2, "198 bytes is too long");
	memset(text, ';', 199);
	strcpy(text + 199, comment_end); /* its tail would be read as a setting */
	expect_wrong(text, strlen(text), 1, "too long");
}
END_TEST

START_TEST(long_words)
{
	static char text[300];
	struct config c;

	/* As many words as fit into a line, and as long a word as fits. */
	strcpy(text, "[allow a]\nuser = ");
	for (unsigned i = 0; i < 90; i++)
		strcat(text, "7 ");
	load(text, &c);
	ck_assert_uint_eq(c.rules[0].user_count, 90);
	config_deinit(&c);
	snprintf(text, sizeof(text), "[allow a]\nuser = %0180d\n", 7);
	load(text, &c);
	ck_assert_uint_eq(c.rules[0].users[0], 7);
	config_deinit(&c);
	memset(text + 17, 'x', 180);
	expect_wrong(text, strlen(text), 2, "unknown user \"xxxxxxxxxxxxxxxxxxxxxxxxx");
}
END_TEST

/* n rules of one line each after the header. */
static char *many_rules(unsigned n)
{
	char *text = NULL;
	size_t bytes;
	FILE *f = open_memstream(&text, &bytes);

	ck_assert_ptr_nonnull(f);
	for (unsigned i = 0; i < n; i++)
		fprintf(f, "[allow r%u]\nuser = 1\n", i);
	fclose(f);
	return text;
}

START_TEST(rule_limit)
{
	char *text = many_rules(CONFIG_MAX_RULES);
	struct config c;

	load(text, &c);
	ck_assert_uint_eq(c.rule_count, CONFIG_MAX_RULES);
	config_deinit(&c);
	free(text);
	text = many_rules(CONFIG_MAX_RULES + 1);
	expect_wrong(text, strlen(text), 2 * CONFIG_MAX_RULES + 1, "more than 1024 rules");
	free(text);
}
END_TEST

/* ---- the file itself ---- */
static void expect_refused(const char *name, int error, enum iob_code code, const char *words)
{
	struct fault why = { 0 };
	struct config c;
	int fd = next_fd();

	ck_assert_int_eq(config_load(name, &c, &why), -error);
	ck_assert_uint_eq(why.code, code);
	ck_assert_msg(strstr(why.text, words) != NULL, "%s", why.text);
	expect_empty(&c);
	ck_assert_int_eq(next_fd(), fd);
}

START_TEST(file_mode_and_owner)
{
	static const mode_t bad[] = { 0620, 0602, 0666, 0664, 0777 };
	struct config c;
	struct fault why;

	write_file(RULE, strlen(RULE));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_int_eq(chmod(path, bad[i]), 0);
		expect_refused(path, EPERM, IOB_E_DENIED, "lets others write it");
	}
	ck_assert_int_eq(chmod(path, 0444), 0);
	ck_assert_int_eq(config_load(path, &c, &why), 0);
	config_deinit(&c);
	if (geteuid() == 0) {
		ck_assert_int_eq(chown(path, 12345, 0), 0);
		expect_refused(path, EPERM, IOB_E_DENIED, "owned by uid 12345");
		ck_assert_int_eq(seteuid(12345), 0); /* its owner runs the daemon */
		ck_assert_int_eq(config_load(path, &c, &why), 0);
		config_deinit(&c);
		ck_assert_int_eq(seteuid(0), 0);
	}
	unlink(path);
}
END_TEST

START_TEST(file_kind)
{
	char name[300];

	expect_refused("/tmp/iob-config-absent/x", ENOENT, IOB_E_SYSTEM, "cannot open");
	expect_refused("/dev/null", EINVAL, IOB_E_ARGUMENT, "not a regular file");
	expect_refused("/", EINVAL, IOB_E_ARGUMENT, "not a regular file");
	write_file("", 0);
	ck_assert_int_eq(truncate(path, (1 << 20) + 1), 0);
	expect_refused(path, EINVAL, IOB_E_ARGUMENT, "larger than");
	unlink(path);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	expect_refused(path, EINVAL, IOB_E_ARGUMENT, "not a regular file"); /* and does not hang */
	unlink(path);
	memset(name, '/', sizeof(name)); /* a long path leaves room for the reason */
	strcpy(name + 250, "tmp/iob-config-absent/x");
	expect_refused(name, ENOENT, IOB_E_SYSTEM, "iob-config-absent/x: cannot open");
}
END_TEST

/* ---- the example ---- */
/* From the source tree, of which this file is tests/unit/test_config.c. */
static FILE *open_example(void)
{
	static const char here[] = "tests/unit/test_config.c";
	char name[4096];
	size_t root = strlen(__FILE__) - strlen(here);
	FILE *f;

	snprintf(name, sizeof(name), "%.*ssystemd/iommu-broker.conf", (int)root, __FILE__);
	f = fopen(name, "re");
	ck_assert_msg(f != NULL, "cannot open %s: run from the top of the sources", name);
	return f;
}

/* uncomment: as if all settings were wanted, with users that exist everywhere. */
static void load_example(bool uncomment, struct config *c)
{
	FILE *in = open_example(), *out;
	char line[256], *text = NULL;
	size_t bytes;

	out = open_memstream(&text, &bytes);
	ck_assert_ptr_nonnull(out);
	while (fgets(line, sizeof(line), in)) {
		if (uncomment && strncmp(line, ";user =", 7) == 0)
			fputs("user = 0 1000\n", out);
		else if (uncomment && strncmp(line, ";group =", 8) == 0)
			fputs("group = 500\n", out);
		else
			fputs(line + (uncomment && line[0] == ';'), out);
	}
	fclose(in);
	fclose(out);
	load(text, c);
	free(text);
}

START_TEST(example_gives_nothing)
{
	struct config c;

	load_example(false, &c);
	expect_defaults(&c);
	ck_assert_uint_eq(c.rule_count, 0);
	config_deinit(&c);
}
END_TEST

/* What the example shows is right, and but for names, devices and domains it is the defaults. */
START_TEST(example_shows_the_defaults)
{
	struct config c;

	load_example(true, &c);
	expect_defaults(&c);
	ck_assert_uint_eq(c.rule_count, 1);
	expect_default_rule(&c.rules[0]);
	ck_assert_uint_eq(c.rules[0].user_count, 2);
	ck_assert_uint_eq(c.rules[0].group_count, 1);
	ck_assert_uint_eq(c.rules[0].pattern_count, 4);
	ck_assert(c.rules[0].domains);
	config_deinit(&c);
}
END_TEST

Suite *test_config_suite(void)
{
	Suite *suite = suite_create("config");
	TCase *right = tcase_create("right"), *bad = tcase_create("wrong");

	tcase_add_test(right, defaults);
	tcase_add_test(right, daemon_section);
	tcase_add_test(right, rule_with_everything);
	tcase_add_test(right, drivers_add_up);
	tcase_add_test(right, access_replaces_the_default);
	tcase_add_test(right, byte_suffixes);
	tcase_add_test(right, example_gives_nothing);
	tcase_add_test(right, example_shows_the_defaults);
	suite_add_tcase(suite, right);
	tcase_set_timeout(bad, 60);
	tcase_add_loop_test(bad, wrong_line, 0, (int)(sizeof(wrong) / sizeof(wrong[0])));
	tcase_add_test(bad, nul_bytes);
	tcase_add_test(bad, long_lines);
	tcase_add_test(bad, long_words);
	tcase_add_test(bad, rule_limit);
	tcase_add_test(bad, file_mode_and_owner);
	tcase_add_test(bad, file_kind);
	suite_add_tcase(suite, bad);
	return suite;
}
