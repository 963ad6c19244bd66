/* SPDX-License-Identifier: MIT */
/*
 * What iommuctl prints for programs: the members of each object are compared with what iommuctl(1)
 * promises, one by one and in order. A member more or less fails here and wants the page changed. And
 * the names of devices, the options, the completion.
 */
#include <check.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/doctor.h"
#include "client/iommuctl.h"

Suite *test_iommuctl_suite(void);

/* ---- standard output, caught ---- */

static int real_stdout;
static FILE *caught;

static void catch_output(void)
{
	fflush(stdout);
	caught = tmpfile();
	ck_assert_ptr_nonnull(caught);
	real_stdout = dup(STDOUT_FILENO);
	ck_assert_int_ge(dup2(fileno(caught), STDOUT_FILENO), 0);
}

static void caught_text(char *text, size_t bytes)
{
	size_t n;

	fflush(stdout);
	dup2(real_stdout, STDOUT_FILENO);
	close(real_stdout);
	rewind(caught);
	n = fread(text, 1, bytes - 1, caught);
	text[n] = '\0';
	fclose(caught);
}

static struct json_object *caught_json(void)
{
	static char text[65536];
	struct json_object *top;

	caught_text(text, sizeof(text));
	top = json_tokener_parse(text);
	ck_assert_msg(top != NULL, "no JSON: %s", text);
	return top;
}

/* The names of an object's members, separated by blanks. */
static void has_members(struct json_object *object, const char *wanted)
{
	char found[1024] = "";
	size_t length = 0;

	json_object_object_foreach(object, key, value) {
		(void)value;
		length += (size_t)snprintf(found + length, sizeof(found) - length, "%s%s",
					   length ? " " : "", key);
	}
	ck_assert_str_eq(found, wanted);
}

static struct json_object *member(struct json_object *object, const char *key)
{
	return json_object_object_get(object, key);
}

static struct json_object *first_of(struct json_object *object, const char *key)
{
	ck_assert_uint_ge(json_object_array_length(member(object, key)), 1);
	return json_object_array_get_idx(member(object, key), 0);
}

/* ---- JSON ---- */

static const struct iob_device_rec card = {
	.name = "0000:00:03.0",
	.driver = "vfio-pci",
	.class_code = 0x010802,
	.vendor = 0x8086,
	.device = 0x0953,
	.group = 3,
	.flags = IOB_DEVICE_OPENED | IOB_DEVICE_BOUND,
	.access = IOB_ACCESS_MEDIATED | IOB_ACCESS_FD,
	.owner_uid = 0,
};

START_TEST(json_of_devices)
{
	struct json_object *top, *item;

	catch_output();
	ctl_json_devices(&card, 1, false);
	top = caught_json();
	has_members(top, "devices");
	item = first_of(top, "devices");
	has_members(item, "name vendor device class vendor_name device_name class_name group "
			  "group_members driver state opened bound yours usable access owner_uid "
			  "owner");
	ck_assert_str_eq(json_object_get_string(member(item, "vendor")), "8086");
	ck_assert_str_eq(json_object_get_string(member(item, "device")), "0953");
	ck_assert_str_eq(json_object_get_string(member(item, "state")), "bound");
	ck_assert_str_eq(json_object_get_string(member(item, "owner")), "root");
	ck_assert_uint_eq(json_object_array_length(member(item, "access")), 2);
	json_object_put(top);
}
END_TEST

static struct json_object *domain_json(const struct ctl_domain *domain)
{
	struct json_object *top;

	catch_output();
	top = ctl_json_new();
	ctl_json_domain(ctl_json_list(top, "domains"), domain);
	ctl_json_print(top);
	return caught_json();
}

START_TEST(json_of_domains)
{
	static const char members[] =
		"id uid owner pid command devices first_device max_bytes "
		"max_mappings used_bytes used_mappings page_bytes iova_ranges";
	struct iob_domain_rec rec = { .domain_id = 7, .pid = (uint32_t)getpid(), .devices = 1 };
	struct ctl_domain domain = { .rec = &rec, .present = true };
	struct json_object *top, *item, *range;

	domain.info.page_sizes = 0x40201000;
	domain.info.used_bytes = 8192;
	domain.info.range_count = 1;
	domain.ranges[0] = (struct iob_range){ 0, UINT64_MAX };
	top = domain_json(&domain);
	item = first_of(top, "domains");
	has_members(item, members);
	ck_assert_int_eq(json_object_get_int(member(item, "used_bytes")), 8192);
	ck_assert_int_eq(json_object_get_int(member(item, "page_bytes")), 4096);
	ck_assert_ptr_nonnull(member(item, "command"));
	range = first_of(item, "iova_ranges");
	has_members(range, "first last");
	ck_assert_str_eq(json_object_get_string(member(range, "last")), "0xffffffffffffffff");
	json_object_put(top);

	domain.present = false;
	top = domain_json(&domain);
	item = first_of(top, "domains");
	has_members(item, members);
	ck_assert_ptr_null(member(item, "used_bytes"));
	json_object_put(top);
}
END_TEST

