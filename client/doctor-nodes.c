/* SPDX-License-Identifier: MIT */
/* doctor-nodes.c - the nodes of devices on VFIO: are they there, whose are they, who has them open? */
#include "doctor.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * Which of the two the broker uses, or would use, as choose_backend() in daemon/monitor-main.c does:
 * iommufd where it can be had.
 */
static bool uses_iommufd(const struct doctor *d)
{
	doctor_cleanup_free char *numbers = NULL;

	if (d->answer.backend == IOB_BACKEND_IOMMUFD || d->answer.backend == IOB_BACKEND_TYPE1)
		return d->answer.backend == IOB_BACKEND_IOMMUFD;
	if (strcmp(d->policy.backend, "auto") != 0)
		return strcmp(d->policy.backend, "iommufd") == 0;
	numbers = doctor_file(d, "/proc/devices");
	return doctor_exists(d, "/dev/iommu") &&
	       (doctor_exists(d, "/dev/vfio/devices") ||
		(numbers && strstr(numbers, " vfio-dev\n") != NULL));
}

/* Which device does an open node belong to? NULL: to none. */
static const struct doctor_device *device_of(const struct doctor *d, const char *node)
{
	for (size_t i = 0; i < d->device_count; i++) {
		const struct doctor_device *device = &d->devices[i];

		if (!strncmp(node, "/dev/vfio/devices/", 18)) {
			if (device->cdev[0] && !strcmp(node + 18, device->cdev))
				return device;
		} else if (!strncmp(node, "/dev/vfio/", 10) && isdigit((unsigned char)node[10])) {
			if (device->vfio && device->group == strtol(node + 10, NULL, 10))
				return device;
		}
	}
	return NULL;
}

/* ---- whose they are ---- */

/* Without CAP_DAC_OVERRIDE, as in the monitor. */
static bool root_may_open(const struct doctor *d, const struct stat *st)
{
	mode_t wanted = 06;

	if (st->st_uid == d->root_uid)
		wanted = 0600;
	else if (st->st_gid == d->root_gid)
		wanted = 060;
	return (st->st_mode & wanted) == wanted;
}

/* The mode is the kernel's own, or that of udev's rules. */
static void closed_node(struct doctor *d, enum doctor_severity severity, const char *node,
			const struct stat *st, const char *mode)
{
	doctor_add(d, severity, DOCTOR_IS_NODE_CLOSED, node,
		   "iommu-brokerd itself may not open %s (owner %u, group %u, mode %04o)", node,
		   (unsigned)st->st_uid, (unsigned)st->st_gid, (unsigned)st->st_mode & 07777);
	doctor_why(d, "it is root without CAP_DAC_OVERRIDE, and can open what belongs to root and "
		      "gives its owner reading and writing");
	doctor_mend(d, "chown root:root %s; chmod %s %s", node, mode, node);
	doctor_mend(d, "grep -rl -e vfio -e iommu /etc/udev/rules.d /lib/udev/rules.d (the rule "
		       "that does it)");
}

static void foreign_node(struct doctor *d, const char *node, const struct stat *st)
{
	doctor_add(d, DOCTOR_WARNING, DOCTOR_IS_NODE_NOT_ROOTS, node,
		   "%s can be opened by others than root (owner %u, group %u, mode %04o)", node,
		   (unsigned)st->st_uid, (unsigned)st->st_gid, (unsigned)st->st_mode & 07777);
	doctor_why(d, "whoever opens it goes past the broker, and while it is open the broker gets "
		      "BUSY; the broker needs no such change, it opens nodes as root");
	doctor_mend(d, "chown root:root %s; chmod 0600 %s", node, node);
	doctor_mend(d, "grep -rl vfio /etc/udev/rules.d /lib/udev/rules.d (the rule that does it)");
}

static bool node_stat(const struct doctor *d, const char *node, struct stat *st)
{
	char path[DOCTOR_PATH];

	return doctor_path(d, path, "%s", node) && lstat(path, st) == 0;
}

/* Of the kernel's interface: anybody may open it, it gives access to no device. */
static void check_common(struct doctor *d, const char *node, const char *mode, bool needed)
{
	struct stat st;

	if (node_stat(d, node, &st) && !root_may_open(d, &st))
		closed_node(d, needed ? DOCTOR_ERROR : DOCTOR_WARNING, node, &st, mode);
}

static void check_owner(struct doctor *d, const char *node, bool needed)
{
	const struct doctor_device *device = device_of(d, node);
	bool open, foreign;
	struct stat st;

	if (!node_stat(d, node, &st))
		return;
	open = root_may_open(d, &st);
	foreign = st.st_uid != d->root_uid || (st.st_mode & 066) != 0;
	if (foreign && (open || !needed))
		foreign_node(d, node, &st);
	else if (!open)
		closed_node(d,
			    needed && device && device->in_policy ? DOCTOR_ERROR : DOCTOR_WARNING,
			    node, &st, "0600");
}

static void check_folder(struct doctor *d, const char *folder, const char *prefix, bool needed)
{
	doctor_cleanup_names struct doctor_names n;
	size_t length = strlen(prefix);
	char node[DOCTOR_PATH];

	doctor_names(d, &n, "%s", folder);
	for (size_t i = 0; i < n.count; i++) {
		if (strncmp(n.names[i], prefix, length) != 0 ||
		    !isdigit((unsigned char)n.names[i][length]))
			continue;
		snprintf(node, sizeof(node), "%s/%s", folder, n.names[i]);
		check_owner(d, node, needed);
	}
}

