/* SPDX-License-Identifier: MIT */
/*
 * sysfs.c - reading PCI devices, IOMMU groups and VFIO nodes from /sys and /dev.
 *
 * Names come from the kernel, or from a session by way of the monitor: whatever the source, a
 * name is checked to be a BDF before it becomes part of a path.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "kernel-glue/sysfs.h"

#define PATH_BYTES   SYSFS_PATH_BYTES
#define DRIVER_BYTES SYSFS_DRIVER_BYTES
#define MAX_DEVICES  65536u /* a bound on the list, far above any machine */

static const char *sys_root = "/sys";
static const char *dev_root = "/dev";
static const char *proc_root = "/proc";

void sysfs_roots_set(const char *sys, const char *dev, const char *proc)
{
	sys_root = sys ? sys : "/sys";
	dev_root = dev ? dev : "/dev";
	proc_root = proc ? proc : "/proc";
}

/* ---- paths, attributes, links ---- */

__attribute__((format(printf, 3, 4))) static int path_make(char path[PATH_BYTES], const char *root,
							   const char *format, ...)
{
	va_list ap;
	int n = snprintf(path, PATH_BYTES, "%s/", root), m;

	if (n < 0 || n >= PATH_BYTES)
		return -ENAMETOOLONG;
	va_start(ap, format);
	m = vsnprintf(path + n, (size_t)(PATH_BYTES - n), format, ap);
	va_end(ap);
	return m < 0 || m >= PATH_BYTES - n ? -ENAMETOOLONG : 0;
}

int sysfs_bus_path(char path[PATH_BYTES], const char *format, ...)
{
	char rest[PATH_BYTES];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(rest, sizeof(rest), format, ap);
	va_end(ap);
	return n < 0 || n >= PATH_BYTES ? -ENAMETOOLONG :
					  path_make(path, sys_root, "bus/pci/%s", rest);
}

/* Whole or not at all: a name that was cut is another name. */
static int name_copy(char *to, size_t bytes, const char *from)
{
	size_t n = strlen(from);

	if (n == 0 || n >= bytes)
		return -EINVAL;
	memcpy(to, from, n + 1);
	return 0;
}

int sysfs_line_read(const char *path, char *text, size_t bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n;

	text[0] = '\0';
	if (fd < 0)
		return -errno;
	n = read(fd, text, bytes - 1);
	if (n < 0)
		n = -errno;
	close(fd);
	if (n < 0)
		return (int)n;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return 0;
}

/* An attribute that is one number, decimal or 0x, and nothing else. */
static int number_read(const char *path, unsigned long max, unsigned long *value)
{
	char text[32], *end;
	int rc = sysfs_line_read(path, text, sizeof(text));

	if (rc)
		return rc;
	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	*value = strtoul(text, &end, 0);
	return errno || *end || *value > max ? -EINVAL : 0;
}

/* The last component of where a link points to. */
static int link_name(const char *path, char *name, size_t bytes)
{
	char target[PATH_BYTES];
	const char *base;
	ssize_t n = readlink(path, target, sizeof(target));

	if (n < 0)
		return -errno;
	if ((size_t)n >= sizeof(target))
		return -ENAMETOOLONG;
	target[n] = '\0';
	base = strrchr(target, '/');
	return name_copy(name, bytes, base ? base + 1 : target);
}

static int group_parse(const char *text, uint32_t *group)
{
	unsigned long value;
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || *end || value > INT_MAX)
		return -EINVAL;
	*group = (uint32_t)value;
	return 0;
}

/* ---- names ---- */

static bool hex_run(const char **p, size_t min, size_t max)
{
	size_t n = 0;

	while (n < max && isxdigit((unsigned char)(*p)[n]) && !isupper((unsigned char)(*p)[n]))
		n++;
	*p += n;
	return n >= min;
}

