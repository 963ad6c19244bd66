/* SPDX-License-Identifier: MIT */
/* Reading /sys and /dev, on a prepared tree: what a machine may show, and what it should not. */
#include "kernel-glue/opener.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

Suite *test_sysfs_suite(void);

static char root[64];

/* ---- the tree ---- */

static void path_of(char path[256], const char *name)
{
	ck_assert_int_lt(snprintf(path, 256, "%s/%s", root, name), 256);
}

static const char *in_root(const char *name)
{
	static char path[256];

	path_of(path, name);
	return path;
}

static void make_dirs(const char *name)
{
	char path[256];

	path_of(path, name);
	for (char *p = path + strlen(root) + 1; *p; p++)
		if (*p == '/') {
			*p = '\0';
			mkdir(path, 0755);
			*p = '/';
		}
}

static void put(const char *name, const char *text)
{
	char path[256];
	FILE *f;

	make_dirs(name);
	path_of(path, name);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static void link_to(const char *name, const char *target)
{
	char path[256];

	make_dirs(name);
	path_of(path, name);
	unlink(path);
	ck_assert_int_eq(symlink(target, path), 0);
}

/* A device directory as the kernel makes it: the entry in bus/pci/devices is a link to it. */
static void put_device(const char *bdf, const char *class_code, const char *driver, int group)
{
	char name[256], target[256];

	snprintf(name, sizeof(name), "sys/devices/pci0000:00/%s/vendor", bdf);
	put(name, "0x1234\n");
	snprintf(name, sizeof(name), "sys/devices/pci0000:00/%s/device", bdf);
	put(name, "0x11e8\n");
	snprintf(name, sizeof(name), "sys/devices/pci0000:00/%s/class", bdf);
	put(name, class_code);
	snprintf(target, sizeof(target), "../../../devices/pci0000:00/%s", bdf);
	snprintf(name, sizeof(name), "sys/bus/pci/devices/%s", bdf);
	link_to(name, target);
	if (driver) {
		snprintf(name, sizeof(name), "sys/devices/pci0000:00/%s/driver", bdf);
		snprintf(target, sizeof(target), "../../../bus/pci/drivers/%s", driver);
		link_to(name, target);
	}
	if (group < 0)
		return;
	snprintf(name, sizeof(name), "sys/devices/pci0000:00/%s/iommu_group", bdf);
	snprintf(target, sizeof(target), "../../../kernel/iommu_groups/%d", group);
	link_to(name, target);
	snprintf(name, sizeof(name), "sys/kernel/iommu_groups/%d/devices/%s", group, bdf);
	snprintf(target, sizeof(target), "../../../../devices/pci0000:00/%s", bdf);
	link_to(name, target);
}

static void put_cdev(const char *bdf, const char *cdev, const char *number)
{
	char name[256];

	snprintf(name, sizeof(name), "sys/devices/pci0000:00/%s/vfio-dev/%s/dev", bdf, cdev);
	put(name, number);
}

static void tree_make(void)
{
	static char sys[80], dev[80], proc[80];

	snprintf(root, sizeof(root), "/tmp/test-sysfs-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
	put("sys/bus/pci/devices/.keep", "");
	put("dev/.keep", "");
	put("proc/.keep", "");
	snprintf(sys, sizeof(sys), "%s/sys", root);
	snprintf(dev, sizeof(dev), "%s/dev", root);
	snprintf(proc, sizeof(proc), "%s/proc", root);
	sysfs_roots_set(sys, dev, proc);
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
	nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	sysfs_roots_set(NULL, NULL, NULL);
}

static void expect(const char *name, enum sysfs_obstacle obstacle, const char *words)
{
	enum sysfs_obstacle got;
	struct glue_device d;

	ck_assert_int_eq(sysfs_pci_read(name, &d, &got), 0);
	ck_assert_str_eq(d.name, name);
	ck_assert_int_eq((int)got, (int)obstacle);
	ck_assert_int_eq(d.usable, obstacle == SYSFS_USABLE);
	ck_assert_msg(strstr(d.why, words) != NULL, "%s: %s", name, d.why);
}

/* ---- one device ---- */

START_TEST(device_on_vfio)
{
	enum sysfs_obstacle o;
	struct glue_device d;

	put_device("0000:00:03.0", "0x020000\n", "vfio-pci", 7);
	put_cdev("0000:00:03.0", "vfio4", "511:4\n");
	ck_assert_int_eq(sysfs_pci_read("0000:00:03.0", &d, &o), 0);
	ck_assert(d.usable);
	ck_assert_str_eq(d.why, "");
	ck_assert_str_eq(d.driver, "vfio-pci");
	ck_assert_uint_eq(d.vendor, 0x1234);
	ck_assert_uint_eq(d.device, 0x11e8);
	ck_assert_uint_eq(d.class_code, 0x020000);
	ck_assert_uint_eq(d.group, 7);
	ck_assert_ptr_nonnull(strstr(d.node, "/dev/vfio/devices/vfio4"));
}
END_TEST

/* 6.1 makes the directory, but no character device and so no "dev". */
START_TEST(device_without_cdev)
{
	enum sysfs_obstacle o;
	struct glue_device d;

	put_device("0000:00:03.0", "0x020000\n", "vfio-pci", 7);
	put("sys/devices/pci0000:00/0000:00:03.0/vfio-dev/vfio0/uevent", "");
	ck_assert_int_eq(sysfs_pci_read("0000:00:03.0", &d, &o), 0);
	ck_assert(d.usable);
	ck_assert_str_eq(d.node, "");
	ck_assert_int_eq(sysfs_cdev_open("0000:00:03.0"), -ENXIO);
}
END_TEST

START_TEST(obstacles_are_named)
{
	put_device("0000:00:01.0", "0x060400\n", "pcieport", 1);
	put_device("0000:00:01.1", "0x060700\n", "yenta_cardbus", 1);
	put_device("0000:00:01.2", "0x068000\n", "nvidia-nvswitch", 8);
	put_device("0000:00:02.0", "0x020000\n", NULL, 2);
	put_device("0000:00:03.0", "0x020000\n", "e1000e", 3);
	put_device("0000:00:04.0", "0x020000\n", "vfio-pci", 4);
	/* reading this one may block */
	link_to("sys/devices/pci0000:00/0000:00:04.0/virtfn0", "../0000:00:04.1");
	ck_assert_int_eq(mkfifo(in_root("sys/devices/pci0000:00/0000:00:04.0/sriov_numvfs"), 0644),
			 0);
	put_device("0000:00:05.0", "0x020000\n", "vfio-pci", 5);
	put("sys/kernel/iommu_groups/5/name", "vfio-noiommu\n");
	put_device("0000:00:06.0", "0x020000\n", "vfio-pci", 6);
	put_cdev("0000:00:06.0", "noiommu-vfio0", "511:0\n");
	put_device("0000:00:07.0", "0x020000\n", "mlx5_vfio_pci", 7);
	put_cdev("0000:00:07.0", "vfio1", "511:1\n");

	expect("0000:00:01.0", SYSFS_BRIDGE, "bridge");
	expect("0000:00:01.1", SYSFS_BRIDGE, "bridge");
	expect("0000:00:01.2", SYSFS_HOST_DRIVER, "nvswitch");
	expect("0000:00:02.0", SYSFS_NO_DRIVER, "vfio-pci");
	expect("0000:00:03.0", SYSFS_HOST_DRIVER, "e1000e");
	expect("0000:00:04.0", SYSFS_HAS_VFS, "sriov_numvfs");
	expect("0000:00:05.0", SYSFS_NOIOMMU, "noiommu");
	expect("0000:00:06.0", SYSFS_NOIOMMU, "noiommu");
	expect("0000:00:07.0", SYSFS_USABLE, "");
	ck_assert_int_eq(unlink(in_root("sys/devices/pci0000:00/0000:00:04.0/virtfn0")), 0);
	expect("0000:00:04.0", SYSFS_USABLE, "");
}
END_TEST

START_TEST(sibling_is_blamed)
{
	struct sysfs_sibling s;

	put_device("0000:00:03.0", "0x020000\n", "vfio-pci", 7);
	put_device("0000:00:03.1", "0x020000\n", NULL, 7);
	put_device("0000:00:03.2", "0x020000\n", "pci-stub", 7);
	put_device("0000:00:03.3", "0x060400\n", "pcieport", 7);
	put_device("0000:00:03.4", "0x020000\n", "qat_vfio_pci", 7);
	put_cdev("0000:00:03.4", "vfio0", "511:0\n");
	expect("0000:00:03.0", SYSFS_USABLE, "");
	ck_assert_int_eq(sysfs_group_blame(7, "0000:00:03.0", &s), 0);

	put_device("0000:00:03.6", "0x020000\n", "r8169", 7);
	put_device("0000:00:03.5", "0x020000\n", "e1000e", 7);
	expect("0000:00:03.0", SYSFS_SIBLING, "group 7 with 0000:00:03.5, used by driver e1000e");
	ck_assert_int_eq(sysfs_group_blame(7, "0000:00:03.0", &s), 1);
	ck_assert_str_eq(s.name, "0000:00:03.5");
	ck_assert_str_eq(s.driver, "e1000e");
	/* nobody is his own sibling */
	ck_assert_int_eq(sysfs_group_blame(7, "0000:00:03.5", &s), 1);
	ck_assert_str_eq(s.name, "0000:00:03.6");
	ck_assert_int_eq(sysfs_group_blame(99, "0000:00:03.0", &s), -ENOENT);
}
END_TEST

START_TEST(names_that_are_no_bdf)
{
	static const char *const names[] = {
		"",
		".",
		"..",
		"0000:00:03.8",
		"0000:00:03",
		"0000:00:03.0/",
		"0000:00:03.0 ",
		"000:00:03.0",
		"0000:0:03.0",
		"0000:00:3.0",
		"0000:0A:03.0",
		"../devices/0000:00:03.0",
		"0000:00:03.00000000000000000000000000000000000000000",
		"123456789:00:03.0",
	};
	enum sysfs_obstacle o;
	struct glue_device d;

	put_device("0000:00:03.0", "0x020000\n", "vfio-pci", 7);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		ck_assert_msg(sysfs_pci_read(names[i], &d, &o) == -EINVAL, "%s", names[i]);
		ck_assert_msg(sysfs_cdev_open(names[i]) == -EINVAL, "%s", names[i]);
	}
	put_device("10000:e1:00.0", "0x020000\n", "vfio-pci", 8);
	expect("10000:e1:00.0", SYSFS_USABLE, "");
}
END_TEST

/* ---- all devices ---- */

START_TEST(list_is_sorted_and_leaves_out_nonsense)
{
	struct glue_device *list;
	size_t count;

	put_device("0000:02:00.0", "0x020000\n", "vfio-pci", 1);
	put_device("0000:00:1f.3", "0x020000\n", "vfio-pci", 2);
	put_device("0000:00:0a.0", "0x020000\n", "vfio-pci", 3);
	put_device("0000:00:04.0", "0x020000\n", "vfio-pci", -1);     /* no group */
	put_device("0000:00:05.0", "0x12345678\n", "vfio-pci", 5);    /* class too long */
	put_device("0000:00:06.0", "", "vfio-pci", 6);		      /* class empty */
	put_device("0000:00:07.0", "-1\n", "vfio-pci", 7);	      /* negative */
	put_device("0000:00:08.0", "0x020000 junk\n", "vfio-pci", 8); /* trailing */
	put_device("0000:00:09.0", "0x020000\n", "vfio-pci", 9);
	link_to("sys/devices/pci0000:00/0000:00:09.0/iommu_group", "../iommu_groups/nine");
	link_to("sys/bus/pci/devices/0000:00:0b.0", "../../../devices/gone");
	put("sys/bus/pci/devices/README", "not a device\n");

	ck_assert_int_eq(sysfs_pci_list(&list, &count), 0);
	ck_assert_uint_eq(count, 3);
	ck_assert_str_eq(list[0].name, "0000:00:0a.0");
	ck_assert_str_eq(list[1].name, "0000:00:1f.3");
	ck_assert_str_eq(list[2].name, "0000:02:00.0");
	free(list);
}
END_TEST

START_TEST(list_of_a_group)
{
	struct glue_device *list;
	size_t count;

	put_device("0000:02:00.0", "0x020000\n", "vfio-pci", 3);
	put_device("0000:00:1f.3", "0x020000\n", "e1000e", 3);
	put_device("0000:00:04.0", "0x020000\n", "vfio-pci", 4);
	put_device("0000:00:05.0", "0x020000\n", "vfio-pci", -1);
	put("sys/kernel/iommu_groups/3/devices/some-platform-device", "");
	/* it has just left */
	link_to("sys/kernel/iommu_groups/3/devices/0000:00:06.0", "../../../../devices/gone");
	ck_assert_int_eq(sysfs_group_list("0000:02:00.0", &list, &count), 0);
	ck_assert_uint_eq(count, 2);
	ck_assert_str_eq(list[0].name, "0000:00:1f.3");
	ck_assert(!list[0].usable);
	ck_assert_str_eq(list[1].name, "0000:02:00.0");
	ck_assert_str_eq(list[1].driver, "vfio-pci");
	ck_assert(strstr(list[1].why, "0000:00:1f.3") != NULL);
	free(list);
	ck_assert_int_eq(sysfs_group_list("0000:00:04.0", &list, &count), 0);
	ck_assert_uint_eq(count, 1);
	free(list);
	ck_assert_int_eq(sysfs_group_list("0000:00:05.0", &list, &count), -ENODEV);
	ck_assert_int_eq(sysfs_group_list("0000:00:07.0", &list, &count), -ENODEV);
	ck_assert_int_eq(sysfs_group_list("../../../etc", &list, &count), -EINVAL);
}
END_TEST

START_TEST(list_grows)
{
	struct glue_device *list;
	char name[32];
	size_t count;

	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "0000:%02x:00.0", 39 - i);
		put_device(name, "0x020000\n", "vfio-pci", i);
	}
	ck_assert_int_eq(sysfs_pci_list(&list, &count), 0);
	ck_assert_uint_eq(count, 40);
	for (size_t i = 1; i < count; i++)
		ck_assert_int_lt(strcmp(list[i - 1].name, list[i].name), 0);
	free(list);
}
END_TEST

