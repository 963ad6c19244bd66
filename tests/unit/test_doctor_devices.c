/* SPDX-License-Identifier: MIT */
/*
 * "iommuctl doctor" of devices, their groups and nodes, and of what the configuration says of them:
 * what it must not miss, and advice that it must not give.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "doctor_tree.h"

Suite *test_doctor_devices_suite(void);

#define CONF	"/etc/iommu-broker/iommu-broker.conf"
#define DROPIN	"/etc/iommu-broker/conf.d/storage.conf"
#define WHO	"[allow x]\nuser = bob\ndomains = yes\ndevice = "
#define DEVICES "/sys/devices/pci0000:00/"
#define CARD	"0000:00:03.0"
#define DISK	"0000:00:1f.2"

/* There is such a finding, of this severity, with these words. */
static const struct doctor_finding *expect(enum doctor_id id, const char *object,
					   enum doctor_severity severity, const char *words)
{
	const struct doctor_finding *f = tree_find(id, object);

	ck_assert_msg(f != NULL, "%s (%s) is not found", doctor_id_name(id), object);
	ck_assert_msg(f->severity == severity, "%s: %s", doctor_id_name(id),
		      doctor_severity_name(f->severity));
	ck_assert_msg(strstr(f->text, words) != NULL, "%s: %s", doctor_id_name(id), f->text);
	return f;
}

static void expect_mend(const struct doctor_finding *f, const char *words)
{
	ck_assert_msg(tree_mends(f, words), "%s: \"%s\" is not advised, but %s",
		      doctor_id_name(f->id), words, f->mend_count ? f->mend[0] : "nothing");
}

static void nothing_is_wrong(void)
{
	for (size_t i = 0; i < view.finding_count; i++)
		ck_assert_msg(view.findings[i].severity <= DOCTOR_NOTE, "%s: %s",
			      doctor_id_name(view.findings[i].id), view.findings[i].text);
}

static void mode_is(const char *node, mode_t mode)
{
	char path[512];

	snprintf(path, sizeof(path), "%s%s", tree_root, node);
	ck_assert_int_eq(chmod(path, mode), 0);
}

static void ids_are(const char *bdf, const char *vendor, const char *device)
{
	char name[128];

	snprintf(name, sizeof(name), DEVICES "%s/vendor", bdf);
	tree_put(name, vendor);
	snprintf(name, sizeof(name), DEVICES "%s/device", bdf);
	tree_put(name, device);
}

/* ---- virtual functions ---- */

/* The attribute takes the lock of the device, which an unbind that does not end holds. */
START_TEST(sriov_numvfs_is_not_read)
{
	tree_put(DEVICES CARD "/sriov_numvfs", "4\n");
	doctor_run(&view);
	nothing_is_wrong();
}
END_TEST

START_TEST(functions_vanish_with_their_driver)
{
	const struct doctor_finding *f;

	tree_device("0000:00:0b.0", "0x020000\n", "i40e", 11);
	tree_link(DEVICES "0000:00:0b.0/virtfn0", "../0000:00:0b.2");
	tree_put(DROPIN, WHO "0000:00:0b.0\n");
	doctor_run(&view);
	f = expect(DOCTOR_IS_POLICY_DEVICE_DRIVER, "0000:00:0b.0", DOCTOR_ERROR, "i40e");
	expect_mend(f, "sriov_numvfs (its virtual functions vanish)");
}
END_TEST

