/* SPDX-License-Identifier: MIT */
/*
 * Every finding of "iommuctl doctor" made true in a tree of prepared files, and absent from the
 * healthy one. The table below has a case for each name in doctor-ids.h; a name without one fails.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "doctor_tree.h"

Suite *test_doctor_suite(void);

#define CONF	"/etc/iommu-broker/iommu-broker.conf"
#define DROPIN	"/etc/iommu-broker/conf.d/storage.conf"
#define RULE	"[allow the card]\nuser = alice\ndevice = 0000:00:03.0\ndomains = yes\n"
#define TYPE1	"/sys/module/vfio_iommu_type1"
#define IOMMUFD "/sys/module/iommufd"
#define MODULES "/lib/modules/6.20.1-test"
#define SERVICE "/sys/fs/cgroup/system.slice/iommu-broker.service"
#define CARD	"0000:00:03.0"

/* ---- what is changed in the tree ---- */

static void kernel_is(const char *release)
{
	tree_put("/proc/sys/kernel/osrelease", release);
}

static void old_kernel(void)
{
	kernel_is("5.10.0-28-amd64\n");
	tree_broker_stop();
}

static void kernel_6_1(void)
{
	kernel_is("6.1.0-25-amd64\n");
	tree_broker_start(BROKER_USES_TYPE1);
}

static void kernel_6_1_for_iommufd(void)
{
	kernel_6_1();
	tree_put(CONF, "[daemon]\nbackend = iommufd\n" RULE);
}

static void kernel_6_12(void)
{
	kernel_is("6.12.9\n");
}

static void without_cdevs(void)
{
	tree_put("/proc/devices", "Character devices:\n  1 mem\n");
	tree_delete("/dev/vfio/devices");
}

static void without_cdevs_and_type1(void)
{
	without_cdevs();
	tree_delete(TYPE1);
}

static void lockdown(void)
{
	tree_put("/sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
}

static void mock_bus(void)
{
	tree_put("/sys/bus/iommufd_mock/uevent", "");
}

static void test_option(void)
{
	tree_put("/boot/config-6.20.1-test", "CONFIG_IOMMUFD=y\nCONFIG_IOMMUFD_TEST=y\n");
}

static void test_kernel_allowed(void)
{
	mock_bus();
	tree_put(CONF, "[daemon]\nallow-test-kernel = yes\n" RULE);
}

static void no_acpi(void)
{
	tree_delete("/sys/class/iommu");
	tree_delete("/sys/firmware/acpi");
}

static void no_table(void)
{
	tree_delete("/sys/class/iommu");
	tree_delete("/sys/firmware/acpi/tables/DMAR");
	tree_put("/sys/firmware/acpi/tables/FACP", "");
}

static void iommu_off(void)
{
	tree_delete("/sys/class/iommu");
	tree_put("/proc/cmdline", "root=/dev/sda1 intel_iommu=off quiet\n");
}

static void amd_off(void)
{
	tree_delete("/sys/class/iommu");
	tree_delete("/sys/firmware/acpi/tables/DMAR");
	tree_put("/sys/firmware/acpi/tables/IVRS", "");
	tree_put("/proc/cmdline", "amd_iommu=off\n");
}

static void not_asked_for(void)
{
	tree_delete("/sys/class/iommu");
	tree_put("/proc/cmdline", "root=/dev/sda1 iommu=pt\n");
}

static void not_started(void)
{
	tree_delete("/sys/class/iommu");
}

/* The one that the kernel's tests register does not count. */
static void only_the_mock_iommu(void)
{
	not_started();
	tree_put("/sys/class/iommu/iommufd_selftest_iommu.0/x", "");
}

static void no_groups(void)
{
	tree_delete("/sys/kernel/iommu_groups");
}

static void not_built(void)
{
	not_started();
	tree_put("/boot/config-6.20.1-test", "CONFIG_VFIO=m\n# CONFIG_INTEL_IOMMU is not set\n");
}

static void on_xen(void)
{
	no_table();
	tree_put("/sys/hypervisor/type", "xen\n");
}

static void vfio_pci_not_loaded(void)
{
	tree_delete("/sys/bus/pci/drivers/vfio-pci");
	tree_put("/proc/modules", "vfio 65536 1 - Live 0x0\n");
}

static void vfio_pci_not_built(void)
{
	vfio_pci_not_loaded();
	tree_put(MODULES "/modules.dep", "kernel/drivers/vfio/vfio.ko.xz:\n");
	tree_put("/boot/config-6.20.1-test", "CONFIG_VFIO=m\n# CONFIG_VFIO_PCI is not set\n");
}

static void vfio_pci_not_installed(void)
{
	vfio_pci_not_built();
	tree_put("/boot/config-6.20.1-test", "CONFIG_VFIO=m\nCONFIG_VFIO_PCI=m\n");
}

static void vfio_pci_blocked(void)
{
	vfio_pci_not_loaded();
	tree_put("/etc/modprobe.d/hardening.conf", "install vfio-pci /bin/false\n");
}

static void module_files_gone(void)
{
	vfio_pci_not_loaded();
	tree_delete(MODULES);
}

/* The names of what depends on VFIO are not in a configuration without it. */
static void built_without_vfio(void)
{
	module_files_gone();
	tree_put("/boot/config-6.20.1-test",
		 "CONFIG_MODULES=y\n# CONFIG_VFIO is not set\nCONFIG_VFIO_PCIE=y\n");
}

/* It has no /proc/modules, and may say nothing of how it was built. */
static void kernel_without_modules(void)
{
	module_files_gone();
	tree_delete("/proc/modules");
	tree_delete("/boot");
}

/* The kernel's own word goes before what lies in /boot. */
static void built_without_vfio_says_the_kernel(void)
{
	char command[256];

	module_files_gone();
	snprintf(command, sizeof(command),
		 "echo '# CONFIG_VFIO is not set' | gzip > %s/proc/config.gz", tree_root);
	ck_assert_int_eq(system(command), 0);
	view.gzip = access("/usr/bin/gzip", X_OK) == 0 ? "/usr/bin/gzip" : "/bin/gzip";
}

static void no_backend(void)
{
	tree_delete(TYPE1);
	tree_delete(IOMMUFD);
	tree_delete("/sys/class/misc/iommu");
	tree_put(MODULES "/modules.builtin", "");
}

static void type1_wanted(void)
{
	tree_delete(TYPE1);
	tree_put(CONF, "[daemon]\nbackend = type1\n" RULE);
}

static void no_iommufd_node(void)
{
	tree_delete("/dev/iommu");
}

static void no_container_node(void)
{
	tree_delete("/dev/vfio/vfio");
	tree_put(CONF, "[daemon]\nbackend = type1\n" RULE);
}

static void unsafe_interrupts(void)
{
	tree_put(TYPE1 "/parameters/allow_unsafe_interrupts", "Y\n");
}

static void unsafe_interrupts_iommufd(void)
{
	tree_put(IOMMUFD "/parameters/allow_unsafe_interrupts", "Y\n");
}

static void unsafe_interrupts_accepted(void)
{
	unsafe_interrupts();
	tree_put(CONF, "[daemon]\nallow-unsafe-interrupts = yes\n" RULE);
}

static void no_remapping(void)
{
	tree_put("/proc/interrupts", "  0:  9  IO-APIC    2-edge  timer\n"
				     " 24:  1  PCI-MSIX-0000:00:03.0  0-edge  nvme0q0\n");
}

static void acs_overridden(void)
{
	tree_put("/proc/cmdline", "intel_iommu=on pcie_acs_override=downstream\n");
}

static void noiommu_mode(void)
{
	tree_put("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n");
}

static void noiommu_device(void)
{
	tree_device("0000:00:0a.0", "0x00ff00\n", "vfio-pci", 20);
	tree_put("/sys/kernel/iommu_groups/20/name", "vfio-noiommu\n");
}

static void noiommu_cdev(void)
{
	tree_device("0000:00:0a.0", "0x00ff00\n", "vfio-pci", -1);
	tree_cdev("0000:00:0a.0", "noiommu-vfio0");
}

static void none_on_vfio(void)
{
	tree_device("0000:00:03.0", "0x00ff00\n", "e1000e", 3);
	tree_device("0000:00:05.0", "0x010802\n", "nvme", 5);
	tree_delete("/sys/devices/pci0000:00/0000:00:03.0/vfio-dev");
	tree_delete("/sys/devices/pci0000:00/0000:00:05.0/vfio-dev");
}

static void virtual_functions(void)
{
	tree_delete(DROPIN);
	tree_link("/sys/devices/pci0000:00/0000:00:05.0/virtfn0", "../0000:00:05.1");
}

static void virtual_functions_of_the_named(void)
{
	tree_link("/sys/devices/pci0000:00/0000:00:03.0/virtfn0", "../0000:00:03.1");
}

static void named_absent(void)
{
	tree_put(DROPIN, "[allow storage]\nuser = bob\ndevice = 0000:7f:00.0 class:0108\n");
}

static void named_bridge(void)
{
	tree_put(DROPIN, "[allow storage]\nuser = bob\ndevice = 0000:00:02.0\n");
}

static void named_on_host_driver(void)
{
	tree_put(DROPIN, "[allow storage]\nuser = bob\n# the disk\ndevice = 0000:00:1f.2\n");
}

static void named_without_driver(void)
{
	tree_device("0000:00:0b.0", "0x00ff00\n", NULL, 11);
	tree_put(DROPIN, "[allow storage]\nuser = bob\ndevice = 0000:00:0b.0\n");
}

static void named_without_group(void)
{
	tree_device("0000:00:0b.0", "0x00ff00\n", "e1000e", -1);
	tree_put(DROPIN, "[allow storage]\nuser = bob\ndevice = 0000:00:0b.0\n");
}

static void pattern_unmatched(void)
{
	tree_put(DROPIN, "[allow storage]\nuser = bob\ndevice = 10de:2204\n");
}

static void sibling_on_host_driver(void)
{
	tree_device("0000:00:03.1", "0x020000\n", "e1000e", 3);
}

static void node_of_a_group(void)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/dev/vfio/5", tree_root);
	ck_assert_int_eq(chmod(path, 0660), 0);
}

