/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* nftw() */

#include "doctor_tree.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define RELEASE "6.20.1-test"
#define MODULES "/lib/modules/" RELEASE

char tree_root[64];
static pid_t broker_pid;

/* ---- files ---- */

static void whole(char path[512], const char *name)
{
	ck_assert_int_lt(snprintf(path, 512, "%s%s", tree_root, name), 512);
}

static void make_parents(char *path)
{
	for (char *p = path + strlen(tree_root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		ck_assert(mkdir(path, 0755) == 0 || errno == EEXIST);
		*p = '/';
	}
}

void tree_put(const char *name, const char *text)
{
	char path[512];
	FILE *file;

	whole(path, name);
	make_parents(path);
	file = fopen(path, "w");
	ck_assert_msg(file != NULL, "%s: %s", path, strerror(errno));
	fputs(text, file);
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_int_eq(chmod(path, 0600), 0);
}

void tree_link(const char *name, const char *target)
{
	char path[512];

	whole(path, name);
	make_parents(path);
	unlink(path);
	ck_assert_int_eq(symlink(target, path), 0);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

void tree_delete(const char *name)
{
	char path[512];

	whole(path, name);
	ck_assert_msg(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0, "%s: %s", path,
		      strerror(errno));
}

void tree_program(const char *name, const char *script)
{
	char path[512];

	tree_put(name, script);
	whole(path, name);
	ck_assert_int_eq(chmod(path, 0755), 0);
}

/* ---- devices ---- */

static void device_file(const char *bdf, const char *attribute, const char *text)
{
	char name[256];

	snprintf(name, sizeof(name), "/sys/devices/pci0000:00/%s/%s", bdf, attribute);
	tree_put(name, text);
}

void tree_device(const char *bdf, const char *class_code, const char *driver, int group)
{
	char name[256], target[256];

	device_file(bdf, "vendor", "0x1234\n");
	device_file(bdf, "device", "0x11e8\n");
	device_file(bdf, "class", class_code);
	snprintf(target, sizeof(target), "../../../devices/pci0000:00/%s", bdf);
	snprintf(name, sizeof(name), "/sys/bus/pci/devices/%s", bdf);
	tree_link(name, target);
	snprintf(name, sizeof(name), "/sys/devices/pci0000:00/%s/driver", bdf);
	snprintf(target, sizeof(target), "../../../bus/pci/drivers/%s", driver ? driver : "");
	if (driver)
		tree_link(name, target);
	if (group < 0)
		return;
	snprintf(name, sizeof(name), "/sys/devices/pci0000:00/%s/iommu_group", bdf);
	snprintf(target, sizeof(target), "../../../kernel/iommu_groups/%d", group);
	tree_link(name, target);
	snprintf(name, sizeof(name), "/sys/kernel/iommu_groups/%d/devices/%s", group, bdf);
	snprintf(target, sizeof(target), "../../../../devices/pci0000:00/%s", bdf);
	tree_link(name, target);
}

void tree_cdev(const char *bdf, const char *cdev)
{
	char name[64];

	snprintf(name, sizeof(name), "vfio-dev/%s/dev", cdev);
	device_file(bdf, name, "511:0\n");
}

/* ---- the healthy machine ---- */

static void make_kernel(void)
{
	tree_put("/proc/sys/kernel/osrelease", RELEASE "\n");
	tree_put("/proc/cmdline", "root=/dev/sda1 intel_iommu=on iommu=pt quiet\n");
	tree_put("/proc/modules", "vfio_pci 16384 0 - Live 0x0\nvfio 65536 1 vfio_pci, Live 0x0\n");
	tree_put("/proc/devices", "Character devices:\n  1 mem\n511 vfio-dev\n\nBlock devices:\n");
	tree_put("/proc/interrupts", "  0:  9  IR-IO-APIC    2-edge  timer\n"
				     " 24:  1  IR-PCI-MSIX-0000:00:03.0  0-edge  nvme0q0\n");
	tree_put(MODULES "/modules.dep", "kernel/drivers/vfio/pci/vfio-pci.ko.xz: "
					 "kernel/drivers/vfio/vfio.ko.xz\n"
					 "kernel/drivers/vfio/vfio.ko.xz:\n"
					 "kernel/drivers/vfio/vfio_iommu_type1.ko.xz:\n");
	tree_put(MODULES "/modules.builtin", "kernel/drivers/iommu/iommufd/iommufd.ko\n");
	tree_put("/sys/kernel/security/lockdown", "[none] integrity confidentiality\n");
	tree_put("/sys/firmware/acpi/tables/DMAR", "");
	tree_put("/sys/class/iommu/dmar0/x", "");
	tree_put("/sys/class/vfio/x", "");
	tree_put("/sys/class/misc/iommu/dev", "10:1\n");
	tree_put("/sys/bus/pci/drivers/vfio-pci/bind", "");
	tree_put("/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "N\n");
	tree_put("/sys/module/iommufd/parameters/allow_unsafe_interrupts", "N\n");
	tree_put("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "N\n");
	tree_put("/boot/config-" RELEASE,
		 "CONFIG_IOMMUFD=y\n# CONFIG_IOMMUFD_TEST is not set\n"
		 "CONFIG_INTEL_IOMMU=y\n# CONFIG_INTEL_IOMMU_DEFAULT_ON is not set\n"
		 "CONFIG_AMD_IOMMU=y\nCONFIG_VFIO_DEVICE_CDEV=y\n"
		 "CONFIG_VFIO=m\nCONFIG_VFIO_IOMMU_TYPE1=m\nCONFIG_VFIO_PCI=m\n");
}

static void make_devices(void)
{
	tree_put("/dev/iommu", "");
	tree_put("/dev/vfio/vfio", "");
	tree_put("/dev/vfio/3", "");
	tree_put("/dev/vfio/5", "");
	tree_put("/dev/vfio/devices/vfio0", "");
	tree_put("/dev/vfio/devices/vfio1", "");
	tree_device("0000:00:02.0", "0x060400\n", "pcieport", 5);
	tree_device("0000:00:03.0", "0x00ff00\n", "vfio-pci", 3);
	tree_cdev("0000:00:03.0", "vfio0");
	tree_device("0000:00:05.0", "0x010802\n", "vfio-pci", 5);
	tree_cdev("0000:00:05.0", "vfio1");
	tree_device("0000:00:1f.2", "0x010601\n", "ahci", 9);
}

static void make_service(void)
{
	tree_put("/etc/iommu-broker/iommu-broker.conf",
		 "[allow the card]\nuser = alice\ndevice = 0000:00:03.0\ndomains = yes\n");
	tree_put("/etc/iommu-broker/conf.d/storage.conf",
		 "[allow storage]\nuser = bob\ndevice = class:0108 ; all of them\n");
	tree_program("/usr/sbin/iommu-brokerd", "#!/bin/sh\nexit 0\n");
	tree_program("/usr/libexec/iommu-broker/iommu-broker-session", "#!/bin/sh\n");
	tree_program("/usr/bin/systemctl",
		     "#!/bin/sh\necho ActiveState=active\necho Result=success\n");
	tree_put("/run/systemd/system/.keep", "");
	tree_put("/usr/lib/systemd/system/iommu-broker.socket", "");
	tree_put("/usr/lib/systemd/system/iommu-broker.service", "");
	tree_link("/etc/systemd/system/sockets.target.wants/iommu-broker.socket",
		  "/usr/lib/systemd/system/iommu-broker.socket");
	tree_put("/proc/4242/comm", "iommu-brokerd\n");
	tree_put("/proc/4242/status", "Name:\tiommu-brokerd\nCapEff:\t00000000010400e0\n");
	tree_put("/proc/4242/limits", "Max locked memory         65536      65536      bytes\n"
				      "Max open files            524288     524288     files\n");
	tree_put("/proc/4242/cgroup", "0::/system.slice/iommu-broker.service\n");
	tree_put("/sys/fs/cgroup/system.slice/iommu-broker.service/pids.max", "16384\n");
	tree_put("/sys/fs/cgroup/system.slice/iommu-broker.service/memory.max", "max\n");
	/* The daemon has the device open, as it should. */
	tree_link("/proc/4242/fd/7", "/dev/vfio/3");
	tree_put("/proc/77/comm", "sh\n");
	tree_link("/proc/77/fd/0", "/dev/null");
	tree_put("/run/iommu-broker/.keep", "");
}

void tree_make(void)
{
	snprintf(tree_root, sizeof(tree_root), "/tmp/test-doctor-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(tree_root));
	make_kernel();
	make_devices();
	make_service();
	tree_broker_start(BROKER_SERVES);
}

void tree_remove(void)
{
	tree_broker_stop();
	nftw(tree_root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void tree_view(struct doctor *d)
{
	static char brokerd[512], systemctl[512];

	doctor_init(d, tree_root);
	whole(brokerd, "/usr/sbin/iommu-brokerd");
	whole(systemctl, "/usr/bin/systemctl");
	d->uid = 0;
	d->brokerd = brokerd;
	d->systemctl = systemctl;
}

/* ---- the daemon's stand-in: runs in a child ---- */

static void send_reply(int fd, const struct iob_hdr *request, uint32_t code, const void *body,
		       size_t bytes)
{
	char message[512];
	struct iob_hdr hdr = {
		.size = (uint32_t)(sizeof(hdr) + bytes),
		.op = request->op,
		.flags = IOB_MSG_REPLY,
		.tag = request->tag,
		.code = code,
	};

	memcpy(message, &hdr, sizeof(hdr));
	memcpy(message + sizeof(hdr), body, bytes);
	if (send(fd, message, sizeof(hdr) + bytes, MSG_NOSIGNAL) < 0)
		_exit(1);
}

static void send_refusal(int fd, const struct iob_hdr *request, uint32_t code)
{
	static const char text[] = "no rule of the configuration names uid 1000";
	struct {
		struct iob_error_body error;
		char text[sizeof(text) - 1];
	} body = { .error = { .step = IOB_STEP_POLICY, .text_bytes = sizeof(text) - 1 } };

	memcpy(body.text, text, sizeof(body.text));
	send_reply(fd, request, code, &body, sizeof(body.error) + sizeof(body.text));
}

static uint32_t backend_of(enum tree_broker what)
{
	if (what == BROKER_SIMULATES)
		return IOB_BACKEND_SIM;
	return what == BROKER_USES_TYPE1 ? IOB_BACKEND_TYPE1 : IOB_BACKEND_IOMMUFD;
}

/* Nobody has a device, or somebody has 0000:00:05.0. */
static void send_devices(int fd, enum tree_broker what, const struct iob_hdr *request)
{
	struct {
		struct iob_list_rep list;
		struct iob_device_rec device;
	} body = { .list = { .stride = sizeof(body.device) },
		   .device = { .name = "0000:00:05.0", .flags = IOB_DEVICE_OPENED } };

	body.list.count = what == BROKER_HAS_GIVEN_ONE;
	send_reply(fd, request, IOB_OK, &body,
		   sizeof(body.list) + body.list.count * sizeof(body.device));
}

static void serve_request(int fd, enum tree_broker what, const struct iob_hdr *request)
{
	struct iob_hello_rep hello = { .version = 1,
				       .kind = IOB_KIND_CONNECTION,
				       .backend = backend_of(what),
				       .max_msg_bytes = IOB_MAX_MSG_BYTES,
				       .max_batch = IOB_MAX_BATCH };
	struct iob_status_rep status = {
		.monitor_pid = TREE_MONITOR, .backend = hello.backend, .sessions = 1, .devices = 2
	};

	snprintf(status.version, sizeof(status.version), "%s",
		 what == BROKER_IS_OLDER ? "0.0.1" : IOB_VERSION);
	if (what == BROKER_DENIES)
		send_refusal(fd, request, IOB_E_DENIED);
	else if (what == BROKER_IS_FULL)
		send_refusal(fd, request, IOB_E_LIMIT);
	else if (what == BROKER_WANTS_OTHER_PROTOCOL)
		send_refusal(fd, request, IOB_E_VERSION);
	else if (what == BROKER_FAILS)
		send_refusal(fd, request, IOB_E_INTERNAL);
	else if (request->op == IOB_OP_HELLO)
		send_reply(fd, request, IOB_OK, &hello, sizeof(hello));
	else if (request->op == IOB_OP_DEVICE_LIST)
		send_devices(fd, what, request);
	else
		send_reply(fd, request, IOB_OK, &status, sizeof(status));
}

static void serve(int listen_fd, enum tree_broker what)
{
	for (;;) {
		int fd = accept(listen_fd, NULL, NULL);
		char message[4096];
		struct iob_hdr hdr;

		while (recv(fd, message, sizeof(message), 0) >= (ssize_t)sizeof(hdr)) {
			memcpy(&hdr, message, sizeof(hdr));
			if (what != BROKER_IS_SILENT)
				serve_request(fd, what, &hdr);
		}
		close(fd);
	}
}

void tree_broker_start(enum tree_broker what)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	tree_broker_stop();
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/run/iommu-broker/socket", tree_root);
	unlink(a.sun_path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(listen(fd, 8), 0);
	broker_pid = fork();
	ck_assert_int_ge(broker_pid, 0);
	if (broker_pid == 0)
		serve(fd, what);
	close(fd);
}

void tree_broker_stop(void)
{
	if (broker_pid > 0) {
		kill(broker_pid, SIGKILL);
		waitpid(broker_pid, NULL, 0);
	}
	broker_pid = 0;
}

/* ---- what is seen ---- */

struct doctor view;

void tree_set_up(void)
{
	tree_make();
	tree_view(&view);
}

void tree_tear_down(void)
{
	doctor_deinit(&view);
	tree_remove();
}

const struct doctor_finding *tree_find(enum doctor_id id, const char *object)
{
	for (size_t i = 0; i < view.finding_count; i++) {
		const struct doctor_finding *f = &view.findings[i];

		if (f->id == id && (!object || strstr(f->object, object)))
			return f;
	}
	return NULL;
}

size_t tree_count(enum doctor_id id)
{
	size_t count = 0;

	for (size_t i = 0; i < view.finding_count; i++)
		count += view.findings[i].id == id;
	return count;
}

bool tree_mends(const struct doctor_finding *f, const char *words)
{
	for (size_t i = 0; i < f->mend_count; i++) {
		if (strstr(f->mend[i], words))
			return true;
	}
	return false;
}