/* Whoever unbinds the physical function has no virtual one left. */
START_TEST(function_and_its_parent_in_a_group)
{
	const struct doctor_finding *f;

	tree_device("0000:00:0b.0", "0x020000\n", "i40e", 11);
	tree_device("0000:00:0b.2", "0x020000\n", "vfio-pci", 11);
	tree_cdev("0000:00:0b.2", "vfio2");
	tree_put("/dev/vfio/11", "");
	tree_put("/dev/vfio/devices/vfio2", "");
	tree_link(DEVICES "0000:00:0b.0/virtfn0", "../0000:00:0b.2");
	tree_link(DEVICES "0000:00:0b.2/physfn", "../0000:00:0b.0");
	tree_put(DROPIN, WHO "0000:00:0b.2\n");
	doctor_run(&view);
	f = expect(DOCTOR_IS_GROUP_NOT_VIABLE, "0000:00:0b.0", DOCTOR_ERROR, "keeps 0000:00:0b.2");
	ck_assert_uint_eq(f->mend_count, 1);
	expect_mend(f, "another slot");
	ck_assert_ptr_nonnull(strstr(f->why, "no virtual functions"));
}
END_TEST

/* ---- the configuration ---- */

/* As the daemon's reader: a ; behind a blank, and only there. */
START_TEST(comments_behind_values)
{
	char conf[512];

	snprintf(conf, sizeof(conf),
		 "[daemon]\nsocket = /run/iommu-broker/socket ; the usual\nbackend = type1\t; x\n"
		 "allow-unsafe-interrupts = yes ; lab\nmax-sessions = 7;8\n"
		 "[allow a ] \nuser = a\ndevice : " CARD " ; 0000:7f:00.0\ndomains = yes ; may\n");
	tree_put(CONF, conf);
	tree_delete(DROPIN);
	doctor_run(&view);
	ck_assert_str_eq(view.policy.socket, "/run/iommu-broker/socket");
	ck_assert_str_eq(view.policy.backend, "type1");
	ck_assert(view.policy.allow_unsafe_interrupts && view.policy.domains);
	ck_assert_uint_eq(view.policy.pattern_count, 1);
	ck_assert_str_eq(view.policy.patterns[0].text, CARD);
	nothing_is_wrong();
}
END_TEST

START_TEST(sections_that_only_begin_alike)
{
	tree_put(CONF, "[allowed x]\nuser = a\ndevice = 0000:7f:00.0\n[daemons]\nbackend = sim\n");
	tree_delete(DROPIN);
	doctor_run(&view);
	ck_assert_uint_eq(view.policy.rules, 0);
	ck_assert_str_eq(view.policy.backend, "auto");
	expect(DOCTOR_IS_POLICY_EMPTY, NULL, DOCTOR_ERROR, "[allow]");
}
END_TEST

START_TEST(uids_of_users_elsewhere)
{
	tree_put("/etc/passwd", "+::::\nroot:x:0:0::/:/bin/sh\nalice:x:1000:1000::/:/bin/sh\n");
	doctor_run(&view);
	nothing_is_wrong();
}
END_TEST

/* ---- what a rule gives without naming its address ---- */

START_TEST(given_by_its_ids)
{
	const struct doctor_finding *f;

	ids_are(DISK, "0x144d\n", "0xa808\n");
	tree_put(DROPIN, WHO "144d:a808\n");
	doctor_run(&view);
	f = expect(DOCTOR_IS_POLICY_PATTERN_UNMATCHED, "144d:a808", DOCTOR_ERROR,
		   "others are: " DISK " (on ahci)");
	expect_mend(f, "iommuctl bind " DISK);
}
END_TEST

/* One of two alike is the host's, as it may well be meant. */
START_TEST(one_of_two_alike)
{
	tree_device("0000:00:0b.0", "0x00ff00\n", "e1000e", 11);
	tree_device("0000:00:0b.1", "0x00ff00\n", "e1000e", 11);
	tree_put(DROPIN, WHO "1234:11e8\n");
	ids_are(DISK, "0x144d\n", "0xa808\n");
	doctor_run(&view);
	nothing_is_wrong();
}
END_TEST

/* All of a class, or all, does not mean the disks of the host. */
START_TEST(wide_patterns_ask_for_nothing)
{
	tree_put(DROPIN, WHO "* class:0106\n");
	tree_device("0000:00:1f.3", "0x040300\n", "snd_hda_intel", 9);
	doctor_run(&view);
	ck_assert_uint_eq(doctor_count(&view, DOCTOR_ERROR), 0);
	expect(DOCTOR_IS_POLICY_PATTERN_UNMATCHED, "class:0106", DOCTOR_WARNING, DISK " (on ahci)");
	ck_assert_ptr_null(tree_find(DOCTOR_IS_GROUP_NOT_VIABLE, NULL));
}
END_TEST

