/* SPDX-License-Identifier: MIT */
/*
 * Machines that "iommuctl doctor" must tell apart: the same effect with another cause, and what
 * looks like a defect and is none. Each is the healthy one of doctor_tree.h with something changed.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "doctor_tree.h"

Suite *test_doctor_machine_suite(void);

#define CONF	"/etc/iommu-broker/iommu-broker.conf"
#define RULE	"[allow the card]\nuser = alice\ndevice = 0000:00:03.0\ndomains = yes\n"
#define TYPE1	"/sys/module/vfio_iommu_type1"
#define IOMMUFD "/sys/module/iommufd"
#define MODULES "/lib/modules/6.20.1-test"
#define BUILT	"/boot/config-6.20.1-test"

/* ---- the IOMMU and the kernel's command line ---- */

static void line_is(const char *line)
{
	tree_put("/proc/cmdline", line);
}

static void off_with(const char *line)
{
	tree_delete("/sys/class/iommu");
	line_is(line);
}

static void amd_off_with(const char *line)
{
	off_with(line);
	tree_delete("/sys/firmware/acpi/tables/DMAR");
	tree_put("/sys/firmware/acpi/tables/IVRS", "");
}

static void no_table_with(const char *line)
{
	off_with(line);
	tree_delete("/sys/firmware/acpi/tables/DMAR");
	tree_put("/sys/firmware/acpi/tables/FACP", "");
}

static void off_in_a_list(void)
{
	off_with("root=x intel_iommu=sm_on,off\n");
}

static void on_then_off(void)
{
	off_with("intel_iommu=on intel_iommu=off\n");
}

static void off_then_on(void)
{
	off_with("intel_iommu=off intel_iommu=on\n");
}

static void igfx_then_on(void)
{
	off_with("intel_iommu=igfx_off intel_iommu=on\n");
}

static void off_twice(void)
{
	off_with("iommu=off intel_iommu=off\n");
}

static void on_but_off(void)
{
	off_with("intel_iommu=on iommu=off\n");
}

static void off_for_init(void)
{
	off_with("intel_iommu=on -- intel_iommu=off\n");
}

static void amd_off_in_a_list(void)
{
	amd_off_with("root=x iommu=pt,off\n");
}

static void amd_begins_with_off(void)
{
	amd_off_with("amd_iommu=offline\n");
}

static void on_by_default(void)
{
	off_with("root=x\n");
	tree_put(BUILT, "CONFIG_INTEL_IOMMU=y\nCONFIG_INTEL_IOMMU_DEFAULT_ON=y\n");
}

static void arm_heeds_no_such_word(void)
{
	off_with("iommu=off\n");
	tree_delete("/sys/firmware/acpi/tables/DMAR");
	tree_delete("/boot");
	tree_put("/sys/firmware/acpi/tables/IORT", "");
}

static void acpi_off(void)
{
	off_with("root=x acpi=off\n");
	tree_delete("/sys/firmware");
}

static void no_table_and_a_word(void)
{
	no_table_with("intel_iommu=off\n");
}

static void virtual_machine(void)
{
	no_table_with("root=x\n");
	tree_put("/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu hypervisor lahf_lm\n");
}

static void real_machine(void)
{
	no_table_with("root=x\n");
	tree_put("/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu vme\n");
}

/* ---- how the command line is changed ---- */

static void opensuse(void)
{
	off_in_a_list();
	tree_put("/etc/default/grub", "");
	tree_put("/usr/sbin/grub2-mkconfig", "");
}

static void arch(void)
{
	off_in_a_list();
	tree_put("/etc/default/grub", "");
	tree_put("/usr/bin/grub-mkconfig", "");
}

static void proxmox(void)
{
	off_in_a_list();
	tree_put("/etc/kernel/cmdline", "root=ZFS=rpool/ROOT/pve-1 boot=zfs\n");
	tree_put("/usr/sbin/proxmox-boot-tool", "");
}

static void systemd_boot(void)
{
	off_in_a_list();
	tree_put("/etc/kernel/cmdline", "root=x\n");
}

static void fedora(void)
{
	off_in_a_list();
	tree_put("/usr/sbin/grubby", "");
	tree_put("/etc/default/grub", "");
}

/* ---- interrupts ---- */

static void no_remapping(void)
{
	tree_put("/proc/interrupts", "  0:  9  IO-APIC    2-edge  timer\n"
				     " 24:  1  PCI-MSIX-0000:00:03.0  0-edge  nvme0q0\n");
}

