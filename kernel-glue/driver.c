/* SPDX-License-Identifier: MIT */
/*
 * driver.c - moving a PCI device between the host's driver and vfio-pci, by sysfs.
 *
 * Writing to these files asks for uid 0 and no capability (drivers/pci/pci-sysfs.c,
 * drivers/base/bus.c), and lockdown does not cover them. Each write takes the lock of the device,
 * and waits for as long as somebody else has it: so does reading driver_override. An unbind waits
 * until the driver's users are gone, first interruptibly, then not. All of it is therefore done in
 * a throwaway process, but for opener_driver_check(), which reads what no lock guards.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel-glue/opener.h"

#define VFIO_PCI       "vfio-pci"
#define OVERRIDE_BYTES 64
#define REFUSE(why, code, error, ...) \
	fault_set((why), (code), IOB_STEP_DRIVER, (error), __VA_ARGS__)

int opener_driver_fd(void)
{
	return -1;
}

/* ---- in the monitor ---- */

int opener_driver_check(const struct glue_device *d, enum iob_driver to, struct fault *why)
{
	char path[SYSFS_PATH_BYTES];
	struct stat st;

	if (glue_is_bridge(d))
		return REFUSE(
			why, IOB_E_UNSUPPORTED, 0,
			"device %s is a bridge to another bus (class %04x), which vfio-pci does not "
			"take",
			d->name, d->class_code >> 8);
	if (sysfs_has_virtual_functions(d->name))
		return REFUSE(why, IOB_E_UNSAFE, 0,
			      "device %s has virtual functions, which would vanish: write 0 to its "
			      "sriov_numvfs first",
			      d->name);
	if (to == IOB_DRIVER_VFIO &&
	    (sysfs_bus_path(path, "drivers/" VFIO_PCI) || stat(path, &st) < 0))
		return REFUSE(why, IOB_E_UNSUPPORTED, ENOENT,
			      "driver " VFIO_PCI " is not loaded: run modprobe " VFIO_PCI
			      ", or name it in /etc/modules-load.d");
	return 0;
}

/* ---- sysfs ---- */

static int attribute_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	if (n < 0)
		n = -errno;
	close(fd);
	return n < 0 ? (int)n : 0;
}

static int override_write(const char *name, const char *driver)
{
	char path[SYSFS_PATH_BYTES], line[OVERRIDE_BYTES + 1];
	int rc = sysfs_bus_path(path, "devices/%s/driver_override", name);

	/* an empty line, not an empty text, takes it away */
	snprintf(line, sizeof(line), "%s\n", driver);
	return rc ? rc : attribute_write(path, line);
}

/* "" when there is none. */
static int override_read(const char *name, char driver[OVERRIDE_BYTES])
{
	char path[SYSFS_PATH_BYTES];
	int rc = sysfs_bus_path(path, "devices/%s/driver_override", name);

	driver[0] = '\0';
	if (!rc)
		rc = sysfs_line_read(path, driver, OVERRIDE_BYTES);
	if (strcmp(driver, "(null)") == 0)
		driver[0] = '\0';
	return rc;
}

/* ENODEV: there was no driver any more, which is as well. */
static int driver_unbind(const char *name)
{
	char path[SYSFS_PATH_BYTES];
	int rc = sysfs_bus_path(path, "devices/%s/driver/unbind", name);

	if (!rc)
		rc = attribute_write(path, name);
	return rc == -ENODEV || rc == -ENOENT ? 0 : rc;
}

/* Unlike drivers_probe, this tells why a driver does not take the device. */
static int driver_bind(const char *name, const char *driver)
{
	char path[SYSFS_PATH_BYTES];
	int rc = sysfs_bus_path(path, "drivers/%s/bind", driver);

	return rc ? rc : attribute_write(path, name);
}

static int driver_probe(const char *name)
{
	char path[SYSFS_PATH_BYTES];
	int rc = sysfs_bus_path(path, "drivers_probe");

	return rc ? rc : attribute_write(path, name);
}

/* ---- the moves ---- */

static void at(const struct glue_driver_change *c, enum glue_driver_step step)
{
	if (c->at)
		c->at(c->context, step);
}

/* The driver that it has now, in words. */
static const char *state_words(const char *name, char words[SYSFS_DRIVER_BYTES + 32])
{
	char driver[SYSFS_DRIVER_BYTES];

	sysfs_driver_read(name, driver);
	if (driver[0])
		snprintf(words, SYSFS_DRIVER_BYTES + 32, "driver %s has it", driver);
	else
		snprintf(words, SYSFS_DRIVER_BYTES + 32, "it has no driver now");
	return words;
}