/* A rule by class is as good as one by address. */
START_TEST(given_by_its_class)
{
	tree_link(DEVICES "0000:00:05.0/virtfn0", "../0000:00:05.1");
	tree_put("/proc/999/comm", "dpdk\n");
	tree_link("/proc/999/fd/12", "/dev/vfio/devices/vfio1");
	doctor_run(&view);
	expect(DOCTOR_IS_DEVICE_HAS_VFS, "0000:00:05.0", DOCTOR_WARNING, "virtual");
	expect(DOCTOR_IS_DEVICE_HELD, "0000:00:05.0", DOCTOR_WARNING, "dpdk");
}
END_TEST

START_TEST(meant_by_its_ids)
{
	tree_link(DEVICES "0000:00:05.0/virtfn0", "../0000:00:05.1");
	tree_put("/proc/999/comm", "dpdk\n");
	tree_link("/proc/999/fd/12", "/dev/vfio/devices/vfio1");
	ids_are("0000:00:05.0", "0x1234\n", "0x11e9\n");
	tree_put(DROPIN, WHO "1234:11e9\n");
	doctor_run(&view);
	expect(DOCTOR_IS_DEVICE_HAS_VFS, "0000:00:05.0", DOCTOR_ERROR, "virtual");
	expect(DOCTOR_IS_DEVICE_HELD, "0000:00:05.0", DOCTOR_ERROR, "dpdk");
}
END_TEST

/* ---- bridges ---- */

/* To VFIO an NVSwitch is a device; a bridge to another bus is none, whatever driver it is said to have. */
START_TEST(which_bridges_can_be_given)
{
	tree_device("0000:00:0b.0", "0x068000\n", "nvidia-nvswitch", 11);
	tree_device("0000:00:0c.0", "0x060400\n", "vfio-pci", 12);
	tree_device("0000:00:0d.0", "0x060700\n", "yenta_cardbus", 13);
	tree_put("/dev/vfio/12", "");
	tree_put(DROPIN, WHO "0000:00:0b.0 0000:00:0c.0 0000:00:0d.0\n");
	doctor_run(&view);
	expect(DOCTOR_IS_POLICY_DEVICE_DRIVER, "0000:00:0b.0", DOCTOR_ERROR, "nvidia-nvswitch");
	ck_assert_ptr_null(tree_find(DOCTOR_IS_POLICY_DEVICE_BRIDGE, "0000:00:0b.0"));
	expect(DOCTOR_IS_POLICY_DEVICE_BRIDGE, "0000:00:0c.0", DOCTOR_ERROR, "bridge");
	expect(DOCTOR_IS_POLICY_DEVICE_BRIDGE, "0000:00:0d.0", DOCTOR_ERROR, "bridge");
}
END_TEST

START_TEST(bridges_in_a_group)
{
	const struct doctor_finding *f;

	tree_device("0000:00:03.1", "0x060100\n", NULL, 3);
	tree_device("0000:00:03.2", "0x060400\n", "pcieport", 3);
	doctor_run(&view);
	nothing_is_wrong();
	doctor_deinit(&view);
	tree_view(&view);
	tree_device("0000:00:03.1", "0x060100\n", "lpc_ich", 3);
	tree_device("0000:00:03.2", "0x060400\n", "shpchp", 3);
	doctor_run(&view);
	f = expect(DOCTOR_IS_GROUP_NOT_VIABLE, "0000:00:03.1", DOCTOR_ERROR, "lpc_ich");
	expect_mend(f, "iommuctl bind 0000:00:03.1");
	f = expect(DOCTOR_IS_GROUP_NOT_VIABLE, "0000:00:03.2", DOCTOR_ERROR, "shpchp");
	expect_mend(f, "echo 0000:00:03.2 > ");
	ck_assert(!tree_mends(f, "iommuctl bind"));
}
END_TEST