START_TEST(json_of_mappings)
{
	struct iob_map_rec rec = {
		.iova = UINT64_C(0xfffffffffffff000), .length = 4096, .memory = 1, .flags = IOB_READ
	};
	struct json_object *top;

	catch_output();
	ctl_json_mapping(&rec);
	top = caught_json();
	has_members(top, "iova last length memory offset read write");
	ck_assert_str_eq(json_object_get_string(member(top, "last")), "0xffffffffffffffff");
	ck_assert(json_object_get_boolean(member(top, "read")));
	ck_assert(!json_object_get_boolean(member(top, "write")));
	json_object_put(top);
}
END_TEST

START_TEST(json_of_status)
{
	struct iob_status_rep status = { .backend = IOB_BACKEND_TYPE1, .version = "1.2.3" };
	struct iob_hello_rep hello = { .version = 1, .features = IOB_FEATURE_GRANT };
	struct json_object *top;

	catch_output();
	ctl_json_status(&status, &hello);
	top = caught_json();
	has_members(top, "version backend kernel protocol uptime_ms monitor_pid sessions domains "
			 "devices devices_open max_batch max_message_bytes features");
	ck_assert_str_eq(json_object_get_string(first_of(top, "features")), "grant");
	json_object_put(top);
}
END_TEST

START_TEST(json_of_doctor)
{
	struct doctor d;
	struct json_object *top, *finding;

	doctor_init(&d, "/nowhere");
	doctor_add(&d, DOCTOR_ERROR, DOCTOR_IS_GROUP_NOT_VIABLE, "0000:00:03.1", "text\033[1m");
	doctor_why(&d, "why");
	doctor_mend(&d, "mend");
	doctor_unseen(&d, "unseen");
	catch_output();
	doctor_json(&d);
	doctor_deinit(&d);
	top = caught_json();
	has_members(top, "version kernel root uid errors warnings findings unseen");
	ck_assert_int_eq(json_object_get_int(member(top, "errors")), 1);
	finding = first_of(top, "findings");
	has_members(finding, "id severity object text why mend");
	ck_assert_str_eq(json_object_get_string(member(finding, "id")), "group-not-viable");
	ck_assert_str_eq(json_object_get_string(member(finding, "severity")), "error");
	ck_assert_str_eq(json_object_get_string(member(finding, "text")), "text?[1m");
	ck_assert_str_eq(json_object_get_string(first_of(finding, "mend")), "mend");
	json_object_put(top);
}
END_TEST

/* One object, whatever failed first; and once. */
START_TEST(json_of_errors)
{
	struct json_object *top, *error;
	struct ctl_error left;

	catch_output();
	ck_assert_int_eq(ctl_declined(IOB_E_DENIED, "no \"rule\""), CTL_FAILED);
	ck_assert_int_eq(ctl_declined(CTL_NO_CODE, "not done"), CTL_FAILED);
	ctl_json_error();
	ctl_json_error();
	top = caught_json();
	has_members(top, "error");
	error = member(top, "error");
	has_members(error, "code step errno text");
	ck_assert_str_eq(json_object_get_string(member(error, "code")), "IOB_E_DENIED");
	ck_assert_str_eq(json_object_get_string(member(error, "step")), "none");
	ck_assert_int_eq(json_object_get_int(member(error, "errno")), 0);
	ck_assert_str_eq(json_object_get_string(member(error, "text")), "no \"rule\"");
	json_object_put(top);
	ck_assert(!ctl_error_take(&left));

	catch_output();
	ctl_declined(CTL_NO_CODE, "not done");
	ctl_json_drivers(NULL, 0, 0, false);
	top = caught_json();
	has_members(top, "moved devices error");
	ck_assert_ptr_null(member(member(top, "error"), "code"));
	json_object_put(top);
}
END_TEST

/* ---- tables ---- */