static void no_remapping_by_a_list(void)
{
	no_remapping();
	line_is("intel_iommu=on intremap=off,nosid\n");
}

static void no_remapping_accepted_here(void)
{
	no_remapping();
	tree_put(CONF, "[daemon]\nallow-unsafe-interrupts = yes\n" RULE);
}

static void no_remapping_accepted(void)
{
	no_remapping_accepted_here();
	tree_put(IOMMUFD "/parameters/allow_unsafe_interrupts", "Y\n");
}

/* What the other backend's module would accept is of no use. */
static void no_remapping_accepted_elsewhere(void)
{
	no_remapping_accepted_here();
	tree_put(TYPE1 "/parameters/allow_unsafe_interrupts", "Y\n");
}

static void arm_interrupts(void)
{
	tree_put("/proc/interrupts", "  9:  0  GICv3  25 Level  vgic\n"
				     " 40:  1  ITS-PCI-MSIX-0000:01:00.0  0 Edge  nvme0q0\n"
				     " 41:  1  PCI-MSI  524288 Edge  eth0\n");
}

/* ---- modules ---- */

static void vfio_pci_not_loaded(void)
{
	tree_delete("/sys/bus/pci/drivers/vfio-pci");
	tree_put("/proc/modules", "vfio 65536 1 - Live 0x0\n");
}

static void blocked_by_the_kernel(void)
{
	vfio_pci_not_loaded();
	line_is("intel_iommu=on module_blacklist=floppy,vfio_pci\n");
}

/* The kernel knows the module by its own name only. */
static void blocked_under_another_name(void)
{
	vfio_pci_not_loaded();
	line_is("intel_iommu=on module_blacklist=vfio-pci\n");
}

static void modules_disabled(void)
{
	vfio_pci_not_loaded();
	tree_put("/proc/sys/kernel/modules_disabled", "1\n");
}

static void blacklisted(void)
{
	vfio_pci_not_loaded();
	tree_put("/usr/lib/modprobe.d/gpu.conf", "# cards\n\tblacklist\tvfio-pci\n");
}

static void blacklisted_and_blocked(void)
{
	vfio_pci_not_loaded();
	tree_put("/etc/modprobe.d/a.conf", "blacklist vfio-pci\ninstall vfio_pci /bin/true\n");
}

static void blacklist_is_hidden(void)
{
	blacklisted();
	tree_put("/etc/modprobe.d/gpu.conf", "blacklist vfio-pci-core\n");
}

static void install_loads_it(void)
{
	vfio_pci_not_loaded();
	tree_put("/etc/modprobe.d/vfio.conf", "install vfio-pci /sbin/modprobe -i vfio-pci\n");
}

static void blocked_otherwise(void)
{
	vfio_pci_not_loaded();
	tree_put("/etc/modprobe.d/vfio.conf.bak", "install vfio-pci /bin/false\n");
	tree_put("/etc/modprobe.d/vfio.conf", "install vfio /bin/false\n#install vfio-pci :\n");
}

/* Both backends are installed and not loaded. */
static void no_backend(void)
{
	tree_broker_stop();
	tree_delete(TYPE1);
	tree_delete(IOMMUFD);
	tree_delete("/sys/class/misc/iommu");
	tree_delete("/dev/iommu");
	tree_delete("/dev/vfio/devices");
	tree_put("/proc/devices", "Character devices:\n  1 mem\n");
	tree_put(MODULES "/modules.builtin", "");
	tree_put(MODULES "/modules.dep", "kernel/drivers/vfio/vfio_iommu_type1.ko.xz:\n"
					 "kernel/drivers/iommu/iommufd/iommufd.ko.xz:\n");
}

static void no_backend_before_vfio(void)
{
	no_backend();
	tree_delete("/sys/class/vfio");
}

static void no_backend_without_cdevs(void)
{
	no_backend_before_vfio();
	tree_put(BUILT, "CONFIG_VFIO=m\n# CONFIG_VFIO_DEVICE_CDEV is not set\n");
}

static void no_backend_on_an_old_kernel(void)
{
	no_backend_before_vfio();
	tree_delete("/boot");
	tree_put("/lib/modules/6.5.0/modules.dep", "kernel/drivers/vfio/vfio_iommu_type1.ko.xz:\n"
						   "kernel/drivers/iommu/iommufd/iommufd.ko.xz:\n");
	tree_put("/proc/sys/kernel/osrelease", "6.5.0\n");
}

