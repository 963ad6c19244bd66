/* SPDX-License-Identifier: MIT */
/* doctor-nodes.c - the nodes of devices on VFIO: are they there, whose are they, who has them open? */
#include "doctor.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- there, and root's ---- */

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

static void check_owner(struct doctor *d, const char *node)
{
	char path[DOCTOR_PATH];
	struct stat st;

	if (!doctor_path(d, path, "%s", node) || lstat(path, &st) < 0)
		return;
	if (st.st_uid != d->root_uid || (st.st_mode & 066) != 0)
		foreign_node(d, node, &st);
}

static void check_present(struct doctor *d, const struct doctor_device *device)
{
	char group_node[64], cdev_node[64];

	snprintf(group_node, sizeof(group_node), "/dev/vfio/%ld", device->group);
	snprintf(cdev_node, sizeof(cdev_node), "/dev/vfio/devices/%s", device->cdev);
	if (doctor_exists(d, "%s", group_node) ||
	    (device->cdev[0] && doctor_exists(d, "%s", cdev_node)))
		return;
	doctor_add(d, DOCTOR_ERROR, DOCTOR_IS_DEVICE_NODE_MISSING, device->name,
		   "device %s is on VFIO, but there is neither %s nor a node in /dev/vfio/devices",
		   device->name, group_node);
	doctor_why(d,
		   "the broker opens the device through one of them; a /dev that is not devtmpfs, "
		   "as in a container, does not get them");
	doctor_mend(d, "pass /dev/vfio into the container, or: mount -t devtmpfs devtmpfs /dev");
}

static void check_folder(struct doctor *d, const char *folder, const char *prefix)
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
		check_owner(d, node);
	}
}

void doctor_check_nodes(struct doctor *d)
{
	for (size_t i = 0; i < d->device_count; i++) {
		if (d->devices[i].vfio && !d->devices[i].noiommu && d->devices[i].group >= 0)
			check_present(d, &d->devices[i]);
	}
	check_folder(d, "/dev/vfio", "");
	check_folder(d, "/dev/vfio/devices", "vfio");
}

/* ---- open in other processes ---- */

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

static void held(struct doctor *d, const struct doctor_device *device, const char *pid,
		 const char *comm, const char *node)
{
	doctor_add(d, device->in_policy ? DOCTOR_ERROR : DOCTOR_WARNING, DOCTOR_IS_DEVICE_HELD,
		   device->name,
		   "process %s (%s) has %s open, which is device %s (IOMMU group %ld)", pid, comm,
		   node, device->name, device->group);
	doctor_why(d,
		   "one process at a time can have an IOMMU group: until it is closed the broker "
		   "gets BUSY");
	doctor_mend(d, "end process %s, or leave %s out of its configuration", pid, device->name);
}

/* Every device once for a process, however often it has it open. */
static int check_process(struct doctor *d, const char *pid)
{
	const struct doctor_device *told = NULL;
	doctor_cleanup_names struct doctor_names n;
	char comm[32], node[DOCTOR_PATH], path[DOCTOR_PATH];
	int rc = doctor_names(d, &n, "/proc/%s/fd", pid);

	doctor_line(d, comm, sizeof(comm), "/proc/%s/comm", pid);
	if (!strncmp(comm, "iommu-broker", 12))
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
		if (device && device != told)
			held(d, device, pid, comm, node);
		told = device ? device : told;
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