/* "0000:00:03.0"; the domain has more digits behind some host bridges ("10000:e1:00.0"). */
bool sysfs_name_is_bdf(const char *name)
{
	const char *p = name;

	return strnlen(name, IOB_NAME_BYTES) < IOB_NAME_BYTES && hex_run(&p, 4, 8) && *p++ == ':' &&
	       hex_run(&p, 2, 2) && *p++ == ':' && hex_run(&p, 2, 2) && *p++ == '.' && *p >= '0' &&
	       *p <= '7' && p[1] == '\0';
}

/* "vfio3"; a "noiommu-vfio3" is none on purpose. */
static bool name_is_cdev(const char *name)
{
	size_t digits;

	if (strncmp(name, "vfio", 4))
		return false;
	digits = strspn(name + 4, "0123456789");
	return digits >= 1 && digits <= 9 && name[4 + digits] == '\0';
}

/* Calls match for each entry of a directory until it returns true; copies that name. */
static int dir_find(const char *path, bool (*match)(const char *), char *name, size_t bytes)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	int rc = -ENOENT;

	if (!dir)
		return -errno;
	while (rc && (e = readdir(dir)))
		if (match(e->d_name))
			rc = name_copy(name, bytes, e->d_name);
	closedir(dir);
	return rc;
}

/* ---- drivers and groups ---- */

/* Name of the driver of a device directory, "" when it has none. */
static void driver_read(const char *device_path, char driver[DRIVER_BYTES])
{
	char path[PATH_BYTES];

	driver[0] = '\0';
	if (path_make(path, device_path, "driver") || link_name(path, driver, DRIVER_BYTES))
		driver[0] = '\0';
}

static bool name_is_any_cdev(const char *name)
{
	return name_is_cdev(name) || !strncmp(name, "noiommu-vfio", 12);
}

/* vfio-pci, or a variant driver (mlx5_vfio_pci): the core makes vfio-dev/ for all of them. */
static bool driver_is_vfio(const char *device_path, const char *driver)
{
	char path[PATH_BYTES], name[64];

	if (!strncmp(driver, "vfio", 4))
		return true;
	return !path_make(path, device_path, "vfio-dev") &&
	       !dir_find(path, name_is_any_cdev, name, sizeof(name));
}

/*
 * May the driver sit on a sibling? The kernel asks whether the driver sets driver_managed_dma
 * (drivers/pci/pci-stub.c, pcie/portdrv.c, drivers/vfio); it does not tell, so this is its list.
 */
static bool driver_is_harmless(const char *device_path, const char *driver)
{
	return !driver[0] || !strcmp(driver, "pci-stub") || !strcmp(driver, "pcieport") ||
	       driver_is_vfio(device_path, driver);
}

static bool group_is_noiommu(uint32_t group)
{
	char path[PATH_BYTES], name[64];

	return !path_make(path, sys_root, "kernel/iommu_groups/%u/name", group) &&
	       !sysfs_line_read(path, name, sizeof(name)) && !strcmp(name, "vfio-noiommu");
}

static bool sibling_holds(uint32_t group, const char *name, struct sysfs_sibling *s)
{
	char path[PATH_BYTES], driver[DRIVER_BYTES];

	if (path_make(path, sys_root, "kernel/iommu_groups/%u/devices/%s", group, name))
		return false;
	driver_read(path, driver);
	if (driver_is_harmless(path, driver))
		return false;
	snprintf(s->name, sizeof(s->name), "%.*s", (int)sizeof(s->name) - 1, name);
	snprintf(s->driver, sizeof(s->driver), "%.*s", (int)sizeof(s->driver) - 1, driver);
	return true;
}

int sysfs_group_blame(uint32_t group, const char *self, struct sysfs_sibling *blame)
{
	struct sysfs_sibling s;
	char path[PATH_BYTES];
	struct dirent *e;
	int found = 0;
	DIR *dir;

	if (path_make(path, sys_root, "kernel/iommu_groups/%u/devices", group))
		return -ENAMETOOLONG;
	dir = opendir(path);
	if (!dir)
		return -errno;
	while ((e = readdir(dir))) {
		if (e->d_name[0] == '.' || !strcmp(e->d_name, self) ||
		    !sibling_holds(group, e->d_name, &s))
			continue;
		if (!found || strcmp(s.name, blame->name) < 0)
			*blame = s;
		found = 1;
	}
	closedir(dir);
	return found;
}