static void iommufd_without_cdevs_alone(void)
{
	tree_broker_stop();
	tree_delete(TYPE1);
	tree_delete("/dev/vfio/devices");
	tree_put("/proc/devices", "Character devices:\n  1 mem\n");
}

static void iommufd_wanted_on_6_1(void)
{
	tree_broker_stop();
	tree_delete(IOMMUFD);
	tree_delete("/sys/class/misc/iommu");
	tree_delete("/dev/iommu");
	tree_put("/proc/sys/kernel/osrelease", "6.1.0-25-amd64\n");
	tree_put(CONF, "[daemon]\nbackend = iommufd\n" RULE);
}

/* ---- nodes, and kernels ---- */

static void container_node_gone(void)
{
	tree_delete("/dev/vfio/vfio");
}

static void container_node_gone_and_nobody_runs(void)
{
	container_node_gone();
	tree_broker_stop();
}

static void iommufd_node_gone(void)
{
	tree_delete("/dev/iommu");
	tree_delete("/dev/vfio/devices");
	tree_broker_start(BROKER_USES_TYPE1);
}

static void both_nodes_gone(void)
{
	container_node_gone_and_nobody_runs();
	tree_delete("/dev/iommu");
}

/* That of iommufd is of no use without character devices. */
static void container_node_gone_without_cdevs(void)
{
	container_node_gone_and_nobody_runs();
	tree_delete("/dev/vfio/devices");
	tree_put("/proc/devices", "Character devices:\n  1 mem\n");
}

static void backported(void)
{
	tree_put("/proc/sys/kernel/osrelease", "5.14.0-503.el9.x86_64\n");
}

static void test_kernel(void)
{
	tree_put("/sys/bus/iommufd_mock/uevent", "");
	tree_broker_start(BROKER_USES_TYPE1);
}

static void test_kernel_and_nobody_runs(void)
{
	test_kernel();
	tree_broker_stop();
}

static void test_kernel_without_type1(void)
{
	test_kernel_and_nobody_runs();
	tree_delete(TYPE1);
}

/* ---- the tables ---- */