static void node_of_a_user(void)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/dev/vfio/devices/vfio1", tree_root);
	ck_assert_int_eq(chmod(path, 0606), 0);
}

static void node_is_closed(void)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/dev/vfio/devices/vfio0", tree_root);
	/* Only root can give a file away; for others, its mode has to do. */
	ck_assert_int_eq(geteuid() == 0 ? chown(path, 1000, 1000) : chmod(path, 0400), 0);
}

static void firmware_reserves(void)
{
	tree_put("/sys/kernel/iommu_groups/3/reserved_regions",
		 "0x0000000000000000 0x0000000000ffffff direct-relaxable\n"
		 "0x000000007d000000 0x000000007f7fffff direct\n"
		 "0x00000000fee00000 0x00000000feefffff msi\n");
}

static void drivers_not_moved(void)
{
	tree_put(CONF, "[drivers]\nvfio-pci = 0000:00:1f.2\n" RULE);
}

static void drivers_absent(void)
{
	tree_put(CONF, "[drivers]\nvfio-pci = 10de:2204\n" RULE);
}

static void session_uids_taken(void)
{
	tree_put("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nalice:x:1023:1023::/:/bin/sh\n");
	tree_put(CONF, "[daemon]\nsession-uid-base = 1000\n" RULE);
}

static void no_nodes(void)
{
	tree_delete("/dev/vfio/3");
	tree_delete("/dev/vfio/devices/vfio0");
}

static void held_group(void)
{
	tree_put("/proc/999/comm", "qemu-system-x86\n");
	tree_link("/proc/999/fd/12", "/dev/vfio/3");
}

static void held_cdev(void)
{
	tree_delete(DROPIN);
	tree_put("/proc/999/comm", "dpdk\n");
	tree_link("/proc/999/fd/12", "/dev/vfio/devices/vfio1");
}

static void no_config(void)
{
	tree_delete(CONF);
}

static void config_is_a_directory(void)
{
	tree_delete(CONF);
	tree_put(CONF "/x", "");
}