/* ---- one device ---- */

static int identity_read(const char *device_path, struct glue_device *d)
{
	static const struct {
		const char *name;
		unsigned long max;
	} attributes[] = { { "vendor", 0xffff }, { "device", 0xffff }, { "class", 0xffffff } };
	unsigned long value[3];
	char path[PATH_BYTES];
	int rc;

	for (size_t i = 0; i < 3; i++) {
		rc = path_make(path, device_path, "%s", attributes[i].name);
		if (!rc)
			rc = number_read(path, attributes[i].max, &value[i]);
		if (rc)
			return rc;
	}
	d->vendor = (uint16_t)value[0];
	d->device = (uint16_t)value[1];
	d->class_code = (uint32_t)value[2];
	return 0;
}

static int group_read(const char *device_path, uint32_t *group)
{
	char path[PATH_BYTES], text[32] = "";
	int rc = path_make(path, device_path, "iommu_group");

	if (!rc)
		rc = link_name(path, text, sizeof(text));
	return rc ? rc : group_parse(text, group);
}

/* The cdev's name, if the kernel makes a node for it: only then has it a "dev" attribute. */
static int cdev_name(const char *device_path, char name[32])
{
	char path[PATH_BYTES];
	struct stat st;
	int rc = path_make(path, device_path, "vfio-dev");

	if (!rc)
		rc = dir_find(path, name_is_cdev, name, 32);
	if (!rc)
		rc = path_make(path, device_path, "vfio-dev/%s/dev", name);
	if (rc)
		return rc;
	return stat(path, &st) < 0 ? -ENXIO : 0;
}

static void node_read(const char *device_path, struct glue_device *d)
{
	char path[PATH_BYTES], name[32];

	if (cdev_name(device_path, name) || path_make(path, dev_root, "vfio/devices/%s", name) ||
	    name_copy(d->node, sizeof(d->node), path))
		d->node[0] = '\0';
}

/*
 * Not by reading sriov_numvfs: that waits for the lock of the device (sriov_numvfs_show(),
 * drivers/pci/iov.c), which an unbind holds for as long as the driver's users like.
 */
static bool has_virtual_functions(const char *device_path)
{
	char path[PATH_BYTES];
	struct stat st;

	return !path_make(path, device_path, "virtfn0") && !lstat(path, &st);
}

/* A cdev called noiommu-vfioN, or a group that vfio made up. */
static bool device_is_noiommu(const char *device_path, uint32_t group)
{
	char path[PATH_BYTES], name[64];

	if (group_is_noiommu(group))
		return true;
	return !path_make(path, device_path, "vfio-dev") &&
	       !dir_find(path, name_is_any_cdev, name, sizeof(name)) && !name_is_cdev(name);
}

static enum sysfs_obstacle obstacle_find(const char *device_path, const char *driver,
					 const struct glue_device *d, struct sysfs_sibling *blame)
{
	if (device_is_noiommu(device_path, d->group))
		return SYSFS_NOIOMMU;
	if (glue_is_bridge(d))
		return SYSFS_BRIDGE;
	if (!driver[0])
		return SYSFS_NO_DRIVER;
	if (!driver_is_vfio(device_path, driver))
		return SYSFS_HOST_DRIVER;
	if (has_virtual_functions(device_path))
		return SYSFS_HAS_VFS;
	if (sysfs_group_blame(d->group, d->name, blame) == 1)
		return SYSFS_SIBLING;
	return SYSFS_USABLE;
}