/* ---- there ---- */

static void check_present(struct doctor *d, const struct doctor_device *device, bool iommufd)
{
	char group_node[64], cdev_node[64];
	bool group, cdev;

	snprintf(group_node, sizeof(group_node), "/dev/vfio/%ld", device->group);
	snprintf(cdev_node, sizeof(cdev_node), "/dev/vfio/devices/%s", device->cdev);
	group = doctor_exists(d, "%s", group_node);
	cdev = device->cdev[0] && doctor_exists(d, "%s", cdev_node);
	/* one that the kernel does not make is not missing in /dev */
	if (iommufd && device->cdev[0] ? cdev : group)
		return;
	if (group || cdev)
		doctor_add(d, DOCTOR_ERROR, DOCTOR_IS_DEVICE_NODE_MISSING, device->name,
			   "device %s is on VFIO, but there is no %s, which the broker opens with "
			   "the backend %s",
			   device->name, iommufd ? cdev_node : group_node,
			   iommufd ? "iommufd" : "type1");
	else
		doctor_add(d, DOCTOR_ERROR, DOCTOR_IS_DEVICE_NODE_MISSING, device->name,
			   "device %s is on VFIO, but there is neither %s nor a node in "
			   "/dev/vfio/devices",
			   device->name, group_node);
	doctor_why(d,
		   "the broker opens the device through it; a /dev that is not devtmpfs, as in a "
		   "container, does not get it");
	doctor_mend(d, "pass /dev/vfio into the container, or: mount -t devtmpfs devtmpfs /dev");
}

void doctor_check_nodes(struct doctor *d)
{
	bool iommufd = uses_iommufd(d);

	for (size_t i = 0; i < d->device_count; i++) {
		if (d->devices[i].vfio && !d->devices[i].noiommu && d->devices[i].group >= 0)
			check_present(d, &d->devices[i], iommufd);
	}
	check_common(d, "/dev/iommu", "0660", iommufd);
	check_common(d, "/dev/vfio/vfio", "0666", !iommufd);
	check_folder(d, "/dev/vfio", "", !iommufd);
	check_folder(d, "/dev/vfio/devices", "vfio", iommufd);
}

/* ---- open in other processes ---- */

static void held(struct doctor *d, const struct doctor_device *device, const char *pid,
		 const char *comm, const char *node)
{
	doctor_add(d, device->meant ? DOCTOR_ERROR : DOCTOR_WARNING, DOCTOR_IS_DEVICE_HELD,
		   device->name,
		   "process %s (%s) has %s open, which is device %s (IOMMU group %ld)", pid, comm,
		   node, device->name, device->group);
	doctor_why(d,
		   "one process at a time can have an IOMMU group: until it is closed the broker "
		   "gets BUSY");
	doctor_mend(d, "end process %s, or leave %s out of its configuration", pid, device->name);
}

/* The monitor and its sessions, of whatever name others give themselves. */
static bool is_the_brokers(const struct doctor *d, const char *pid, const char *comm)
{
	const struct doctor_config *c = &d->policy;
	uid_t owner = 0;

	return !strncmp(comm, "iommu-broker", 12) && doctor_owner(d, &owner, "/proc/%s", pid) &&
	       (doctor_is_ours(d, owner) ||
		(owner >= c->session_uid_base && owner - c->session_uid_base < c->max_sessions));
}

/* The service manager has what the monitor gave it to keep. */
static bool is_the_keeper(const char *pid, const char *comm)
{
	return !strcmp(pid, "1") && !strcmp(comm, "systemd");
}

/* A client that may have the descriptor itself has it with the broker's knowledge. */
static bool is_given_out(const struct doctor *d, const struct doctor_device *device)
{
	for (uint32_t i = 0; i < d->answer.open_count; i++)
		if (!strcmp(d->answer.open[i], device->name))
			return true;
	return false;
}

/* Every device once for a process, however often it has it open. */
static int check_process(struct doctor *d, const char *pid)
{
	doctor_cleanup_free bool *told = doctor_need(calloc(d->device_count + 1, sizeof(*told)));
	doctor_cleanup_names struct doctor_names n;
	char comm[32], node[DOCTOR_PATH], path[DOCTOR_PATH];
	int rc = doctor_names(d, &n, "/proc/%s/fd", pid);

	doctor_line(d, comm, sizeof(comm), "/proc/%s/comm", pid);
	if (is_the_brokers(d, pid, comm) || is_the_keeper(pid, comm))
		return 0;
	for (size_t i = 0; i < n.count; i++) {
		const struct doctor_device *device;
		ssize_t length;

		if (!doctor_path(d, path, "/proc/%s/fd/%s", pid, n.names[i]))
			continue;
		length = readlink(path, node, sizeof(node) - 1);
		if (length < 0)
			continue;
		node[length] = '\0';
		device = device_of(d, node);
		if (!device || told[device - d->devices] || is_given_out(d, device))
			continue;
		held(d, device, pid, comm, node);
		told[device - d->devices] = true;
	}
	return rc;
}

void doctor_check_holders(struct doctor *d)
{
	doctor_cleanup_names struct doctor_names n;
	bool hidden = false;

	doctor_names(d, &n, "/proc");
	for (size_t i = 0; i < n.count; i++) {
		if (isdigit((unsigned char)n.names[i][0]))
			hidden |= check_process(d, n.names[i]) == -EACCES;
	}
	if (hidden)
		doctor_unseen(d, "which processes of others have VFIO devices open (/proc/PID/fd)");
}