static void wrong_config(void)
{
	tree_program(
		"/usr/sbin/iommu-brokerd",
		"#!/bin/sh\necho \"${1#--check-config=}:3: unknown key \\\"usr\\\"\" >&2\nexit 1\n");
}

static void old_brokerd(void)
{
	tree_program("/usr/sbin/iommu-brokerd", "#!/bin/sh\necho usage >&2\nexit 2\n");
}

static void no_rules(void)
{
	tree_put(CONF, "; nothing\n");
	tree_delete("/etc/iommu-broker/conf.d");
}

static void no_devices_given(void)
{
	tree_put(CONF, "[allow memory]\nuser = alice\ndomains = yes\n");
	tree_delete("/etc/iommu-broker/conf.d");
}

static void no_domains_given(void)
{
	tree_put(CONF, "[allow the card]\nuser = alice\ndevice = " CARD "\n");
}

static void no_brokerd(void)
{
	view.brokerd = NULL;
	tree_broker_stop();
	tree_delete("/proc/4242");
}

static void no_brokerd_but_running(void)
{
	view.brokerd = NULL;
}

static void no_helper(void)
{
	tree_delete("/usr/libexec/iommu-broker");
}

static void daemon_gone(void)
{
	tree_broker_stop();
	tree_delete("/run/iommu-broker/socket");
	tree_delete("/proc/4242");
}

static void socket_gone(void)
{
	tree_broker_stop();
	tree_delete("/run/iommu-broker/socket");
}

static void killed(void)
{
	tree_broker_stop();
	tree_delete("/proc/4242");
}

/* Another daemon's: a stream, which connect() refuses for its kind. */
static void socket_is_foreign(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	socket_gone();
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/run/iommu-broker/socket", tree_root);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
}

static void socket_name_is_long(void)
{
	view.socket = "/run/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/"
		      "0123456789/0123456789/0123456789/0123456789";
}

/* Nobody but root is kept out by the mode of a socket: the case is for others. */
static void socket_is_closed(void)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/run/iommu-broker/socket", tree_root);
	ck_assert_int_eq(chmod(path, 0), 0);
	if (geteuid() == 0) {
		snprintf(path, sizeof(path), "%s", tree_root);
		ck_assert_int_eq(chmod(path, 0755), 0);
		ck_assert_int_eq(seteuid(65534), 0);
	}
}

static void broker_denies(void)
{
	tree_broker_start(BROKER_DENIES);
}

static void broker_full(void)
{
	tree_broker_start(BROKER_IS_FULL);
}

static void broker_fails(void)
{
	tree_broker_start(BROKER_FAILS);
}

static void broker_silent(void)
{
	tree_broker_start(BROKER_IS_SILENT);
	view.patience_ms = 200;
}

static void broker_older(void)
{
	tree_broker_start(BROKER_IS_OLDER);
}

static void broker_other_protocol(void)
{
	tree_broker_start(BROKER_WANTS_OTHER_PROTOCOL);
}

static void broker_simulates(void)
{
	tree_broker_start(BROKER_SIMULATES);
}

static void masked(void)
{
	tree_link("/etc/systemd/system/iommu-broker.service", "/dev/null");
}

static void failed(void)
{
	tree_program(
		"/usr/bin/systemctl",
		"#!/bin/sh\nfor u; do :; done\n"
		"[ $u != iommu-broker.service ] || echo ActiveState=failed\necho Result=exit-code\n");
}

static void not_enabled(void)
{
	tree_delete("/etc/systemd/system/sockets.target.wants");
}

static void no_units(void)
{
	tree_delete("/usr/lib/systemd");
}

static void no_resource_capability(void)
{
	tree_put("/proc/4242/status", "Name:\tiommu-brokerd\nCapEff:\t00000000000400e0\n");
}

/* Started by a hand, though systemd has units: its control group is not the service's. */
static void started_by_hand(void)
{
	tree_put("/proc/4242/cgroup", "0::/user.slice/user-0.slice/session-1.scope\n");
	no_resource_capability();
}

/* systemd runs, but has no unit of the broker's. */
static void limited_without_units(void)
{
	no_units();
	no_resource_capability();
}

static void no_rules_by_hand(void)
{
	started_by_hand();
	no_rules();
}

static void few_tasks(void)
{
	tree_put(SERVICE "/pids.max", "512\n");
}

static void bounded_memory(void)
{
	tree_put(SERVICE "/memory.max", "1073741824\n");
}

static void few_descriptors(void)
{
	tree_put("/proc/4242/limits", "Max locked memory         unlimited  unlimited  bytes\n"
				      "Max open files            1024       1024       files\n");
}

static void few_descriptors_by_hand(void)
{
	started_by_hand();
	few_descriptors();
}

/* ---- the table ---- */