/* ---- groups ---- */

/* What will be in the way is told before the bind. */
START_TEST(group_of_a_device_to_be_bound)
{
	const struct doctor_finding *f;

	tree_device("0000:00:0b.0", "0x030000\n", "nvidia", 11);
	tree_device("0000:00:0b.1", "0x040300\n", "snd_hda_intel", 11);
	tree_put(DROPIN, WHO "0000:00:0b.0\n");
	doctor_run(&view);
	ck_assert_uint_eq(tree_count(DOCTOR_IS_GROUP_NOT_VIABLE), 1);
	f = expect(DOCTOR_IS_GROUP_NOT_VIABLE, "0000:00:0b.1", DOCTOR_ERROR,
		   "snd_hda_intel; that keeps 0000:00:0b.0");
	expect_mend(f, "iommuctl bind --group 0000:00:0b.0");
	f = expect(DOCTOR_IS_POLICY_DEVICE_DRIVER, "0000:00:0b.0", DOCTOR_ERROR, "nvidia");
	expect_mend(f, "iommuctl bind --group 0000:00:0b.0");
	expect_mend(f, "[drivers] vfio-pci = 0000:00:0b.0 0000:00:0b.1 in " CONF);
	ck_assert(!tree_mends(f, "driver_override"));
}
END_TEST

START_TEST(group_that_no_rule_gives)
{
	tree_delete(DROPIN);
	tree_device("0000:00:05.1", "0x020000\n", "e1000e", 5);
	doctor_run(&view);
	expect(DOCTOR_IS_GROUP_NOT_VIABLE, "0000:00:05.1", DOCTOR_WARNING, "e1000e");
	ck_assert_uint_eq(doctor_count(&view, DOCTOR_ERROR), 0);
}
END_TEST

/* What the kernel can do without, and memory of another group. */
START_TEST(memory_that_does_not_matter)
{
	tree_put("/sys/kernel/iommu_groups/3/reserved_regions",
		 "0x0000000000000000 0x0000000000ffffff direct-relaxable\n"
		 "0x00000000fee00000 0x00000000feefffff msi\n");
	tree_put("/sys/kernel/iommu_groups/9/reserved_regions",
		 "0x000000007d000000 0x000000007f7fffff direct\n");
	doctor_run(&view);
	nothing_is_wrong();
}
END_TEST

/* ---- advice ---- */

static void all_with_the_host(void)
{
	tree_device(CARD, "0x00ff00\n", "e1000e", 3);
	tree_device("0000:00:05.0", "0x010802\n", "nvme", 5);
	tree_delete(DEVICES CARD "/vfio-dev");
	tree_delete(DEVICES "0000:00:05.0/vfio-dev");
}

/* Not the first that comes: it may be the display, or the disk. */
START_TEST(no_device_is_picked)
{
	const struct doctor_finding *f;

	all_with_the_host();
	tree_put(CONF, WHO "class:0108\n");
	doctor_run(&view);
	f = expect(DOCTOR_IS_NO_DEVICE_ON_VFIO, NULL, DOCTOR_ERROR, "none of the 4");
	expect_mend(f, "lspci");
	expect_mend(f, "iommuctl bind BDF");
	ck_assert(!tree_mends(f, "0000:"));
}
END_TEST

START_TEST(nobody_to_move_it)
{
	const struct doctor_finding *f;

	tree_broker_stop();
	tree_delete("/proc/4242");
	tree_delete("/sys/bus/pci/drivers/vfio-pci");
	all_with_the_host();
	doctor_run(&view);
	f = expect(DOCTOR_IS_POLICY_DEVICE_DRIVER, CARD, DOCTOR_ERROR, "e1000e");
	expect_mend(f, "modprobe vfio-pci");
	expect_mend(f, "once iommu-brokerd serves the hardware: iommuctl bind " CARD);
	doctor_deinit(&view);
	tree_view(&view);
	tree_put(CONF, "[drivers]\nvfio-pci = " CARD "\n" WHO CARD "\n");
	doctor_run(&view);
	f = expect(DOCTOR_IS_POLICY_DEVICE_DRIVER, CARD, DOCTOR_ERROR, "e1000e");
	expect_mend(f, "start iommu-brokerd, which moves " CARD);
	expect(DOCTOR_IS_DRIVERS_NOT_MOVED, CARD, DOCTOR_NOTE, "e1000e");
}
END_TEST

