/* SPDX-License-Identifier: MIT */
/* What the machine uses a device for, on prepared trees. */
#include "client/iommuctl.h"

#include <check.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

Suite *test_host_suite(void);

#define DISK "0000:00:1f.2"
#define NVME "0000:01:00.0"
#define CARD "0000:02:00.0"

static char root[64];
static char said[512];

static const char *in_root(const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	for (char *p = path + strlen(root) + 1; *p; p++)
		if (*p == '/') {
			*p = '\0';
			mkdir(path, 0755);
			*p = '/';
		}
	return path;
}

static void put(const char *name, const char *text)
{
	FILE *f = fopen(in_root(name), "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static void link_to(const char *name, const char *target)
{
	ck_assert_int_eq(symlink(target, in_root(name)), 0);
}

static void tree_make(void)
{
	static char sys[80], proc[80];

	snprintf(root, sizeof(root), "/tmp/test-host-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
	snprintf(sys, sizeof(sys), "%s/sys", root);
	snprintf(proc, sizeof(proc), "%s/proc", root);
	ctl_host_roots_set(sys, proc);
	put("proc/self/mountinfo", "");
	put("proc/swaps", "Filename Type Size Used Priority\n");
	put("sys/devices/pci0000:00/" DISK "/ata1/block/sda/sda1/dev", "8:1\n");
	put("sys/devices/pci0000:00/" NVME "/nvme/nvme0/dev", "");
	put("sys/devices/pci0000:00/" CARD "/class", "");
	link_to("sys/dev/block/8:1", "../../devices/pci0000:00/" DISK "/ata1/block/sda/sda1");
	link_to("sys/bus/pci/devices/" DISK, "../../../devices/pci0000:00/" DISK);
	link_to("sys/bus/pci/devices/" NVME, "../../../devices/pci0000:00/" NVME);
	link_to("sys/bus/pci/devices/" CARD, "../../../devices/pci0000:00/" CARD);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static void tree_remove(void)
{
	ctl_host_roots_set(NULL, NULL);
	nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void tell(void *context, const char *words)
{
	ck_assert_ptr_eq(context, said);
	strncat(said, words, sizeof(said) - strlen(said) - 1);
	strncat(said, ";", sizeof(said) - strlen(said) - 1);
}

static unsigned uses(const char *device)
{
	said[0] = '\0';
	return ctl_host_uses(device, tell, said);
}

START_TEST(nothing_is_used)
{
	ck_assert_uint_eq(uses(DISK), 0);
	ck_assert_uint_eq(uses(NVME), 0);
	ck_assert_uint_eq(uses("0000:77:00.0"), 0);
	ck_assert_uint_eq(uses("../../etc"), 0);
}
END_TEST

START_TEST(mounted_partition)
{
	put("proc/self/mountinfo",
	    "22 1 0:20 / /proc rw - proc proc rw\n"
	    "36 25 8:1 / /boot rw,relatime shared:1 - ext4 /dev/no-such-node rw\n");
	ck_assert_uint_eq(uses(DISK), 1);
	ck_assert_str_eq(said, "a file system is mounted on /boot;");
	ck_assert_uint_eq(uses(NVME), 0);
}
END_TEST

START_TEST(mounted_through_dm)
{
	put("proc/self/mountinfo", "36 25 253:1 / / rw - ext4 /dev/no-such-node rw\n");
	put("sys/devices/virtual/block/dm-1/dev", "");
	put("sys/devices/virtual/block/dm-0/dev", "");
	link_to("sys/dev/block/253:1", "../../devices/virtual/block/dm-1");
	link_to("sys/devices/virtual/block/dm-1/slaves/dm-0", "../../dm-0");
	link_to("sys/devices/virtual/block/dm-0/slaves/sda1",
		"../../../../pci0000:00/" DISK "/ata1/block/sda/sda1");
	ck_assert_uint_eq(uses(DISK), 1);
	ck_assert_uint_eq(uses(NVME), 0);
	/* upon itself, which cannot be, ends as well */
	link_to("sys/devices/virtual/block/dm-0/slaves/dm-1", "../../dm-1");
	ck_assert_uint_eq(uses(NVME), 0);
}
END_TEST

START_TEST(mounted_through_several_controllers)
{
	put("proc/self/mountinfo", "36 25 259:1 / /srv rw - xfs /dev/no-such-node rw\n");
	put("sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1/nvme0n1p1/dev", "");
	link_to("sys/dev/block/259:1",
		"../../devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1/nvme0n1p1");
	ck_assert_uint_eq(uses(NVME), 0);
	link_to("sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0",
		"../../../pci0000:00/" NVME "/nvme/nvme0");
	ck_assert_uint_eq(uses(NVME), 1);
	ck_assert_uint_eq(uses(DISK), 0);
}
END_TEST

/* The one interface that is up with an address everywhere is the loopback's. */
START_TEST(interface_with_address)
{
	put("sys/devices/pci0000:00/" CARD "/net/no-such-if/flags", "");
	ck_assert_uint_eq(uses(CARD), 0);
	put("sys/devices/pci0000:00/" CARD "/virtio3/net/lo/flags", "");
	ck_assert_uint_eq(uses(CARD), 1);
	ck_assert_str_eq(said, "a network interface with an address is up: lo;");
}
END_TEST

#define PORT	  "sys/devices/pci0000:00/" CARD "/net/no-such-if/"
#define NETWORKS  "sys/devices/virtual/net/"
#define CARD_PORT "../../../pci0000:00/" CARD "/net/no-such-if"

/* A bridge of the card's port, in which nothing is. */
static void bridge_make(void)
{
	put(PORT "flags", "");
	put(NETWORKS "no-such-br/flags", "");
	link_to(PORT "upper_no-such-br", "../../../../virtual/net/no-such-br");
	link_to(NETWORKS "no-such-br/lower_no-such-if", CARD_PORT);
}

START_TEST(bridge_with_address)
{
	bridge_make();
	ck_assert_uint_eq(uses(CARD), 0);
	put(NETWORKS "lo/flags", "");
	link_to(PORT "upper_lo", "../../../../virtual/net/lo");
	ck_assert_uint_eq(uses(CARD), 1);
	ck_assert_str_eq(said, "a network interface with an address goes through it: lo;");
	ck_assert_uint_eq(uses(NVME), 0);
}
END_TEST

/* A VLAN of the bridge, or a bridge of a bond. */
START_TEST(network_upon_network)
{
	bridge_make();
	put(NETWORKS "lo/flags", "");
	link_to(NETWORKS "no-such-br/upper_lo", "../lo");
	ck_assert_uint_eq(uses(CARD), 1);
	ck_assert_str_eq(said, "a network interface with an address goes through it: lo;");
}
END_TEST

START_TEST(networks_in_a_circle)
{
	bridge_make();
	link_to(NETWORKS "no-such-br/upper_no-such-br", "../no-such-br");
	ck_assert_uint_eq(uses(CARD), 0);
}
END_TEST

START_TEST(bridge_with_other_ports)
{
	bridge_make();
	link_to(NETWORKS "no-such-br/lower_no-such-tap", "../no-such-tap");
	ck_assert_uint_eq(uses(CARD), 0);
	link_to(NETWORKS "no-such-br/lower_lo", "../lo");
	ck_assert_uint_eq(uses(CARD), 1);
	ck_assert_str_eq(said, "other interfaces are connected through it: no-such-br;");
}
END_TEST

START_TEST(further_disk_of_btrfs)
{
	put("sys/fs/btrfs/features/x", "");
	put("sys/fs/btrfs/1234-abcd/label", "");
	link_to("sys/fs/btrfs/1234-abcd/sda1", "x");
	ck_assert_uint_eq(uses(DISK), 0);
	put("sys/fs/btrfs/1234-abcd/devices/.keep", "");
	link_to("sys/fs/btrfs/1234-abcd/devices/sda1",
		"../../../../devices/pci0000:00/" DISK "/ata1/block/sda/sda1");
	ck_assert_uint_eq(uses(DISK), 1);
	ck_assert_str_eq(said, "it is one of the disks of a btrfs that is mounted: 1234-abcd;");
	ck_assert_uint_eq(uses(NVME), 0);
	put("proc/self/mountinfo", "36 25 8:1 / / rw - btrfs /dev/no-such-node rw\n");
	ck_assert_uint_eq(uses(DISK), 1);
	ck_assert_str_eq(said, "a file system is mounted on /;");
}
END_TEST

START_TEST(boot_display)
{
	put("sys/devices/pci0000:00/" CARD "/boot_vga", "0\n");
	ck_assert_uint_eq(uses(CARD), 0);
	put("sys/devices/pci0000:00/" CARD "/boot_vga", "1\n");
	ck_assert_uint_eq(uses(CARD), 1);
}
END_TEST

Suite *test_host_suite(void)
{
	Suite *s = suite_create("host");
	TCase *t = tcase_create("host");

	tcase_set_timeout(t, 30);
	tcase_add_checked_fixture(t, tree_make, tree_remove);
	tcase_add_test(t, nothing_is_used);
	tcase_add_test(t, mounted_partition);
	tcase_add_test(t, mounted_through_dm);
	tcase_add_test(t, mounted_through_several_controllers);
	tcase_add_test(t, interface_with_address);
	tcase_add_test(t, bridge_with_address);
	tcase_add_test(t, network_upon_network);
	tcase_add_test(t, networks_in_a_circle);
	tcase_add_test(t, bridge_with_other_ports);
	tcase_add_test(t, further_disk_of_btrfs);
	tcase_add_test(t, boot_display);
	suite_add_tcase(s, t);
	return s;
}