static const struct {
	enum doctor_id id;
	enum doctor_severity severity;
	void (*change)(void);
	const char *object;
	const char *words; /* in what is so */
	const char *mend;  /* in one of the lines that mend it, or NULL: there are none */
} cases[] = {
	{ DOCTOR_IS_KERNEL_TOO_OLD, DOCTOR_ERROR, old_kernel, "5.10.0-28", "too old", "6.1 or" },
	{ DOCTOR_IS_KERNEL_TOO_OLD_FOR_IOMMUFD, DOCTOR_NOTE, kernel_6_1, "6.1.0", "6.6", "6.6" },
	{ DOCTOR_IS_KERNEL_TOO_OLD_FOR_IOMMUFD, DOCTOR_ERROR, kernel_6_1_for_iommufd, "6.1.0",
	  "6.6", "backend = auto" },
	{ DOCTOR_IS_KERNEL_TOO_OLD_FOR_MAP_FILE, DOCTOR_NOTE, kernel_6_12, "6.12.9", "6.19", NULL },
	{ DOCTOR_IS_KERNEL_WITHOUT_CDEV, DOCTOR_NOTE, without_cdevs, "/dev/iommu", "no character",
	  "CONFIG_VFIO_DEVICE_CDEV" },
	{ DOCTOR_IS_KERNEL_WITHOUT_CDEV, DOCTOR_ERROR, without_cdevs_and_type1, "/dev/iommu",
	  "no character", "CONFIG_VFIO_DEVICE_CDEV" },
	{ DOCTOR_IS_KERNEL_LOCKDOWN, DOCTOR_NOTE, lockdown, "lockdown", "integrity", NULL },
	{ DOCTOR_IS_KERNEL_FOR_TESTING, DOCTOR_ERROR, mock_bus, "6.20.1", "IOMMUFD_TEST", "boot" },
	{ DOCTOR_IS_KERNEL_FOR_TESTING, DOCTOR_ERROR, test_option, "6.20.1", "IOMMUFD_TEST",
	  "boot" },
	{ DOCTOR_IS_KERNEL_FOR_TESTING, DOCTOR_WARNING, test_kernel_allowed, "6.20.1", "pass",
	  "boot" },
	{ DOCTOR_IS_IOMMU_NONE, DOCTOR_ERROR, no_acpi, "/sys/class/iommu", "no IOMMU",
	  "device tree" },
	{ DOCTOR_IS_IOMMU_OFF_IN_FIRMWARE, DOCTOR_ERROR, no_table, "acpi/tables", "no DMAR",
	  "firmware setup" },
	{ DOCTOR_IS_IOMMU_OFF_ON_KERNEL_LINE, DOCTOR_ERROR, iommu_off, "/proc/cmdline",
	  "\"intel_iommu=off\"", "intel_iommu=on" },
	{ DOCTOR_IS_IOMMU_OFF_ON_KERNEL_LINE, DOCTOR_ERROR, amd_off, "/proc/cmdline", "IVRS",
	  "amd_iommu=off" },
	{ DOCTOR_IS_IOMMU_NOT_ASKED_FOR, DOCTOR_ERROR, not_asked_for, "/proc/cmdline",
	  "intel_iommu=on", "intel_iommu=on" },
	{ DOCTOR_IS_IOMMU_NOT_BUILT, DOCTOR_ERROR, not_built, "CONFIG_INTEL_IOMMU", "without",
	  "CONFIG_INTEL_IOMMU=y" },
	{ DOCTOR_IS_IOMMU_OF_XEN, DOCTOR_ERROR, on_xen, "/sys/hypervisor/type", "Xen",
	  "without Xen" },
	{ DOCTOR_IS_IOMMU_NOT_STARTED, DOCTOR_ERROR, not_started, "DMAR", "did not start",
	  "dmesg" },
	{ DOCTOR_IS_IOMMU_NOT_STARTED, DOCTOR_ERROR, only_the_mock_iommu, "DMAR", "did not start",
	  "dmesg" },
	{ DOCTOR_IS_IOMMU_SERVES_NOTHING, DOCTOR_ERROR, no_groups, "iommu_groups", "dmar0",
	  "dmesg" },
	{ DOCTOR_IS_MODULE_NOT_LOADED, DOCTOR_ERROR, vfio_pci_not_loaded, "vfio_pci",
	  "installed but not loaded", "modprobe vfio_pci" },
	{ DOCTOR_IS_MODULE_NOT_BUILT, DOCTOR_ERROR, vfio_pci_not_built, "vfio_pci", "6.20.1-test",
	  "CONFIG_VFIO_PCI" },
	{ DOCTOR_IS_MODULE_NOT_BUILT, DOCTOR_ERROR, built_without_vfio, "vfio_pci", "6.20.1-test",
	  "CONFIG_VFIO_PCI" },
	{ DOCTOR_IS_MODULE_NOT_BUILT, DOCTOR_ERROR, kernel_without_modules, "vfio_pci",
	  "6.20.1-test", "CONFIG_VFIO_PCI" },
	{ DOCTOR_IS_MODULE_NOT_BUILT, DOCTOR_ERROR, built_without_vfio_says_the_kernel, "vfio_pci",
	  "6.20.1-test", "CONFIG_VFIO_PCI" },
	{ DOCTOR_IS_MODULE_NOT_INSTALLED, DOCTOR_ERROR, vfio_pci_not_installed, "vfio_pci",
	  "not among", "linux-modules-extra-6.20.1-test" },
	{ DOCTOR_IS_MODULE_BLOCKED, DOCTOR_ERROR, vfio_pci_blocked, "vfio_pci", "hardening.conf",
	  "remove \"install vfio-pci /bin/false\"" },
	{ DOCTOR_IS_MODULE_FILES_MISSING, DOCTOR_ERROR, module_files_gone, "vfio_pci",
	  "/lib/modules/6.20.1-test", "reboot" },
	{ DOCTOR_IS_MODULE_NOT_LOADED, DOCTOR_ERROR, no_backend, "vfio_iommu_type1", "not loaded",
	  "modprobe vfio_iommu_type1" },
	{ DOCTOR_IS_MODULE_NOT_LOADED, DOCTOR_ERROR, type1_wanted, "vfio_iommu_type1", "not loaded",
	  "modules-load.d" },
	{ DOCTOR_IS_NODE_MISSING, DOCTOR_ERROR, no_iommufd_node, "/dev/iommu", "no /dev/iommu",
	  "devtmpfs" },
	{ DOCTOR_IS_NODE_MISSING, DOCTOR_ERROR, no_container_node, "/dev/vfio/vfio",
	  "no /dev/vfio/vfio", "devtmpfs" },
	{ DOCTOR_IS_UNSAFE_INTERRUPTS_ALLOWED, DOCTOR_ERROR, unsafe_interrupts, "vfio_iommu_type1",
	  "forge", "echo N > /sys/module/vfio_iommu_type1" },
	{ DOCTOR_IS_UNSAFE_INTERRUPTS_ALLOWED, DOCTOR_ERROR, unsafe_interrupts_iommufd, "iommufd",
	  "forge", "echo N > /sys/module/iommufd" },
	{ DOCTOR_IS_UNSAFE_INTERRUPTS_ALLOWED, DOCTOR_WARNING, unsafe_interrupts_accepted,
	  "vfio_iommu_type1", "accepts", "modprobe.d" },
	{ DOCTOR_IS_INTERRUPT_REMAPPING_OFF, DOCTOR_ERROR, no_remapping, "/proc/interrupts",
	  "does not remap", "intremap=on" },
	{ DOCTOR_IS_ACS_OVERRIDDEN, DOCTOR_WARNING, acs_overridden, "/proc/cmdline",
	  "pcie_acs_override=downstream", "pcie_acs_override=downstream" },
	{ DOCTOR_IS_NOIOMMU_MODE, DOCTOR_WARNING, noiommu_mode, "enable_unsafe_noiommu_mode",
	  "no IOMMU", "echo N" },
	{ DOCTOR_IS_DEVICE_NOIOMMU, DOCTOR_WARNING, noiommu_device, "0000:00:0a.0", "without",
	  "driver/unbind" },
	{ DOCTOR_IS_DEVICE_NOIOMMU, DOCTOR_WARNING, noiommu_cdev, "0000:00:0a.0", "without",
	  "driver/unbind" },
	{ DOCTOR_IS_NO_DEVICE_ON_VFIO, DOCTOR_ERROR, none_on_vfio, "vfio-pci", "none of the 4",
	  "iommuctl bind " CARD },
	{ DOCTOR_IS_DEVICE_HAS_VFS, DOCTOR_WARNING, virtual_functions, "0000:00:05.0", "virtual",
	  "echo 0 >" },
	{ DOCTOR_IS_DEVICE_HAS_VFS, DOCTOR_ERROR, virtual_functions_of_the_named, CARD, "virtual",
	  "echo 0 >" },
	{ DOCTOR_IS_POLICY_DEVICE_ABSENT, DOCTOR_ERROR, named_absent, "0000:7f:00.0", "not there",
	  "conf.d/storage.conf line 3" },
	{ DOCTOR_IS_POLICY_DEVICE_BRIDGE, DOCTOR_ERROR, named_bridge, "0000:00:02.0", "bridge",
	  "line 3" },
	{ DOCTOR_IS_POLICY_DEVICE_DRIVER, DOCTOR_ERROR, named_on_host_driver, "0000:00:1f.2",
	  "driver ahci", "iommuctl bind 0000:00:1f.2" },
	{ DOCTOR_IS_POLICY_DEVICE_DRIVER, DOCTOR_ERROR, named_without_driver, "0000:00:0b.0",
	  "has no driver", "[drivers] vfio-pci = 0000:00:0b.0 in " CONF },
	{ DOCTOR_IS_POLICY_DEVICE_WITHOUT_IOMMU, DOCTOR_ERROR, named_without_group, "0000:00:0b.0",
	  "no IOMMU group", "slot" },
	{ DOCTOR_IS_POLICY_PATTERN_UNMATCHED, DOCTOR_WARNING, pattern_unmatched, "10de:2204",
	  "10de:2204", "lspci" },
	{ DOCTOR_IS_GROUP_NOT_VIABLE, DOCTOR_ERROR, sibling_on_host_driver, "0000:00:03.1",
	  "driver e1000e; that keeps " CARD, "iommuctl bind 0000:00:03.1" },
	{ DOCTOR_IS_GROUP_RESERVED, DOCTOR_ERROR, firmware_reserves, CARD, "firmware wants",
	  "iommu_groups/3/reserved_regions" },
	{ DOCTOR_IS_DRIVERS_NOT_MOVED, DOCTOR_WARNING, drivers_not_moved, "0000:00:1f.2",
	  "driver ahci", "iommuctl bind 0000:00:1f.2" },
	{ DOCTOR_IS_DRIVERS_NOT_MOVED, DOCTOR_WARNING, drivers_absent, "10de:2204",
	  "no such device", "iommu-broker.conf line 2" },
	{ DOCTOR_IS_NODE_CLOSED, DOCTOR_ERROR, node_is_closed, "/dev/vfio/devices/vfio0",
	  "itself may not open", "chmod 0600 /dev/vfio/devices/vfio0" },
	{ DOCTOR_IS_SESSION_UIDS_TAKEN, DOCTOR_WARNING, session_uids_taken, CONF, "user alice",
	  "session-uid-base" },
	{ DOCTOR_IS_NODE_NOT_ROOTS, DOCTOR_WARNING, node_of_a_group, "/dev/vfio/5", "mode 0660",
	  "chmod 0600 /dev/vfio/5" },
	{ DOCTOR_IS_NODE_NOT_ROOTS, DOCTOR_WARNING, node_of_a_user, "/dev/vfio/devices/vfio1",
	  "others than root", "chown root:root" },
	{ DOCTOR_IS_DEVICE_NODE_MISSING, DOCTOR_ERROR, no_nodes, CARD, "neither /dev/vfio/3",
	  "devtmpfs" },
	{ DOCTOR_IS_DEVICE_HELD, DOCTOR_ERROR, held_group, CARD, "process 999 (qemu-system-x86)",
	  "end process 999" },
	{ DOCTOR_IS_DEVICE_HELD, DOCTOR_WARNING, held_cdev, "0000:00:05.0", "process 999 (dpdk)",
	  "end process 999" },
	{ DOCTOR_IS_CONFIG_MISSING, DOCTOR_ERROR, no_config, CONF, "no configuration", "root" },
	{ DOCTOR_IS_CONFIG_UNREADABLE, DOCTOR_ERROR, config_is_a_directory, CONF, "irectory",
	  "ls -l" },
	{ DOCTOR_IS_CONFIG_WRONG, DOCTOR_ERROR, wrong_config, CONF, "conf:3: unknown key \"usr\"",
	  "--check-config=" CONF },
	{ DOCTOR_IS_CONFIG_UNCHECKED, DOCTOR_NOTE, old_brokerd, CONF, "could not be asked", NULL },
	{ DOCTOR_IS_POLICY_EMPTY, DOCTOR_ERROR, no_rules, CONF, "no [allow]", "[allow NAME]" },
	{ DOCTOR_IS_POLICY_WITHOUT_DEVICES, DOCTOR_WARNING, no_devices_given, CONF, "device",
	  "device = " },
	{ DOCTOR_IS_POLICY_WITHOUT_DOMAINS, DOCTOR_WARNING, no_domains_given, CONF, "domain",
	  "domains = yes" },
	{ DOCTOR_IS_BROKERD_MISSING, DOCTOR_ERROR, no_brokerd, "iommu-brokerd", "not to be found",
	  "make install" },
	{ DOCTOR_IS_BROKERD_MISSING, DOCTOR_NOTE, no_brokerd_but_running, "iommu-brokerd",
	  "though it runs", "make install" },
	{ DOCTOR_IS_HELPER_MISSING, DOCTOR_ERROR, no_helper, "iommu-broker-session", "libexec",
	  "make install" },
	{ DOCTOR_IS_DAEMON_NOT_RUNNING, DOCTOR_ERROR, daemon_gone, "iommu-brokerd", "no process",
	  "systemctl enable --now" },
	{ DOCTOR_IS_SOCKET_MISSING, DOCTOR_ERROR, daemon_gone, "/run/iommu-broker/socket",
	  "no socket", "systemctl enable --now" },
	{ DOCTOR_IS_SOCKET_MISSING, DOCTOR_ERROR, socket_gone, "/run/iommu-broker/socket",
	  "process 4242", "--socket" },
	{ DOCTOR_IS_SOCKET_STALE, DOCTOR_ERROR, killed, "/run/iommu-broker/socket",
	  "nobody listens", "systemctl enable --now" },
	{ DOCTOR_IS_SOCKET_WRONG, DOCTOR_ERROR, socket_is_foreign, "/run/iommu-broker/socket",
	  "cannot be reached", "ls -l" },
	{ DOCTOR_IS_SOCKET_WRONG, DOCTOR_ERROR, socket_name_is_long, "/run/0123456789",
	  "cannot be reached", "ls -l" },
	{ DOCTOR_IS_SOCKET_DENIED, DOCTOR_ERROR, socket_is_closed, "/run/iommu-broker/socket",
	  "may not open", "chmod 0666" },
	{ DOCTOR_IS_DAEMON_REFUSES, DOCTOR_ERROR, broker_denies, "root", "names uid 1000",
	  "user = root" },
	{ DOCTOR_IS_DAEMON_FULL, DOCTOR_ERROR, broker_full, "socket", "IOB_E_LIMIT",
	  "max-sessions" },
	{ DOCTOR_IS_DAEMON_FAILS, DOCTOR_ERROR, broker_fails, "socket", "IOB_E_INTERNAL",
	  "journalctl" },
	{ DOCTOR_IS_DAEMON_SILENT, DOCTOR_ERROR, broker_silent, "socket", "did not answer",
	  "/proc/4242/stack" },
	{ DOCTOR_IS_DAEMON_VERSION, DOCTOR_WARNING, broker_older, "iommu-brokerd", "0.0.1",
	  "systemctl restart" },
	{ DOCTOR_IS_DAEMON_VERSION, DOCTOR_ERROR, broker_other_protocol, "socket", "IOB_E_VERSION",
	  "systemctl restart" },
	{ DOCTOR_IS_DAEMON_SIMULATES, DOCTOR_NOTE, broker_simulates, "backend", "simulates",
	  "backend = auto" },
	{ DOCTOR_IS_SYSTEMD_MASKED, DOCTOR_ERROR, masked, "iommu-broker.service", "masked",
	  "systemctl unmask iommu-broker.service" },
	{ DOCTOR_IS_SYSTEMD_FAILED, DOCTOR_ERROR, failed, "iommu-broker.service", "exit-code",
	  "reset-failed" },
	{ DOCTOR_IS_SYSTEMD_NOT_ENABLED, DOCTOR_WARNING, not_enabled, "iommu-broker.socket",
	  "not enabled", "systemctl enable --now iommu-broker.socket" },
	{ DOCTOR_IS_SYSTEMD_UNITS_MISSING, DOCTOR_NOTE, no_units, "iommu-broker.socket", "no unit",
	  "daemon-reload" },
	{ DOCTOR_IS_MEMLOCK_LIMITED, DOCTOR_WARNING, no_resource_capability, "iommu-brokerd",
	  "64 KiB", "LimitMEMLOCK=infinity" },
	{ DOCTOR_IS_MEMLOCK_LIMITED, DOCTOR_WARNING, started_by_hand, "iommu-brokerd", "64 KiB",
	  "ulimit -l unlimited" },
	{ DOCTOR_IS_MEMLOCK_LIMITED, DOCTOR_WARNING, limited_without_units, "iommu-brokerd",
	  "64 KiB", "end iommu-brokerd (process 4242)" },
	{ DOCTOR_IS_SERVICE_DESCRIPTORS, DOCTOR_WARNING, few_descriptors_by_hand, "iommu-brokerd",
	  "1024", "ulimit -n 4096" },
	{ DOCTOR_IS_POLICY_EMPTY, DOCTOR_ERROR, no_rules_by_hand, CONF, "no [allow]",
	  "kill -HUP 4242" },
	{ DOCTOR_IS_SERVICE_TASKS, DOCTOR_WARNING, few_tasks, "pids.max", "512 processes",
	  "TasksMax=2112" },
	{ DOCTOR_IS_SERVICE_MEMORY, DOCTOR_NOTE, bounded_memory, "memory.max", "1024 MiB", NULL },
	{ DOCTOR_IS_SERVICE_DESCRIPTORS, DOCTOR_WARNING, few_descriptors, "iommu-brokerd", "1024",
	  "LimitNOFILE=4096" },
};