static const struct {
	void (*change)(void);
	enum doctor_id id;
	enum doctor_severity severity;
	const char *words; /* in what is so */
	const char *mend;  /* in one of the lines that mend it, or NULL: there are none */
} said[] = {
	{ off_in_a_list, DOCTOR_IS_IOMMU_OFF_ON_KERNEL_LINE, DOCTOR_ERROR,
	  "\"intel_iommu=sm_on,off\"", "put \"intel_iommu=on\" in" },
	{ on_then_off, DOCTOR_IS_IOMMU_OFF_ON_KERNEL_LINE, DOCTOR_ERROR, "\"intel_iommu=off\"",
	  "take \"intel_iommu=off\" out" },
	{ off_then_on, DOCTOR_IS_IOMMU_NOT_STARTED, DOCTOR_ERROR, "DMAR", "dmesg" },
	{ igfx_then_on, DOCTOR_IS_IOMMU_NOT_STARTED, DOCTOR_ERROR, "DMAR", "dmesg" },
	{ off_for_init, DOCTOR_IS_IOMMU_NOT_STARTED, DOCTOR_ERROR, "DMAR", "dmesg" },
	{ off_twice, DOCTOR_IS_IOMMU_OFF_ON_KERNEL_LINE, DOCTOR_ERROR,
	  "\"iommu=off intel_iommu=off\"", "take \"iommu=off intel_iommu=off\" out" },
	{ on_but_off, DOCTOR_IS_IOMMU_OFF_ON_KERNEL_LINE, DOCTOR_ERROR, "\"iommu=off\"",
	  "take \"iommu=off\" out" },
	{ amd_off_in_a_list, DOCTOR_IS_IOMMU_OFF_ON_KERNEL_LINE, DOCTOR_ERROR,
	  "(IVRS), but \"iommu=pt,off\"", "take \"iommu=pt,off\" out" },
	{ amd_begins_with_off, DOCTOR_IS_IOMMU_OFF_ON_KERNEL_LINE, DOCTOR_ERROR,
	  "amd_iommu=offline", "amd_iommu=offline" },
	{ on_by_default, DOCTOR_IS_IOMMU_NOT_STARTED, DOCTOR_ERROR, "DMAR", "dmesg" },
	{ arm_heeds_no_such_word, DOCTOR_IS_IOMMU_NOT_STARTED, DOCTOR_ERROR, "IORT", "dmesg" },
	{ acpi_off, DOCTOR_IS_IOMMU_OFF_ON_KERNEL_LINE, DOCTOR_ERROR, "acpi=off",
	  "take \"acpi=off\" out" },
	{ no_table_and_a_word, DOCTOR_IS_IOMMU_OFF_IN_FIRMWARE, DOCTOR_ERROR, "no DMAR",
	  "take \"intel_iommu=off\" out" },
	{ virtual_machine, DOCTOR_IS_IOMMU_OFF_IN_FIRMWARE, DOCTOR_ERROR, "virtual machine",
	  "have the host" },
	{ real_machine, DOCTOR_IS_IOMMU_OFF_IN_FIRMWARE, DOCTOR_ERROR, "no DMAR",
	  "firmware setup" },

	{ opensuse, DOCTOR_IS_IOMMU_OFF_ON_KERNEL_LINE, DOCTOR_ERROR, "off",
	  "in /etc/default/grub, in GRUB_CMDLINE_LINUX and GRUB_CMDLINE_LINUX_DEFAULT: take "
	  "\"intel_iommu=sm_on,off\" out, put \"intel_iommu=on\" in; then: grub2-mkconfig -o "
	  "/boot/grub2/grub.cfg" },
	{ arch, DOCTOR_IS_IOMMU_OFF_ON_KERNEL_LINE, DOCTOR_ERROR, "off",
	  "then: grub-mkconfig -o /boot/grub/grub.cfg" },
	{ proxmox, DOCTOR_IS_IOMMU_OFF_ON_KERNEL_LINE, DOCTOR_ERROR, "off",
	  "in /etc/kernel/cmdline: take \"intel_iommu=sm_on,off\" out, put \"intel_iommu=on\" in; "
	  "then: proxmox-boot-tool refresh" },
	{ systemd_boot, DOCTOR_IS_IOMMU_OFF_ON_KERNEL_LINE, DOCTOR_ERROR, "off",
	  "then: kernel-install add-all" },
	{ fedora, DOCTOR_IS_IOMMU_OFF_ON_KERNEL_LINE, DOCTOR_ERROR, "off",
	  "grubby --update-kernel=ALL --remove-args=\"intel_iommu=sm_on,off\" "
	  "--args=\"intel_iommu=on\"" },

	{ no_remapping_by_a_list, DOCTOR_IS_INTERRUPT_REMAPPING_OFF, DOCTOR_ERROR, "remap",
	  "take \"intremap=off,nosid\" out" },
	{ no_remapping_accepted, DOCTOR_IS_INTERRUPT_REMAPPING_OFF, DOCTOR_WARNING, "accept",
	  "firmware" },
	{ no_remapping_accepted_here, DOCTOR_IS_INTERRUPT_REMAPPING_OFF, DOCTOR_ERROR, "remap",
	  "echo Y > /sys/module/iommufd/parameters/allow_unsafe_interrupts" },
	{ no_remapping_accepted_elsewhere, DOCTOR_IS_INTERRUPT_REMAPPING_OFF, DOCTOR_ERROR, "remap",
	  "echo Y > /sys/module/iommufd/parameters/allow_unsafe_interrupts" },

	{ blocked_by_the_kernel, DOCTOR_IS_MODULE_BLOCKED, DOCTOR_ERROR, "vfio_pci is installed",
	  "take \"module_blacklist=floppy,vfio_pci\" out" },
	{ blocked_under_another_name, DOCTOR_IS_MODULE_NOT_LOADED, DOCTOR_ERROR, "vfio_pci",
	  "modprobe vfio_pci" },
	{ modules_disabled, DOCTOR_IS_MODULE_BLOCKED, DOCTOR_ERROR, "modules_disabled is set",
	  "reboot" },
	{ blacklisted, DOCTOR_IS_MODULE_NOT_LOADED, DOCTOR_ERROR, "vfio_pci",
	  "vfio-pci\" from /usr/lib/modprobe.d/gpu.conf" },
	{ blacklisted_and_blocked, DOCTOR_IS_MODULE_BLOCKED, DOCTOR_ERROR,
	  "a.conf has install vfio_pci", "remove \"blacklist vfio-pci\"" },
	{ install_loads_it, DOCTOR_IS_MODULE_NOT_LOADED, DOCTOR_ERROR, "vfio_pci",
	  "modprobe vfio_pci" },
	{ blocked_otherwise, DOCTOR_IS_MODULE_NOT_LOADED, DOCTOR_ERROR, "vfio_pci",
	  "modprobe vfio_pci" },
	{ no_backend, DOCTOR_IS_MODULE_NOT_LOADED, DOCTOR_ERROR, "vfio_iommu_type1",
	  "modprobe vfio_iommu_type1" },
	{ no_backend_before_vfio, DOCTOR_IS_MODULE_NOT_LOADED, DOCTOR_ERROR, "iommufd",
	  "modprobe iommufd" },
	{ no_backend_without_cdevs, DOCTOR_IS_MODULE_NOT_LOADED, DOCTOR_ERROR, "vfio_iommu_type1",
	  "modprobe vfio_iommu_type1" },
	{ no_backend_on_an_old_kernel, DOCTOR_IS_MODULE_NOT_LOADED, DOCTOR_ERROR,
	  "vfio_iommu_type1", "modprobe vfio_iommu_type1" },
	{ iommufd_without_cdevs_alone, DOCTOR_IS_MODULE_NOT_LOADED, DOCTOR_ERROR,
	  "vfio_iommu_type1", "modprobe vfio_iommu_type1" },
	{ iommufd_wanted_on_6_1, DOCTOR_IS_KERNEL_TOO_OLD_FOR_IOMMUFD, DOCTOR_ERROR, "needs 6.6",
	  "backend = auto" },

	{ both_nodes_gone, DOCTOR_IS_NODE_MISSING, DOCTOR_ERROR, "no /dev/", "devtmpfs" },
	{ container_node_gone_without_cdevs, DOCTOR_IS_NODE_MISSING, DOCTOR_ERROR,
	  "no /dev/vfio/vfio", "devtmpfs" },
	{ backported, DOCTOR_IS_KERNEL_TOO_OLD, DOCTOR_NOTE, "works", NULL },
	{ test_kernel, DOCTOR_IS_KERNEL_FOR_TESTING, DOCTOR_WARNING, "uses type1", "boot" },
	{ test_kernel_and_nobody_runs, DOCTOR_IS_KERNEL_FOR_TESTING, DOCTOR_WARNING, "uses type1",
	  "boot" },
	{ test_kernel_without_type1, DOCTOR_IS_KERNEL_FOR_TESTING, DOCTOR_ERROR, "IOMMUFD_TEST",
	  "boot" },
};