START_TEST(list_of_nothing)
{
	struct glue_device *list;
	size_t count;

	ck_assert_int_eq(sysfs_pci_list(&list, &count), 0);
	ck_assert_uint_eq(count, 0);
	ck_assert_ptr_null(list);
	sysfs_roots_set("/nonexistent", NULL, NULL);
	ck_assert_int_eq(sysfs_pci_list(&list, &count), -ENOENT);
}
END_TEST

START_TEST(long_driver_names_are_cut)
{
	enum sysfs_obstacle o;
	struct glue_device d;

	put_device("0000:00:03.0", "0x020000\n", "a_driver_with_a_name_of_forty_characters", 7);
	ck_assert_int_eq(sysfs_pci_read("0000:00:03.0", &d, &o), 0);
	ck_assert_str_eq(d.driver, "a_driver_with_a_name_of");
	ck_assert_int_eq((int)o, (int)SYSFS_HOST_DRIVER);
}
END_TEST

/* ---- nodes ---- */

/* /dev/null and /dev/zero in a directory of ours, by hard means: root only. */
static bool put_node(const char *name, unsigned int minor_number)
{
	char path[256];

	make_dirs(name);
	path_of(path, name);
	return mknod(path, S_IFCHR | 0600, makedev(1, minor_number)) == 0;
}