#define CASES (int)(sizeof(cases) / sizeof(cases[0]))

/* What the healthy machine has to say. */
static const enum doctor_id healthy[] = {
	DOCTOR_IS_KERNEL,     DOCTOR_IS_IOMMU,	  DOCTOR_IS_MODULE,  DOCTOR_IS_BACKENDS,
	DOCTOR_IS_INTERRUPTS, DOCTOR_IS_DEVICES,  DOCTOR_IS_GROUPS,  DOCTOR_IS_CONFIG,
	DOCTOR_IS_POLICY,     DOCTOR_IS_PROGRAMS, DOCTOR_IS_SYSTEMD, DOCTOR_IS_DAEMON,
	DOCTOR_IS_MEMLOCK,
};

#define HEALTHY (sizeof(healthy) / sizeof(healthy[0]))

/* ---- tests ---- */

START_TEST(healthy_machine)
{
	doctor_run(&view);
	for (size_t i = 0; i < view.finding_count; i++)
		ck_assert_msg(view.findings[i].severity == DOCTOR_OK, "%s: %s",
			      doctor_id_name(view.findings[i].id), view.findings[i].text);
	for (size_t i = 0; i < HEALTHY; i++)
		ck_assert_msg(tree_find(healthy[i], NULL) != NULL, "%s is not said",
			      doctor_id_name(healthy[i]));
	ck_assert_uint_eq(view.unseen_count, 0);
}
END_TEST