#define SAID (int)(sizeof(said) / sizeof(said[0]))

/* With words: in none of the lines that mend it. */
static const struct {
	void (*change)(void);
	enum doctor_id id;
	const char *mend;
} unsaid[] = {
	{ arm_interrupts, DOCTOR_IS_INTERRUPT_REMAPPING_OFF, NULL },
	{ container_node_gone, DOCTOR_IS_NODE_MISSING, NULL },
	{ container_node_gone_and_nobody_runs, DOCTOR_IS_NODE_MISSING, NULL },
	{ iommufd_node_gone, DOCTOR_IS_NODE_MISSING, NULL },
	{ iommufd_without_cdevs_alone, DOCTOR_IS_BACKENDS, NULL },
	{ iommufd_wanted_on_6_1, DOCTOR_IS_MODULE_NOT_BUILT, NULL },
	{ iommufd_wanted_on_6_1, DOCTOR_IS_MODULE_NOT_LOADED, NULL },
	{ iommufd_wanted_on_6_1, DOCTOR_IS_MODULE_FILES_MISSING, NULL },
	{ no_remapping, DOCTOR_IS_INTERRUPT_REMAPPING_OFF, "echo Y" },
	{ no_remapping_by_a_list, DOCTOR_IS_INTERRUPT_REMAPPING_OFF, "firmware" },
	{ virtual_machine, DOCTOR_IS_IOMMU_OFF_IN_FIRMWARE, "firmware setup" },
	{ on_but_off, DOCTOR_IS_IOMMU_OFF_ON_KERNEL_LINE, "intel_iommu=on" },
	{ fedora, DOCTOR_IS_IOMMU_OFF_ON_KERNEL_LINE, "grub," },
	{ proxmox, DOCTOR_IS_IOMMU_OFF_ON_KERNEL_LINE, "GRUB" },
	{ modules_disabled, DOCTOR_IS_MODULE_BLOCKED, "modprobe" },
	{ blacklist_is_hidden, DOCTOR_IS_MODULE_NOT_LOADED, "remove" },
	{ blocked_otherwise, DOCTOR_IS_MODULE_BLOCKED, NULL },
};