START_TEST(cdev_is_verified)
{
	int fd;

	put_device("0000:00:03.0", "0x020000\n", "vfio-pci", 7);
	put_cdev("0000:00:03.0", "vfio0", "1:3\n");
	ck_assert_int_eq(sysfs_cdev_open("0000:00:03.0"), -ENOENT);
	put("dev/vfio/devices/vfio0", "a file, no node\n");
	ck_assert_int_eq(sysfs_cdev_open("0000:00:03.0"), -ESTALE);
	put_cdev("0000:00:03.0", "vfio0", "1:3 junk\n");
	ck_assert_int_eq(sysfs_cdev_open("0000:00:03.0"), -ENXIO);
	put_device("0000:00:04.0", "0x020000\n", "vfio-pci", 8);
	put_cdev("0000:00:04.0", "vfio1", "1:3\n");
	if (!put_node("dev/vfio/devices/vfio1", 3))
		return;
	fd = sysfs_cdev_open("0000:00:04.0");
	ck_assert_int_ge(fd, 0);
	ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	put_cdev("0000:00:04.0", "vfio1", "1:5\n");
	ck_assert_int_eq(sysfs_cdev_open("0000:00:04.0"), -ESTALE);
}
END_TEST

START_TEST(nodes_are_not_followed)
{
	put("dev/target", "");
	link_to("dev/vfio/7", "../target");
	ck_assert_int_eq(sysfs_group_open(7), -ELOOP);
	ck_assert_int_eq(sysfs_group_open(8), -ENOENT);
}
END_TEST