static void obstacle_words(struct glue_device *d, enum sysfs_obstacle obstacle,
			   const struct sysfs_sibling *blame)
{
	switch (obstacle) {
	case SYSFS_USABLE:
		d->why[0] = '\0';
		return;
	case SYSFS_NOIOMMU:
		snprintf(d->why, sizeof(d->why),
			 "has no IOMMU that contains its DMA (noiommu mode)");
		return;
	case SYSFS_NO_DRIVER:
		snprintf(d->why, sizeof(d->why), "has no driver; bind it to vfio-pci");
		return;
	case SYSFS_HOST_DRIVER:
		snprintf(d->why, sizeof(d->why),
			 "is used by the host's driver %s; bind it to vfio-pci", d->driver);
		return;
	case SYSFS_BRIDGE:
		snprintf(d->why, sizeof(d->why), "is a PCI bridge");
		return;
	case SYSFS_HAS_VFS:
		snprintf(d->why, sizeof(d->why),
			 "has virtual functions enabled; write 0 to its sriov_numvfs");
		return;
	case SYSFS_SIBLING:
		snprintf(d->why, sizeof(d->why), "shares IOMMU group %u with %s, used by driver %s",
			 d->group, blame->name, blame->driver);
		return;
	}
}

bool sysfs_driver_read(const char *name, char driver[DRIVER_BYTES])
{
	char path[PATH_BYTES];

	driver[0] = '\0';
	if (sysfs_bus_path(path, "devices/%s", name))
		return false;
	driver_read(path, driver);
	return driver[0] && driver_is_vfio(path, driver);
}

bool sysfs_has_virtual_functions(const char *name)
{
	char path[PATH_BYTES];

	return !sysfs_bus_path(path, "devices/%s", name) && has_virtual_functions(path);
}

int sysfs_pci_read(const char *name, struct glue_device *d, enum sysfs_obstacle *obstacle)
{
	char path[PATH_BYTES], driver[DRIVER_BYTES];
	struct sysfs_sibling blame;

	memset(d, 0, sizeof(*d));
	memset(&blame, 0, sizeof(blame));
	if (!sysfs_name_is_bdf(name))
		return -EINVAL;
	name_copy(d->name, sizeof(d->name), name);
	if (path_make(path, sys_root, "bus/pci/devices/%s", name))
		return -ENAMETOOLONG;
	if (identity_read(path, d) || group_read(path, &d->group))
		return -ENODEV;
	driver_read(path, driver);
	snprintf(d->driver, sizeof(d->driver), "%.*s", (int)sizeof(d->driver) - 1, driver);
	d->on_vfio = driver[0] && driver_is_vfio(path, driver);
	node_read(path, d);
	*obstacle = obstacle_find(path, driver, d, &blame);
	obstacle_words(d, *obstacle, &blame);
	d->usable = *obstacle == SYSFS_USABLE;
	return 0;
}

/* ---- lists of devices ---- */