static int override_change(const struct glue_driver_change *c, const char *to,
			   char before[OVERRIDE_BYTES], struct fault *why)
{
	int rc;

	at(c, GLUE_DRIVER_OVERRIDE);
	rc = override_read(c->name, before);
	if (!rc)
		rc = override_write(c->name, to);
	return rc ? REFUSE(why, IOB_E_KERNEL, -rc, "driver_override of %s cannot be set: %s",
			   c->name, strerror(-rc)) :
		    0;
}

static int unbind(const struct glue_driver_change *c, const char *driver,
		  const char override[OVERRIDE_BYTES], struct fault *why)
{
	char words[SYSFS_DRIVER_BYTES + 32];
	int rc;

	if (!driver[0])
		return 0;
	at(c, GLUE_DRIVER_UNBIND);
	rc = driver_unbind(c->name);
	if (!rc)
		return 0;
	override_write(c->name, override);
	return REFUSE(why, IOB_E_KERNEL, -rc, "driver %.40s cannot be unbound from %s: %s; %s",
		      driver, c->name, strerror(-rc), state_words(c->name, words));
}

static const char *bind_words(int error)
{
	switch (error) {
	case 0:
	case ENODEV:
		return "it does not know the device";
	case EINVAL:
		return "no IOMMU serves the device, or it is no endpoint";
	case EBUSY:
		return "another driver has it, or its IOMMU group is in use";
	case ENOENT:
		return "it is not loaded";
	default:
		return strerror(error);
	}
}

/* vfio-pci did not take it: as it was before, as far as that goes. */
static int give_back(const struct glue_driver_change *c, int error, const char *driver,
		     const char override[OVERRIDE_BYTES], struct fault *why)
{
	char words[SYSFS_DRIVER_BYTES + 32];

	override_write(c->name, override);
	if (driver[0] && driver_bind(c->name, driver))
		driver_probe(c->name);
	return REFUSE(why, IOB_E_KERNEL, error, VFIO_PCI " did not take %s: %s; %s", c->name,
		      bind_words(error), state_words(c->name, words));
}

static int to_vfio(const struct glue_driver_change *c, struct fault *why)
{
	char before[OVERRIDE_BYTES], driver[SYSFS_DRIVER_BYTES], now[SYSFS_DRIVER_BYTES];
	int rc;

	if (sysfs_driver_read(c->name, driver))
		return 0;
	/* First, so that nothing else can take it once it is free. */
	rc = override_change(c, VFIO_PCI, before, why);
	if (!rc)
		rc = unbind(c, driver, before, why);
	if (rc)
		return rc;
	at(c, GLUE_DRIVER_PROBE);
	rc = driver_bind(c->name, VFIO_PCI);
	if (sysfs_driver_read(c->name, now))
		return 0;
	return give_back(c, -rc, driver, before, why);
}

/*
 * The driver that it had goes first: driver_override may have brought the device there, and another
 * would be found by its ids. The kernel asks for the override at a bind only, so that taking it away
 * afterwards takes no device away. 0, or why the former driver did not take it.
 */
static int host_bind(const struct glue_driver_change *c)
{
	char now[SYSFS_DRIVER_BYTES];
	int rc = 0;

	if (c->former[0]) {
		rc = driver_bind(c->name, c->former);
		override_write(c->name, "");
	}
	sysfs_driver_read(c->name, now);
	if (!now[0])
		driver_probe(c->name);
	return rc;
}

static int to_host(const struct glue_driver_change *c, struct fault *why)
{
	char before[OVERRIDE_BYTES], driver[SYSFS_DRIVER_BYTES], now[SYSFS_DRIVER_BYTES];
	int rc;

	if (!sysfs_driver_read(c->name, driver) && driver[0])
		return 0;
	rc = override_change(c, c->former, before, why);
	if (!rc)
		rc = unbind(c, driver, before, why);
	if (rc)
		return rc;
	at(c, GLUE_DRIVER_PROBE);
	rc = host_bind(c);
	if (sysfs_driver_read(c->name, now))
		return REFUSE(why, IOB_E_KERNEL, 0,
			      "%.40s took %s again, by a list of ids of its own: new_id, or ids= "
			      "of the module",
			      now, c->name);
	if (now[0] || !c->former[0])
		return 0;
	return REFUSE(why, IOB_E_KERNEL, -rc, "driver %s did not take %s back: %s; it has none now",
		      c->former, c->name, bind_words(-rc));
}

int opener_driver_change(const struct glue_driver_change *c, struct fault *why)
{
	if (!sysfs_name_is_bdf(c->name))
		return REFUSE(why, IOB_E_INTERNAL, EINVAL, "no PCI address");
	return c->to == IOB_DRIVER_VFIO ? to_vfio(c, why) : to_host(c, why);
}