/* ---- the machine ---- */

/* Nodes that are closed to the one who opens them, which nobody may take for another refusal. */
START_TEST(closed_nodes_are_told)
{
	static const struct glue_opener *const openers[] = { &glue_opener_iommufd,
							     &glue_opener_type1 };
	enum sysfs_obstacle obstacle;
	struct glue_bound bound;
	struct glue_device d;
	struct fault why[4];

	put_device("0000:00:03.0", "0x020000\n", "vfio-pci", 7);
	put_cdev("0000:00:03.0", "vfio4", "511:4\n");
	put("dev/iommu", "");
	put("dev/vfio/vfio", "");
	put("dev/vfio/7", "");
	put("dev/vfio/devices/vfio4", "");
	ck_assert_int_eq(chmod(in_root("dev/iommu"), 0), 0);
	ck_assert_int_eq(chmod(in_root("dev/vfio/vfio"), 0), 0);
	ck_assert_int_eq(chmod(in_root("dev/vfio/7"), 0400), 0);
	ck_assert_int_eq(chmod(in_root("dev/vfio/devices/vfio4"), 0400), 0);
	ck_assert_int_eq(chmod(root, 0755), 0);
	ck_assert_int_eq(sysfs_pci_read("0000:00:03.0", &d, &obstacle), 0);
	if (geteuid() == 0)
		ck_assert_int_eq(seteuid(65534), 0);
	for (size_t i = 0; i < 2; i++) {
		const struct glue_options none = { 0 };

		ck_assert_int_lt(openers[i]->device_bind(-1, &d, -1, &bound, &why[i]), 0);
		ck_assert_int_lt(openers[i]->probe(&none, &why[2 + i]), 0);
	}
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(0), 0);
	for (size_t i = 0; i < 4; i++) {
		ck_assert_int_eq(why[i].sys_errno, EACCES);
		ck_assert_msg(strstr(why[i].text, "closed to the broker") != NULL, "%s",
			      why[i].text);
	}
}
END_TEST