/* ---- [drivers] ---- */

START_TEST(drivers_that_were_moved)
{
	tree_put(CONF, "[drivers]\nvfio-pci = " CARD " class:0108\n" WHO CARD "\n");
	doctor_run(&view);
	nothing_is_wrong();
}
END_TEST

/* Moved alone it could not be given out: what shares its group has to be named, too. */
START_TEST(drivers_without_the_sibling)
{
	tree_device("0000:00:0b.0", "0x030000\n", "nvidia", 11);
	tree_device("0000:00:0b.1", "0x040300\n", "snd_hda_intel", 11);
	tree_put(CONF, "[drivers]\nvfio-pci = 0000:00:0b.0\n" WHO CARD "\n");
	doctor_run(&view);
	expect_mend(expect(DOCTOR_IS_DRIVERS_NOT_MOVED, "0000:00:0b.0", DOCTOR_WARNING, "nvidia"),
		    "[drivers] vfio-pci = 0000:00:0b.0 0000:00:0b.1 in ");
	expect(DOCTOR_IS_GROUP_NOT_VIABLE, "0000:00:0b.1", DOCTOR_WARNING, "keeps 0000:00:0b.0");
	ck_assert_uint_eq(doctor_count(&view, DOCTOR_ERROR), 0);
}
END_TEST

START_TEST(drivers_cannot_move_a_bridge)
{
	tree_put(CONF, "[drivers]\nvfio-pci = 0000:00:02.0\n" WHO CARD "\n");
	doctor_run(&view);
	expect(DOCTOR_IS_DRIVERS_NOT_MOVED, "0000:00:02.0", DOCTOR_WARNING, "but a bridge");
}
END_TEST

/* ---- nodes ---- */

/* The nodes that are opened, and those that are not. */
START_TEST(nodes_closed_to_the_broker)
{
	mode_is("/dev/iommu", 0);
	mode_is("/dev/vfio/vfio", 0);
	mode_is("/dev/vfio/devices/vfio0", 0400);
	mode_is("/dev/vfio/3", 0);
	doctor_run(&view);
	expect(DOCTOR_IS_NODE_CLOSED, "/dev/iommu", DOCTOR_ERROR, "mode 0000");
	expect(DOCTOR_IS_NODE_CLOSED, "/dev/vfio/vfio", DOCTOR_WARNING, "mode 0000");
	expect(DOCTOR_IS_NODE_CLOSED, "devices/vfio0", DOCTOR_ERROR, "mode 0400");
	expect(DOCTOR_IS_NODE_CLOSED, "/dev/vfio/3", DOCTOR_WARNING, "mode 0000");
	doctor_deinit(&view);
	tree_view(&view);
	tree_broker_stop();
	tree_put(CONF, "[daemon]\nbackend = type1\n" WHO CARD "\n");
	doctor_run(&view);
	expect(DOCTOR_IS_NODE_CLOSED, "/dev/iommu", DOCTOR_WARNING, "mode 0000");
	expect_mend(expect(DOCTOR_IS_NODE_CLOSED, "/dev/vfio/vfio", DOCTOR_ERROR, "mode 0000"),
		    "chmod 0666 /dev/vfio/vfio");
	expect(DOCTOR_IS_NODE_CLOSED, "/dev/vfio/3", DOCTOR_ERROR, "mode 0000");
}
END_TEST