#define UNSAID (int)(sizeof(unsaid) / sizeof(unsaid[0]))

/* ---- tests ---- */

START_TEST(is_said)
{
	const char *name = doctor_id_name(said[_i].id);
	const struct doctor_finding *f = NULL;

	said[_i].change();
	doctor_run(&view);
	for (size_t i = 0; i < view.finding_count && !f; i++) {
		if (view.findings[i].id == said[_i].id &&
		    strstr(view.findings[i].text, said[_i].words))
			f = &view.findings[i];
	}
	ck_assert_msg(f != NULL, "%s (%s) is not found", name, said[_i].words);
	ck_assert_msg(f->severity == said[_i].severity, "%s: %s", name,
		      doctor_severity_name(f->severity));
	ck_assert_msg(f->why != NULL, "%s does not say why it matters", name);
	if (said[_i].mend)
		ck_assert_msg(tree_mends(f, said[_i].mend), "%s: %s", name,
			      f->mend_count ? f->mend[0] : "nothing mends it");
	else
		ck_assert_uint_eq(f->mend_count, 0);
}
END_TEST

START_TEST(is_not_said)
{
	const struct doctor_finding *f;

	unsaid[_i].change();
	doctor_run(&view);
	f = tree_find(unsaid[_i].id, NULL);
	if (unsaid[_i].mend)
		ck_assert_msg(f && !tree_mends(f, unsaid[_i].mend), "%s is mended by %s",
			      doctor_id_name(unsaid[_i].id), unsaid[_i].mend);
	else
		ck_assert_msg(!f, "%s: %s", doctor_id_name(unsaid[_i].id), f ? f->text : "");
}
END_TEST

static void to_host_driver(const char *bdf)
{
	char path[128];

	tree_device(bdf, "0x020000\n", "i40e", -1);
	snprintf(path, sizeof(path), "/sys/devices/pci0000:00/%s/vfio-dev", bdf);
	tree_delete(path);
	snprintf(path, sizeof(path), "/sys/devices/pci0000:00/%s/iommu_group", bdf);
	tree_delete(path);
}

/* While the IOMMU is off no driver change succeeds, and turning it on may mend the rest. */
START_TEST(first_the_iommu)
{
	size_t errors = 0;

	off_in_a_list();
	tree_delete("/sys/kernel/iommu_groups");
	to_host_driver("0000:00:03.0");
	to_host_driver("0000:00:05.0");
	doctor_run(&view);
	for (size_t i = 0; i < view.finding_count; i++) {
		const struct doctor_finding *f = &view.findings[i];

		errors += f->severity == DOCTOR_ERROR;
		ck_assert_msg(f->severity <= DOCTOR_NOTE || !tree_mends(f, "driver_override"), "%s",
			      doctor_id_name(f->id));
		ck_assert_int_ne(f->severity, DOCTOR_WARNING);
	}
	ck_assert_uint_eq(errors, 2);
	ck_assert_ptr_nonnull(tree_find(DOCTOR_IS_IOMMU_OFF_ON_KERNEL_LINE, NULL));
	ck_assert(tree_mends(tree_find(DOCTOR_IS_NO_DEVICE_ON_VFIO, NULL),
			     "first see to it that an IOMMU"));
}
END_TEST

/* One that does without what the used backend does not need is as healthy as the other. */
START_TEST(no_errors)
{
	static void (*const changes[])(void) = {
		container_node_gone, iommufd_node_gone,	    backported,
		test_kernel,	     no_remapping_accepted, arm_interrupts,
	};

	changes[_i]();
	doctor_run(&view);
	for (size_t i = 0; i < view.finding_count; i++)
		ck_assert_msg(view.findings[i].severity != DOCTOR_ERROR, "%s: %s",
			      doctor_id_name(view.findings[i].id), view.findings[i].text);
}
END_TEST

Suite *test_doctor_machine_suite(void)
{
	Suite *suite = suite_create("doctor_machine");
	TCase *tc = tcase_create("tree");

	tcase_add_checked_fixture(tc, tree_set_up, tree_tear_down);
	tcase_add_loop_test(tc, is_said, 0, SAID);
	tcase_add_loop_test(tc, is_not_said, 0, UNSAID);
	tcase_add_test(tc, first_the_iommu);
	tcase_add_loop_test(tc, no_errors, 0, 6);
	suite_add_tcase(suite, tc);
	return suite;
}