START_TEST(finding_made_true)
{
	const struct doctor_finding *f;
	const char *name = doctor_id_name(cases[_i].id);

	cases[_i].change();
	doctor_run(&view);
	if (geteuid() == 65534)
		ck_assert_int_eq(seteuid(0), 0);
	f = tree_find(cases[_i].id, cases[_i].object);
	ck_assert_msg(f != NULL, "%s (%s) is not found", name, cases[_i].object);
	ck_assert_msg(f->severity == cases[_i].severity, "%s: %s", name,
		      doctor_severity_name(f->severity));
	ck_assert_msg(strstr(f->text, cases[_i].words) != NULL, "%s: %s", name, f->text);
	ck_assert_msg(f->why != NULL, "%s does not say why it matters", name);
	if (cases[_i].mend)
		ck_assert_msg(tree_mends(f, cases[_i].mend), "%s: %s", name,
			      f->mend_count ? f->mend[0] : "nothing mends it");
	else
		ck_assert_uint_eq(f->mend_count, 0);
}
END_TEST

/* A name is in the table, or the healthy machine says it. */
START_TEST(every_name_has_a_case)
{
	bool seen[DOCTOR_ID_COUNT] = { false };

	for (int i = 0; i < CASES; i++)
		seen[cases[i].id] = true;
	for (size_t i = 0; i < HEALTHY; i++)
		seen[healthy[i]] = true;
	for (int i = 0; i < DOCTOR_ID_COUNT; i++)
		ck_assert_msg(seen[i], "%s is never made true", doctor_id_name((enum doctor_id)i));
}
END_TEST