START_TEST(no_blanks_end_a_line)
{
	static const char *const heading[] = { "NAME", "WHAT", NULL };
	struct ctl_table table = { 0 };
	char text[256];

	ctl_table_heading(&table, heading);
	ctl_cell(ctl_table_row(&table)->cells[0], "a");
	ctl_cell(ctl_table_row(&table)->cells[1], "b");
	catch_output();
	ctl_table_print(&table);
	caught_text(text, sizeof(text));
	ctl_table_free(&table);
	ck_assert_str_eq(text, "NAME  WHAT\na\n      b\n");
}
END_TEST

/* ---- names ---- */

static const char pci_ids[] = "# comment\n"
			      "1234  Another\n"
			      "\t0953  Not this one\n"
			      "8086  Intel Corporation\n"
			      "\t0952  Before\n"
			      "\t0953  PCIe Data Center SSD\033\n"
			      "\t\t8086 3702  A subsystem\n"
			      "\t09530  Longer\n"
			      "8087  Other\n"
			      "C 01  Mass storage controller\n"
			      "\t08  Non-Volatile memory controller\n"
			      "\t\t02  NVM Express\n"
			      "C 02  Network controller\n";

static FILE *ids_with(const char *text)
{
	FILE *file = tmpfile();

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	return file;
}

START_TEST(names_of_devices)
{
	struct ctl_names names;
	FILE *file = ids_with(pci_ids);
	struct iob_device_rec unknown = { .vendor = 0xffff, .device = 1, .class_code = 0xff0000 };

	ctl_names_read(file, &card, &names);
	ck_assert_str_eq(names.vendor, "Intel Corporation");
	ck_assert_str_eq(names.device, "PCIe Data Center SSD?");
	ck_assert_str_eq(names.class_of, "Mass storage controller");
	ck_assert_str_eq(names.subclass, "Non-Volatile memory controller");
	ctl_names_read(file, &unknown, &names);
	ck_assert_str_eq(names.vendor, "");
	ck_assert_str_eq(names.device, "");
	ck_assert_str_eq(names.class_of, "");
	fclose(file);
}
END_TEST

/* ---- the program ---- */

static const char *build(void)
{
	const char *dir = getenv("IOB_BUILD");

	return dir ? dir : "build";
}

