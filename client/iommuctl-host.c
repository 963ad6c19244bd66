/* SPDX-License-Identifier: MIT */
/*
 * iommuctl-host.c - what the machine itself uses a device for.
 *
 * From the other end: for each mounted block device and each swap its directory in sysfs, and those
 * of the devices below it (slaves of dm and md, paths of a multipath NVMe), is looked at: does it lie
 * under the PCI device? Networks are looked at from below: what is upon an interface of the device,
 * as a bridge, a bond or a VLAN. Not seen through: a VPN, and ZFS, which does not tell its disks.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <ifaddrs.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "iommuctl.h"

#define DEPTH_MAX 8u /* block devices upon block devices, networks upon networks */

static const char *sys_root = "/sys";
static const char *proc_root = "/proc";

void ctl_host_roots_set(const char *sys, const char *proc)
{
	sys_root = sys ? sys : "/sys";
	proc_root = proc ? proc : "/proc";
}

struct use {
	const char *device;
	void (*tell)(void *context, const char *words);
	void *context;
	unsigned count;
};

static void tell(struct use *u, const char *what, const char *name)
{
	char words[PATH_MAX];

	snprintf(words, sizeof(words), "%s %.1000s", what, name);
	u->tell(u->context, words);
	u->count++;
}

/* ---- block devices ---- */

static bool lies_under(const char *path, const char *device)
{
	char part[IOB_NAME_BYTES + 2];

	snprintf(part, sizeof(part), "/%s/", device);
	return strstr(path, part) != NULL;
}

static bool block_depends(const char *directory, const char *device, unsigned depth);

/* Does one of the entries of DIRECTORY/name, or those that begin with prefix, depend on it? */
static bool any_depends(const char *directory, const char *name, const char *prefix,
			const char *device, unsigned depth)
{
	char path[PATH_MAX];
	struct dirent *e;
	bool found = false;
	DIR *dir;

	if (snprintf(path, sizeof(path), "%s/%s", directory, name) >= (int)sizeof(path))
		return false;
	dir = opendir(path);
	while (dir && !found && (e = readdir(dir))) {
		char entry[PATH_MAX];

		if (e->d_name[0] == '.' || strncmp(e->d_name, prefix, strlen(prefix)) != 0)
			continue;
		if (snprintf(entry, sizeof(entry), "%.3800s/%.255s", path, e->d_name) <
		    (int)sizeof(entry))
			found = block_depends(entry, device, depth + 1);
	}
	if (dir)
		closedir(dir);
	return found;
}

/* The controllers of a namespace that has several are links beside it. */
static bool paths_depend(char *path, const char *device, unsigned depth)
{
	static const char subsystems[] = "/nvme-subsystem/";
	char *subsystem = strstr(path, subsystems), *end;

	if (!subsystem || depth == DEPTH_MAX) /* the last look, see below */
		return false;
	end = strchr(subsystem + strlen(subsystems), '/');
	if (end)
		*end = '\0';
	return any_depends(path, ".", "nvme", device, DEPTH_MAX - 1);
}

static bool block_depends(const char *directory, const char *device, unsigned depth)
{
	char path[PATH_MAX];

	if (depth > DEPTH_MAX || !realpath(directory, path))
		return false;
	return lies_under(path, device) || any_depends(path, "slaves", "", device, depth) ||
	       any_depends(path, "../slaves", "", device, depth) ||
	       paths_depend(path, device, depth);
}

static bool number_depends(dev_t number, const char *device)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/dev/block/%u:%u", sys_root, major(number), minor(number));
	return block_depends(path, device, 0);
}

/* A node, for file systems that have a number of their own (btrfs). */
static bool node_depends(const char *node, const char *device)
{
	struct stat st;

	return stat(node, &st) == 0 && S_ISBLK(st.st_mode) && number_depends(st.st_rdev, device);
}

static FILE *proc_open(const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", proc_root, name);
	return fopen(path, "re");
}

/* "36 25 8:1 / /boot rw,relatime shared:1 - ext4 /dev/sda1 rw": proc(5) */
static void look_at_mount(struct use *u, char *line)
{
	char *dash = strstr(line, " - "), *end;
	char where[256], source[256] = "", number[32];
	unsigned long major_number, minor_number;

	if (sscanf(line, "%*s %*s %31s %*s %255s", number, where) != 2)
		return;
	if (dash)
		sscanf(dash + 3, "%*s %255s", source);
	major_number = strtoul(number, &end, 10);
	minor_number = *end == ':' ? strtoul(end + 1, NULL, 10) : 0;
	if (number_depends(makedev((unsigned)major_number, (unsigned)minor_number), u->device) ||
	    (source[0] == '/' && node_depends(source, u->device)))
		tell(u, "a file system is mounted on", where);
}

static void look_at_swap(struct use *u, char *line)
{
	line[strcspn(line, " \t\n")] = '\0';
	if (line[0] == '/' && node_depends(line, u->device))
		tell(u, "it has swap:", line);
}

static void each_line(struct use *u, const char *file, void (*look)(struct use *u, char *line))
{
	FILE *f = proc_open(file);
	char *line = NULL;
	size_t room = 0;

	while (f && getline(&line, &room, f) > 0)
		look(u, line);
	free(line);
	if (f)
		fclose(f);
}