static int compare_names(const void *a, const void *b)
{
	const struct glue_device *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int list_add(struct glue_device **list, size_t *count, size_t *room,
		    const struct glue_device *d)
{
	struct glue_device *grown;

	if (*count == *room) {
		if (*room >= MAX_DEVICES)
			return -E2BIG;
		*room = *room ? *room * 2 : 16;
		grown = reallocarray(*list, *room, sizeof(**list));
		if (!grown)
			return -ENOMEM;
		*list = grown;
	}
	(*list)[(*count)++] = *d;
	return 0;
}

/* group: of those that are listed, or NULL for any. */
static int list_read(const char *path, const uint32_t *group, struct glue_device **list,
		     size_t *count)
{
	enum sysfs_obstacle obstacle;
	struct glue_device d;
	struct dirent *e;
	size_t room = 0;
	int rc = 0;
	DIR *dir = opendir(path);

	*list = NULL;
	*count = 0;
	if (!dir)
		return -errno;
	while (!rc && (e = readdir(dir)))
		if (!sysfs_pci_read(e->d_name, &d, &obstacle) && (!group || d.group == *group))
			rc = list_add(list, count, &room, &d);
	closedir(dir);
	if (rc) {
		free(*list);
		*list = NULL;
		*count = 0;
	} else if (*count) {
		qsort(*list, *count, sizeof(**list), compare_names);
	}
	return rc;
}

int sysfs_pci_list(struct glue_device **list, size_t *count)
{
	char path[PATH_BYTES];

	if (path_make(path, sys_root, "bus/pci/devices"))
		return -ENAMETOOLONG;
	return list_read(path, NULL, list, count);
}

int sysfs_group_list(const char *name, struct glue_device **list, size_t *count)
{
	char path[PATH_BYTES];
	uint32_t group;

	if (!sysfs_name_is_bdf(name))
		return -EINVAL;
	if (path_make(path, sys_root, "bus/pci/devices/%s", name))
		return -ENAMETOOLONG;
	if (group_read(path, &group))
		return -ENODEV;
	if (path_make(path, sys_root, "kernel/iommu_groups/%u/devices", group))
		return -ENAMETOOLONG;
	return list_read(path, &group, list, count);
}

int sysfs_uevents(uint64_t *number)
{
	char path[PATH_BYTES];
	unsigned long value;
	int rc = path_make(path, sys_root, "kernel/uevent_seqnum");

	if (!rc)
		rc = number_read(path, ULONG_MAX, &value);
	if (!rc)
		*number = value;
	return rc;
}

/* ---- nodes ---- */

int sysfs_node_open(const char *node)
{
	char path[PATH_BYTES];
	int fd, rc = path_make(path, dev_root, "%s", node);

	if (rc)
		return rc;
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}

int sysfs_group_open(uint32_t group)
{
	char node[32];

	snprintf(node, sizeof(node), "vfio/%u", group);
	return sysfs_node_open(node);
}

static int device_number(const char *device_path, const char *cdev, dev_t *number)
{
	unsigned long major_number, minor_number;
	char path[PATH_BYTES], text[32], *end;
	int rc = path_make(path, device_path, "vfio-dev/%s/dev", cdev);

	if (!rc)
		rc = sysfs_line_read(path, text, sizeof(text));
	if (rc)
		return rc;
	major_number = strtoul(text, &end, 10);
	if (end == text || *end++ != ':' || !isdigit((unsigned char)*end))
		return -EINVAL;
	minor_number = strtoul(end, &end, 10);
	if (*end || major_number > UINT_MAX || minor_number > UINT_MAX)
		return -EINVAL;
	*number = makedev((unsigned int)major_number, (unsigned int)minor_number);
	return 0;
}

/*
 * vfioN is numbered in the order of binding, so a name that was right a moment ago can be another
 * device now: look it up now, and believe the opened node only when its number is what sysfs says.
 */
int sysfs_cdev_open(const char *name)
{
	char path[PATH_BYTES], cdev[32], node[64];
	struct stat st;
	dev_t number;
	int fd;

	if (!sysfs_name_is_bdf(name))
		return -EINVAL;
	if (path_make(path, sys_root, "bus/pci/devices/%s", name))
		return -ENAMETOOLONG;
	if (cdev_name(path, cdev) || device_number(path, cdev, &number))
		return -ENXIO;
	snprintf(node, sizeof(node), "vfio/devices/%s", cdev);
	fd = sysfs_node_open(node);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != number) {
		close(fd);
		return -ESTALE;
	}
	return fd;
}

/* ---- the machine ---- */

/*
 * The directory appears with the first device that is bound to a VFIO driver; before that the
 * registered range of device numbers tells (vfio/device_cdev.c), unless procfs is restricted.
 */
bool sysfs_has_cdevs(void)
{
	char path[PATH_BYTES], line[128];
	bool found = false;
	struct stat st;
	FILE *f;

	if (!path_make(path, dev_root, "vfio/devices") && !stat(path, &st))
		return true;
	if (path_make(path, proc_root, "devices"))
		return false;
	f = fopen(path, "re");
	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f))
		found = strstr(line, " vfio-dev\n") != NULL;
	fclose(f);
	return found;
}

const char *sysfs_unsafe_interrupts(void)
{
	static const char *const modules[] = { "vfio_iommu_type1", "iommufd" };
	char path[PATH_BYTES], text[8];
	int rc;

	for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
		rc = path_make(path, sys_root, "module/%s/parameters/allow_unsafe_interrupts",
			       modules[i]);
		if (!rc)
			rc = sysfs_line_read(path, text, sizeof(text));
		/* absent: the module is not there, so it cannot allow anything */
		if (rc != -ENOENT && (rc || strcmp(text, "N")))
			return modules[i];
	}
	return NULL;
}