START_TEST(cdevs_are_detected)
{
	ck_assert(!sysfs_has_cdevs());
	put("proc/devices", "Character devices:\n  1 mem\n511 vfio-devices\n\nBlock devices:\n");
	ck_assert(!sysfs_has_cdevs());
	put("proc/devices", "Character devices:\n  1 mem\n511 vfio-dev\n\nBlock devices:\n");
	ck_assert(sysfs_has_cdevs());
	put("proc/devices", "");
	put("dev/vfio/devices/vfio0", "");
	ck_assert(sysfs_has_cdevs());
}
END_TEST

START_TEST(unsafe_interrupts)
{
	static const char name[] = "sys/module/iommufd/parameters/allow_unsafe_interrupts";

	ck_assert_ptr_null(sysfs_unsafe_interrupts());
	put("sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "N\n");
	ck_assert_ptr_null(sysfs_unsafe_interrupts());
	put(name, "Y\n");
	ck_assert_str_eq(sysfs_unsafe_interrupts(), "iommufd");
	put(name, "");
	ck_assert_str_eq(sysfs_unsafe_interrupts(), "iommufd");
	put(name, "N\n");
	put("sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "1\n");
	ck_assert_str_eq(sysfs_unsafe_interrupts(), "vfio_iommu_type1");
}
END_TEST

Suite *test_sysfs_suite(void)
{
	Suite *s = suite_create("sysfs");
	TCase *t = tcase_create("sysfs");

	/* trees of small files on the disk of a busy machine */
	tcase_set_timeout(t, 30);
	tcase_add_checked_fixture(t, tree_make, tree_remove);
	tcase_add_test(t, device_on_vfio);
	tcase_add_test(t, device_without_cdev);
	tcase_add_test(t, obstacles_are_named);
	tcase_add_test(t, sibling_is_blamed);
	tcase_add_test(t, names_that_are_no_bdf);
	tcase_add_test(t, list_is_sorted_and_leaves_out_nonsense);
	tcase_add_test(t, list_of_a_group);
	tcase_add_test(t, list_grows);
	tcase_add_test(t, list_of_nothing);
	tcase_add_test(t, long_driver_names_are_cut);
	tcase_add_test(t, cdev_is_verified);
	tcase_add_test(t, nodes_are_not_followed);
	tcase_add_test(t, cdevs_are_detected);
	tcase_add_test(t, closed_nodes_are_told);
	tcase_add_test(t, unsafe_interrupts);
	suite_add_tcase(s, t);
	return s;
}