/* Only one of the disks of a btrfs is in the list of mounts. Its entry is there while it is mounted. */
static void look_at_btrfs(struct use *u)
{
	char path[PATH_MAX];
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/fs/btrfs", sys_root);
	dir = opendir(path);
	while (dir && u->count == 0 && (e = readdir(dir))) {
		char entry[PATH_MAX];

		if (e->d_name[0] != '.' &&
		    snprintf(entry, sizeof(entry), "%.3800s/%.255s", path, e->d_name) <
			    (int)sizeof(entry) &&
		    any_depends(entry, "devices", "", u->device, 0))
			tell(u, "it is one of the disks of a btrfs that is mounted:", e->d_name);
	}
	if (dir)
		closedir(dir);
}

/* ---- network, display ---- */

/* Is it up, and has it an address where that is asked for? */
static bool interface_is_up(const char *interface, bool with_address)
{
	struct ifaddrs *all, *a;
	bool found = false;

	if (getifaddrs(&all) < 0)
		return false;
	for (a = all; a && !found; a = a->ifa_next)
		found = strcmp(a->ifa_name, interface) == 0 && (a->ifa_flags & IFF_UP) &&
			(!with_address || (a->ifa_addr && (a->ifa_addr->sa_family == AF_INET ||
							   a->ifa_addr->sa_family == AF_INET6)));
	freeifaddrs(all);
	return found;
}

/* Is another port of this bridge or bond up? Then it connects what is behind both. */
static bool other_port_up(const char *bridge, const char *port)
{
	DIR *dir = opendir(bridge);
	struct dirent *e;
	bool found = false;

	while (dir && !found && (e = readdir(dir)))
		found = strncmp(e->d_name, "lower_", 6) == 0 && strcmp(e->d_name + 6, port) != 0 &&
			interface_is_up(e->d_name + 6, false);
	if (dir)
		closedir(dir);
	return found;
}

/* What is upon an interface: the kernel has a link upper_NAME for each, and lower_NAME back. */
static void look_above(struct use *u, const char *interface, unsigned depth)
{
	DIR *dir = depth < DEPTH_MAX ? opendir(interface) : NULL;
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		char path[PATH_MAX], upper[PATH_MAX];
		const char *name;

		if (strncmp(e->d_name, "upper_", 6) != 0 ||
		    snprintf(path, sizeof(path), "%.3800s/%.255s", interface, e->d_name) >=
			    (int)sizeof(path) ||
		    !realpath(path, upper))
			continue;
		name = strrchr(upper, '/') + 1;
		if (interface_is_up(name, true))
			tell(u, "a network interface with an address goes through it:", name);
		else if (other_port_up(upper, strrchr(interface, '/') + 1))
			tell(u, "other interfaces are connected through it:", name);
		else
			look_above(u, upper, depth + 1);
	}
	if (dir)
		closedir(dir);
}

static void look_at_interface(struct use *u, const char *directory, const char *name)
{
	char path[PATH_MAX];

	if (interface_is_up(name, true))
		tell(u, "a network interface with an address is up:", name);
	if (snprintf(path, sizeof(path), "%.3800s/%.255s", directory, name) < (int)sizeof(path))
		look_above(u, path, 0);
}

/* DEVICE/net, or one level lower behind virtio and the like. */
static void look_at_network(struct use *u, const char *directory, unsigned depth)
{
	char path[PATH_MAX];
	struct dirent *e;
	DIR *dir = opendir(directory);

	while (dir && (e = readdir(dir))) {
		bool net = strcmp(strrchr(directory, '/'), "/net") == 0;

		if (e->d_name[0] == '.')
			continue;
		if (net)
			look_at_interface(u, directory, e->d_name);
		if (net || (strcmp(e->d_name, "net") != 0 && strncmp(e->d_name, "virtio", 6) != 0))
			continue;
		if (depth < 2 && snprintf(path, sizeof(path), "%.3800s/%.255s", directory,
					  e->d_name) < (int)sizeof(path))
			look_at_network(u, path, depth + 1);
	}
	if (dir)
		closedir(dir);
}

static void look_at_display(struct use *u, const char *directory)
{
	char path[PATH_MAX], value = '0';
	FILE *f;

	snprintf(path, sizeof(path), "%.3800s/boot_vga", directory);
	f = fopen(path, "re");
	if (f && fread(&value, 1, 1, f) == 1 && value == '1')
		tell(u, "it is the display", "of the console");
	if (f)
		fclose(f);
}

unsigned ctl_host_uses(const char *device, void (*tell_words)(void *context, const char *words),
		       void *context)
{
	struct use u = { .device = device, .tell = tell_words, .context = context };
	char path[PATH_MAX];

	if (strchr(device, '/') || strlen(device) >= IOB_NAME_BYTES)
		return 0;
	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s", sys_root, device);
	each_line(&u, "self/mountinfo", look_at_mount);
	look_at_btrfs(&u);
	each_line(&u, "swaps", look_at_swap);
	look_at_network(&u, path, 0);
	look_at_display(&u, path);
	return u.count;
}