/* Of a user's: that goes past the broker, and where it is the node that is opened, keeps it out. */
START_TEST(nodes_of_a_user)
{
	static const char *const nodes[] = { "/dev/vfio/3", "/dev/vfio/devices/vfio0" };
	char path[512];

	if (geteuid() != 0)
		return;
	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s%s", tree_root, nodes[i]);
		ck_assert_int_eq(chown(path, 1000, 1000), 0);
	}
	doctor_run(&view);
	expect(DOCTOR_IS_NODE_NOT_ROOTS, nodes[0], DOCTOR_WARNING, "owner 1000");
	expect(DOCTOR_IS_NODE_CLOSED, nodes[1], DOCTOR_ERROR, "owner 1000");
	ck_assert_ptr_null(tree_find(DOCTOR_IS_NODE_NOT_ROOTS, nodes[1]));
}
END_TEST

/* Root gets in by owner, else by group, else as anybody. */
START_TEST(nodes_that_root_opens)
{
	char path[512];

	if (geteuid() != 0)
		return;
	snprintf(path, sizeof(path), "%s/dev/iommu", tree_root);
	ck_assert_int_eq(chown(path, 1000, 1000), 0);
	mode_is("/dev/iommu", 0666);
	doctor_run(&view);
	nothing_is_wrong();
	doctor_deinit(&view);
	tree_view(&view);
	ck_assert_int_eq(chown(path, 1000, 0), 0);
	mode_is("/dev/iommu", 0606);
	doctor_run(&view);
	expect(DOCTOR_IS_NODE_CLOSED, "/dev/iommu", DOCTOR_ERROR, "owner 1000, group 0");
}
END_TEST

START_TEST(the_other_backends_node)
{
	tree_delete("/dev/vfio/devices/vfio0");
	doctor_run(&view);
	expect(DOCTOR_IS_DEVICE_NODE_MISSING, CARD, DOCTOR_ERROR, "no /dev/vfio/devices/vfio0");
	doctor_deinit(&view);
	tree_view(&view);
	tree_broker_stop();
	tree_put("/dev/vfio/devices/vfio0", "");
	tree_delete("/dev/vfio/3");
	tree_put(CONF, "[daemon]\nbackend = type1\n" WHO CARD "\n");
	doctor_run(&view);
	expect(DOCTOR_IS_DEVICE_NODE_MISSING, CARD, DOCTOR_ERROR, "no /dev/vfio/3");
}
END_TEST

/* Kernels may make no groups, and iommufd wants none. */
START_TEST(no_groups_for_iommufd)
{
	tree_delete("/dev/vfio/3");
	tree_delete("/dev/vfio/5");
	doctor_run(&view);
	nothing_is_wrong();
}
END_TEST

START_TEST(each_holder_is_told_once)
{
	tree_put("/proc/999/comm", "dpdk\n");
	tree_link("/proc/999/fd/11", "/dev/vfio/devices/vfio0");
	tree_link("/proc/999/fd/12", "/dev/vfio/devices/vfio1");
	tree_link("/proc/999/fd/13", "/dev/vfio/devices/vfio0");
	tree_link("/proc/999/fd/14", "/dev/vfio/devices/vfio1");
	doctor_run(&view);
	ck_assert_uint_eq(tree_count(DOCTOR_IS_DEVICE_HELD), 2);
}
END_TEST

static size_t held(void)
{
	doctor_deinit(&view);
	tree_view(&view);
	doctor_run(&view);
	return tree_count(DOCTOR_IS_DEVICE_HELD);
}

/* A machine on which all is well, while the broker is at work. */
START_TEST(what_is_given_out_is_not_held)
{
	tree_put("/proc/999/comm", "dpdk\n");
	tree_link("/proc/999/fd/11", "/dev/vfio/devices/vfio1");
	ck_assert_uint_eq(held(), 1);
	tree_broker_start(BROKER_HAS_GIVEN_ONE);
	ck_assert_uint_eq(held(), 0);
	nothing_is_wrong();
	tree_link("/proc/999/fd/12", "/dev/vfio/devices/vfio0");
	ck_assert_uint_eq(held(), 1);
}
END_TEST