/* Exit status of the command, with what it prints in text. */
static int run(const char *arguments, char *text, size_t bytes)
{
	char command[1024];
	FILE *pipe;
	size_t n;
	int status;

	snprintf(command, sizeof(command), "%s/bin/iommuctl %s 2>&1", build(), arguments);
	pipe = popen(command, "r");
	ck_assert_ptr_nonnull(pipe);
	n = fread(text, 1, bytes - 1, pipe);
	text[n] = '\0';
	/* what found no room is still to be read */
	while (fgetc(pipe) != EOF)
		;
	status = pclose(pipe);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static const struct {
	const char *arguments;
	int status;
	const char *words;
} runs[] = {
	{ "", 2, "no command" },
	{ "frobnicate", 2, "no such command" },
	{ "maps 7x", 2, "a domain id is a number" },
	{ "maps --domain 7x", 2, "a domain id is a number" },
	{ "maps --domain 7 8", 2, "two domains" },
	{ "devices --domain 7", 2, "--domain is not for" },
	{ "status --root /", 2, "--config, --root and --brokerd are not for" },
	{ "status --config /x", 2, "--config, --root and --brokerd are not for" },
	{ "--socket /nowhere/at/all doctor --config /nowhere/x.conf", 1,
	  "there is no configuration /nowhere/x.conf" },
	{ "--socket /nowhere/at/all doctor --config x.conf", 1, "/x.conf" },
	{ "doctor --root /tmp --config x.conf", 2, "begins with a slash" },
	{ "status x", 2, "too many arguments" },
	{ "doctor x", 2, "too many arguments" },
	{ "doctor --root /nowhere/at/all", 2, "No such file" },
	{ "doctor --root /dev/null", 2, "not a directory" },
	{ "doctor 2>&1 > /dev/full #", 2, "standard output" },
	{ "--version", 0, "iommuctl " IOB_VERSION },
	{ "--help", 0, "doctor" },
	{ "--socket /nowhere/at/all status", 1, "IOB_E_CONNECT" },
	{ "--socket /nowhere/at/all status", 1, "see iommuctl doctor" },
	{ "--socket /nowhere/at/all --json status 2>/dev/null #", 1,
	  "\"code\": \"IOB_E_CONNECT\"" },
	{ "--timeout 1x status", 2, "a number of seconds" },
	{ "--timeout 86401 status", 2, "a number of seconds" },
	{ "--timeout 1 doctor", 2, "--timeout is not for" },
	{ "--socket /nowhere/at/all doctor", 1, "there is no socket /nowhere/at/all" },
	{ "--socket /nowhere/at/all --json doctor", 1, "\"id\": \"socket-missing\"" },
};

#define RUNS (int)(sizeof(runs) / sizeof(runs[0]))

START_TEST(options)
{
	static char text[65536];
	int status = run(runs[_i].arguments, text, sizeof(text));

	ck_assert_msg(strstr(text, runs[_i].words) != NULL, "%s: %s", runs[_i].arguments, text);
	ck_assert_msg(status == runs[_i].status, "%s: status %d", runs[_i].arguments, status);
}
END_TEST

/* ---- groups ---- */

#define CARD   "0000:01:00.0"
#define BRIDGE "0000:00:1f.0"

/* A card, and what shares its group. */
static void group_is(struct iob_driver_rec group[2], const char *driver, const char *name,
		     const char *sibling, uint32_t flags)
{
	memset(group, 0, 2 * sizeof(*group));
	strcpy(group[0].device.name, name);
	strcpy(group[0].device.driver, sibling);
	group[0].flags = flags;
	strcpy(group[1].device.name, CARD);
	strcpy(group[1].device.driver, driver);
	if (strncmp(driver, "vfio", 4) == 0)
		group[1].flags = IOB_DRIVER_ON_VFIO;
}

static const struct {
	const char *driver;
	const char *sibling;
	uint32_t flags;
	const char *why;
} unusable[] = {
	{ "", "igb", 0, "it has no driver" },
	{ "e1000e", "igb", 0, "driver e1000e of the host has it" },
	{ "vfio-pci", "igb", 0, "shares its group with " BRIDGE ", which is on driver igb" },
	{ "vfio-pci", "lpc_ich", IOB_DRIVER_STAYS, "which is on driver lpc_ich" },
	{ "vfio-pci", "mlx5_vfio_pci", IOB_DRIVER_ON_VFIO, "see iommuctl doctor" },
	{ "vfio-pci", "pcieport", IOB_DRIVER_STAYS, "see iommuctl doctor" },
	{ "vfio-pci", "pci-stub", 0, "see iommuctl doctor" },
	{ "vfio-pci", "", 0, "see iommuctl doctor" },
};

START_TEST(why_unusable)
{
	struct iob_driver_rec group[2];
	char words[CTL_NAME];

	for (size_t i = 0; i < sizeof(unusable) / sizeof(unusable[0]); i++) {
		group_is(group, unusable[i].driver, BRIDGE, unusable[i].sibling, unusable[i].flags);
		ctl_why_unusable(group, 2, CARD, words);
		ck_assert_msg(strstr(words, unusable[i].why) != NULL, "%s", words);
	}
	ctl_why_unusable(NULL, 0, CARD, words);
	ck_assert_str_eq(words, "see iommuctl doctor");
}
END_TEST

static void warning_of(const struct iob_driver_rec *rec, bool whole, char *text, size_t bytes)
{
	FILE *file = tmpfile();
	int real;

	ck_assert_ptr_nonnull(file);
	fflush(stderr);
	real = dup(STDERR_FILENO);
	dup2(fileno(file), STDERR_FILENO);
	ctl_warn_of_sibling(rec, whole);
	fflush(stderr);
	dup2(real, STDERR_FILENO);
	close(real);
	rewind(file);
	text[fread(text, 1, bytes - 1, file)] = '\0';
	fclose(file);
}

START_TEST(sibling_that_stays)
{
	struct iob_driver_rec group[2];
	char text[512];

	group_is(group, "vfio-pci", BRIDGE, "lpc_ich", IOB_DRIVER_STAYS);
	ck_assert(ctl_keeps_group(&group[0]));
	warning_of(&group[0], true, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, BRIDGE " stays with driver lpc_ich; bridges are not"));
	ck_assert_ptr_nonnull(strstr(text, "/" BRIDGE "/driver/unbind\n"));
	group[0].flags = 0;
	warning_of(&group[0], true, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, BRIDGE " stays with driver lpc_ich\n"));
	warning_of(&group[0], false, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "lpc_ich; --group moves it too\n"));
}
END_TEST

/* ---- completion: the last word is the one at the cursor ---- */