/* Each sibling on a driver of the host is blamed, those of other groups are not. */
START_TEST(every_sibling_is_blamed)
{
	tree_device("0000:00:03.1", "0x020000\n", "e1000e", 3);
	tree_device("0000:00:03.2", "0x020000\n", "igb", 3);
	tree_device("0000:00:03.3", "0x020000\n", NULL, 3);
	tree_device("0000:00:03.4", "0x020000\n", "pci-stub", 3);
	tree_device("0000:00:03.5", "0x020000\n", "mlx5_vfio_pci", 3);
	tree_cdev("0000:00:03.5", "vfio7");
	doctor_run(&view);
	ck_assert_uint_eq(tree_count(DOCTOR_IS_GROUP_NOT_VIABLE), 2);
	ck_assert_ptr_nonnull(tree_find(DOCTOR_IS_GROUP_NOT_VIABLE, "0000:00:03.1"));
	ck_assert_ptr_nonnull(tree_find(DOCTOR_IS_GROUP_NOT_VIABLE, "0000:00:03.2"));
	ck_assert_ptr_null(tree_find(DOCTOR_IS_GROUPS, NULL));
}
END_TEST

/* iommu=pt, and words that merely contain one that turns the IOMMU off. */
START_TEST(harmless_kernel_line)
{
	not_started();
	tree_put("/proc/cmdline", "intel_iommu=on iommu=pt xiommu=off amd_iommu=offline\n");
	doctor_run(&view);
	ck_assert_ptr_null(tree_find(DOCTOR_IS_IOMMU_OFF_ON_KERNEL_LINE, NULL));
	ck_assert_ptr_nonnull(tree_find(DOCTOR_IS_IOMMU_NOT_STARTED, NULL));
}
END_TEST

/* Where only the simulator is configured, hardware keeps nothing from working. */
START_TEST(simulator_needs_no_hardware)
{
	no_table();
	none_on_vfio();
	tree_put(CONF, "[daemon]\nbackend = sim\n" RULE);
	doctor_run(&view);
	ck_assert_uint_eq(doctor_count(&view, DOCTOR_ERROR), 0);
	ck_assert_int_eq(tree_find(DOCTOR_IS_IOMMU_OFF_IN_FIRMWARE, NULL)->severity, DOCTOR_NOTE);
}
END_TEST

/* A simulator that answers was started to try things out, whatever the configuration says. */
START_TEST(simulator_that_answers)
{
	broker_simulates();
	no_table();
	none_on_vfio();
	no_config();
	doctor_run(&view);
	ck_assert_uint_eq(doctor_count(&view, DOCTOR_ERROR), 0);
	ck_assert_int_eq(tree_find(DOCTOR_IS_IOMMU_OFF_IN_FIRMWARE, NULL)->severity, DOCTOR_NOTE);
	ck_assert_int_eq(tree_find(DOCTOR_IS_CONFIG_MISSING, NULL)->severity, DOCTOR_NOTE);
}
END_TEST

/* Another configuration, with the folder beside it; the usual one is not looked at. */
START_TEST(configuration_that_was_named)
{
	no_config();
	tree_put("/srv/broker.conf", "[daemon]\nbackend = type1\n[allow b]\nuser = bob\n");
	tree_put("/srv/conf.d/1.conf", "[allow c]\nuser = bob\ndevice = 0000:7e:00.0\n");
	tree_put("/srv/other.d/1.conf", "[allow d]\nuser = bob\ndevice = 0000:7d:00.0\n");
	view.config = "/srv/broker.conf";
	view.config_asked = true;
	doctor_run(&view);
	ck_assert_ptr_null(tree_find(DOCTOR_IS_CONFIG_MISSING, NULL));
	ck_assert_ptr_nonnull(tree_find(DOCTOR_IS_CONFIG, "/srv/broker.conf"));
	ck_assert_str_eq(view.policy.backend, "type1");
	ck_assert_ptr_nonnull(tree_find(DOCTOR_IS_POLICY_DEVICE_ABSENT, "0000:7e:00.0"));
	ck_assert_ptr_null(tree_find(DOCTOR_IS_POLICY_DEVICE_ABSENT, "0000:7d:00.0"));
}
END_TEST