START_TEST(the_service_manager_keeps_what_it_was_given)
{
	tree_put("/proc/1/comm", "systemd\n");
	tree_link("/proc/1/fd/11", "/dev/vfio/devices/vfio1");
	ck_assert_uint_eq(held(), 0);
	tree_put("/proc/1/comm", "init\n");
	ck_assert_uint_eq(held(), 1);
}
END_TEST

/* Whoever calls himself so is not the broker for that. */
START_TEST(names_are_anybodys)
{
	char path[128];

	tree_put("/proc/999/comm", "iommu-broker-se\n");
	tree_link("/proc/999/fd/11", "/dev/vfio/devices/vfio1");
	ck_assert_uint_eq(held(), 0);
	if (geteuid() != 0)
		return;
	snprintf(path, sizeof(path), "%s/proc/999", tree_root);
	ck_assert_int_eq(chown(path, 1234, 1234), 0);
	ck_assert_uint_eq(held(), 1);
	ck_assert_int_eq(chown(path, 1879048192, 0), 0);
	ck_assert_uint_eq(held(), 0);
	ck_assert_int_eq(chown(path, 1879048192 + 1024, 0), 0);
	ck_assert_uint_eq(held(), 1);
	tree_broker_stop();
	ck_assert_int_eq(doctor_find_monitor(&view), TREE_MONITOR);
	snprintf(path, sizeof(path), "%s/proc/%d", tree_root, TREE_MONITOR);
	ck_assert_int_eq(chown(path, 1234, 1234), 0);
	ck_assert_int_eq(doctor_find_monitor(&view), 0);
}
END_TEST

/* A prepared tree is no way to have root open what is elsewhere. */
START_TEST(links_stay_below_the_root)
{
	char path[128], line[32];

	snprintf(path, sizeof(path), "%s.outside", tree_root);
	FILE *f = fopen(path, "we");

	ck_assert_ptr_nonnull(f);
	fputs("outside\n", f);
	fclose(f);
	tree_link("/etc/outside", path);
	ck_assert(!doctor_line(&view, line, sizeof(line), "/etc/outside"));
	tree_link("/etc/null", "/dev/null");
	ck_assert(!doctor_line(&view, line, sizeof(line), "/etc/null"));
	tree_link("/etc/inside", "../etc/os");
	tree_put("/etc/os", "inside\n");
	ck_assert(doctor_line(&view, line, sizeof(line), "/etc/inside"));
	ck_assert_str_eq(line, "inside");
	unlink(path);
}
END_TEST

Suite *test_doctor_devices_suite(void)
{
	const TTest *const tests[] = {
		sriov_numvfs_is_not_read,
		functions_vanish_with_their_driver,
		function_and_its_parent_in_a_group,
		comments_behind_values,
		sections_that_only_begin_alike,
		uids_of_users_elsewhere,
		given_by_its_ids,
		one_of_two_alike,
		wide_patterns_ask_for_nothing,
		given_by_its_class,
		meant_by_its_ids,
		which_bridges_can_be_given,
		bridges_in_a_group,
		group_of_a_device_to_be_bound,
		group_that_no_rule_gives,
		memory_that_does_not_matter,
		no_device_is_picked,
		nobody_to_move_it,
		drivers_that_were_moved,
		drivers_without_the_sibling,
		drivers_cannot_move_a_bridge,
		nodes_closed_to_the_broker,
		nodes_of_a_user,
		nodes_that_root_opens,
		the_other_backends_node,
		no_groups_for_iommufd,
		each_holder_is_told_once,
		what_is_given_out_is_not_held,
		the_service_manager_keeps_what_it_was_given,
		names_are_anybodys,
		links_stay_below_the_root,
	};
	Suite *suite = suite_create("doctor_devices");
	TCase *tc = tcase_create("tree");

	tcase_add_checked_fixture(tc, tree_set_up, tree_tear_down);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(suite, tc);
	return suite;
}