static const struct {
	const char *words; /* as bash cuts the line */
	const char *line;
	const char *found; /* one in a line */
} completions[] = {
	{ "iommuctl do", "iommuctl do", "doctor\ndomains\n" },
	{ "iommuctl --json st", "iommuctl --json st", "status\n" },
	{ "iommuctl -s /tmp/x ma", "iommuctl -s /tmp/x ma", "maps\n" },
	{ "iommuctl --socket = /tmp/x ma", "iommuctl --socket=/tmp/x ma", "maps\n" },
	{ "iommuctl status --j", "iommuctl status --j", "--json\n" },
	{ "iommuctl doctor --r", "iommuctl doctor --r", "--root\n" },
	{ "iommuctl status --r", "iommuctl status --r", "" },
	{ "iommuctl doctor --c", "iommuctl doctor --c", "--config\n" },
	{ "iommuctl status --t", "iommuctl status --t", "--timeout\n" },
	{ "iommuctl -t 5 st", "iommuctl -t 5 st", "status\n" },
	{ "iommuctl --timeout = 5 st", "iommuctl --timeout=5 st", "status\n" },
	{ "iommuctl -t 5", "iommuctl -t 5", "" },
	{ "iommuctl devices 00", "iommuctl devices 00", "0000:00:03.0\n0000:00:1f.2\n" },
	{ "iommuctl bind 0000 : 00 : 1", "iommuctl bind 0000:00:1", "1f.2\n" },
	{ "iommuctl unbind 0000 : 00 : 0", "iommuctl unbind 0000:00:0", "03.0\n" },
	{ "iommuctl domains x", "iommuctl domains x", "" },
	{ "iommuctl bind 0000 : 00 : 03.0 0000 : 00 : 1", "iommuctl bind 0000:00:03.0 0000:00:1",
	  "" },
	{ "iommuctl -t 5 bind -g 0000 : 00 : 1", "iommuctl -t 5 bind -g 0000:00:1", "1f.2\n" },
	{ "iommuctl bind 0000 : 00 : 03.0 --y", "iommuctl bind 0000:00:03.0 --y", "--yes\n" },
};

#define COMPLETIONS (int)(sizeof(completions) / sizeof(completions[0]))

/* What a script prints, run by bash with two arguments. */
static void completes(const char *script, const char *words, const char *line, char *text,
		      size_t bytes)
{
	char command[4096];
	FILE *pipe;
	size_t n;

	setenv("SCRIPT", script, 1);
	snprintf(command, sizeof(command), "bash -c \"$SCRIPT\" completion '%s' '%s' 2>&1", words,
		 line);
	pipe = popen(command, "r");
	ck_assert_ptr_nonnull(pipe);
	n = fread(text, 1, bytes - 1, pipe);
	text[n] = '\0';
	pclose(pipe);
}

/* Where there is no PCI at all. */
START_TEST(completion_without_devices)
{
	char text[1024];

	completes(
		". client/iommuctl.bash && IOMMUCTL_SYSFS=/nowhere && COMP_WORDS=(iommuctl bind '')"
		"&& COMP_CWORD=2 COMP_LINE=$1 COMP_POINT=${#1} && _iommuctl &&"
		"printf '%s\\n' \"${COMPREPLY[@]}\" | grep . | sort",
		"iommuctl bind ", "", text, sizeof(text));
	ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(completion)
{
	static const char script[] =
		"d=$(mktemp -d) && trap 'rm -rf \"$d\"' EXIT &&"
		"mkdir -p \"$d/bus/pci/devices/0000:00:03.0\" \"$d/bus/pci/devices/0000:00:1f.2\" &&"
		". client/iommuctl.bash && export IOMMUCTL_SYSFS=$d && read -ra COMP_WORDS <<< \"$1\" &&"
		"COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_LINE=$2 COMP_POINT=${#2} && _iommuctl &&"
		"printf '%s\\n' \"${COMPREPLY[@]}\" | grep . | sort";
	char text[1024];

	completes(script, completions[_i].words, completions[_i].line, text, sizeof(text));
	ck_assert_str_eq(text, completions[_i].found);
}
END_TEST

Suite *test_iommuctl_suite(void)
{
	Suite *suite = suite_create("iommuctl");
	TCase *tc = tcase_create("output");

	tcase_add_test(tc, json_of_devices);
	tcase_add_test(tc, json_of_domains);
	tcase_add_test(tc, json_of_mappings);
	tcase_add_test(tc, json_of_status);
	tcase_add_test(tc, json_of_doctor);
	tcase_add_test(tc, json_of_errors);
	tcase_add_test(tc, no_blanks_end_a_line);
	tcase_add_test(tc, names_of_devices);
	tcase_add_loop_test(tc, options, 0, RUNS);
#ifndef IOB_VALGRIND /* the shell is not ours to look at */
	tcase_add_test(tc, why_unusable);
	tcase_add_test(tc, sibling_that_stays);
	tcase_add_loop_test(tc, completion, 0, COMPLETIONS);
	tcase_add_test(tc, completion_without_devices);
#endif
	suite_add_tcase(suite, tc);
	return suite;
}