/* The command looks where packages and "make install" put it. */
START_TEST(program_below_the_directory)
{
	static const char *const places[] = { "/usr/sbin", "/usr/local/sbin" };
	const char *build = getenv("IOB_BUILD");
	char command[512], text[16];
	FILE *pipe;

	for (int i = 0; i < 3; i++) {
		char program[64];

		tree_delete("/usr");
		snprintf(program, sizeof(program), "%s/iommu-brokerd", places[i % 2]);
		if (i < 2)
			tree_program(program, "#!/bin/sh\ntouch $0.was-run\n");
		snprintf(command, sizeof(command),
			 "%s/bin/iommuctl doctor --root %s | grep -c brokerd-missing; "
			 "ls %s/usr/*bin %s/usr/local/*bin 2>/dev/null | grep was-run",
			 build ? build : "build", tree_root, tree_root, tree_root);
		tree_put("/usr/x", "");
		pipe = popen(command, "r");
		ck_assert_ptr_nonnull(pipe);
		text[fread(text, 1, sizeof(text) - 1, pipe)] = '\0';
		pclose(pipe);
		ck_assert_str_eq(text, i < 2 ? "0\n" : "1\n");
	}
}
END_TEST

/* What was asked about is an error, though a simulator answers. */
START_TEST(named_configuration_matters)
{
	broker_simulates();
	view.config = "/srv/broker.conf";
	view.config_asked = true;
	doctor_run(&view);
	ck_assert_int_eq(tree_find(DOCTOR_IS_CONFIG_MISSING, NULL)->severity, DOCTOR_ERROR);
}
END_TEST

/* A program of another machine is seen, and not run. */
START_TEST(foreign_programs_are_not_run)
{
	wrong_config();
	view.brokerd_foreign = true;
	doctor_run(&view);
	ck_assert_ptr_null(tree_find(DOCTOR_IS_CONFIG_WRONG, NULL));
	ck_assert_ptr_null(tree_find(DOCTOR_IS_BROKERD_MISSING, NULL));
	ck_assert_ptr_nonnull(tree_find(DOCTOR_IS_PROGRAMS, NULL));
	ck_assert_ptr_nonnull(strstr(tree_find(DOCTOR_IS_CONFIG_UNCHECKED, NULL)->text, "not run"));
}
END_TEST

/* Names of files, and what other programs print, reach a terminal. */
START_TEST(no_control_characters)
{
	tree_put(DROPIN, "[allow x]\nuser = bob\ndevice = \033[2Jx\n");
	doctor_run(&view);
	ck_assert_ptr_nonnull(tree_find(DOCTOR_IS_POLICY_PATTERN_UNMATCHED, "?[2Jx"));
	for (size_t i = 0; i < view.finding_count; i++)
		ck_assert_ptr_null(strchr(view.findings[i].text, '\033'));
}
END_TEST

/* Whoever is not root is told what was not looked at, and gets no false alarm. */
START_TEST(what_only_root_sees)
{
	char path[512];

	if (geteuid() != 0)
		return;
	view.uid = 65534;
	ck_assert_int_eq(chmod(tree_root, 0755), 0);
	snprintf(path, sizeof(path), "%s/proc/77/fd", tree_root);
	ck_assert_int_eq(chmod(path, 0), 0);
	snprintf(path, sizeof(path), "%s/run/iommu-broker/socket", tree_root);
	ck_assert_int_eq(chmod(path, 0666), 0);
	ck_assert_int_eq(seteuid(65534), 0);
	doctor_run(&view);
	ck_assert_int_eq(seteuid(0), 0);
	ck_assert_ptr_null(tree_find(DOCTOR_IS_CONFIG_UNREADABLE, NULL));
	ck_assert_ptr_null(tree_find(DOCTOR_IS_POLICY_EMPTY, NULL));
	ck_assert_uint_ge(view.unseen_count, 2);
}
END_TEST

/* An empty directory for a machine: everything is missing, and nothing crashes. */
START_TEST(empty_tree)
{
	char empty[] = "/tmp/test-doctor-empty-XXXXXX";

	ck_assert_ptr_nonnull(mkdtemp(empty));
	doctor_deinit(&view);
	doctor_init(&view, empty);
	doctor_run(&view);
	ck_assert_int_eq(rmdir(empty), 0);
	ck_assert_uint_gt(doctor_count(&view, DOCTOR_ERROR), 3);
	ck_assert_ptr_nonnull(tree_find(DOCTOR_IS_IOMMU_NONE, NULL));
	ck_assert_ptr_nonnull(tree_find(DOCTOR_IS_SOCKET_MISSING, NULL));
}
END_TEST

Suite *test_doctor_suite(void)
{
	Suite *suite = suite_create("doctor");
	TCase *tc = tcase_create("tree");

	tcase_add_checked_fixture(tc, tree_set_up, tree_tear_down);
	tcase_add_test(tc, healthy_machine);
	tcase_add_loop_test(tc, finding_made_true, 0, CASES);
	tcase_add_test(tc, every_name_has_a_case);
	tcase_add_test(tc, every_sibling_is_blamed);
	tcase_add_test(tc, harmless_kernel_line);
	tcase_add_test(tc, simulator_needs_no_hardware);
	tcase_add_test(tc, simulator_that_answers);
	tcase_add_test(tc, configuration_that_was_named);
	tcase_add_test(tc, named_configuration_matters);
	tcase_add_test(tc, foreign_programs_are_not_run);
	tcase_add_test(tc, program_below_the_directory);
	tcase_add_test(tc, no_control_characters);
	tcase_add_test(tc, what_only_root_sees);
	tcase_add_test(tc, empty_tree);
	suite_add_tcase(suite, tc);
	return suite;
}
