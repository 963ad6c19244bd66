/* SPDX-License-Identifier: MIT */
/* doctor-kernel.c - is the kernel new enough, for what; is it one to run clients on? */
#include "doctor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TYPE1_VERSION	 6001u
#define CDEV_VERSION	 6006u
#define MAP_FILE_VERSION 6019u

unsigned doctor_kernel_version(const struct doctor *d, char release[128])
{
	unsigned long major, minor;
	char *end;

	if (!doctor_line(d, release, 128, "/proc/sys/kernel/osrelease"))
		return 0;
	major = strtoul(release, &end, 10);
	if (*end != '.' || major > 1000)
		return 0;
	minor = strtoul(end + 1, NULL, 10);
	return (unsigned)(major * 1000 + (minor < 999 ? minor : 999));
}

bool doctor_is_too_old_for_iommufd(const struct doctor *d)
{
	char release[128];
	unsigned version = doctor_kernel_version(d, release);

	return version > 0 && version < CDEV_VERSION;
}

/* Some distributions bring VFIO of newer kernels to theirs without changing the version. */
static void too_old(struct doctor *d, const char *release)
{
	bool works =
		d->answer.backend == IOB_BACKEND_TYPE1 || d->answer.backend == IOB_BACKEND_IOMMUFD;

	doctor_add(d, works ? DOCTOR_NOTE : DOCTOR_ERROR, DOCTOR_IS_KERNEL_TOO_OLD, release,
		   works ? "kernel %s calls itself older than 6.1, but the broker works on it" :
			   "kernel %s is too old: the broker needs 6.1 for type1, 6.6 for iommufd",
		   release);
	doctor_why(d, works ? "the broker found what it needs when it started: its distribution "
			      "has brought that to this kernel" :
			      "older kernels lack what the broker relies on to take a device back");
	if (!works)
		doctor_mend(d, "boot kernel 6.1 or newer");
}

static void check_version(struct doctor *d, const char *release, unsigned version)
{
	if (version == 0) {
		doctor_unseen(d, "the version of the kernel (/proc/sys/kernel/osrelease)");
	} else if (version < TYPE1_VERSION) {
		too_old(d, release);
	} else if (version < CDEV_VERSION && d->answer.backend != IOB_BACKEND_IOMMUFD) {
		bool wanted = !strcmp(d->policy.backend, "iommufd");

		doctor_add(d, wanted ? DOCTOR_ERROR : DOCTOR_NOTE,
			   DOCTOR_IS_KERNEL_TOO_OLD_FOR_IOMMUFD, release,
			   "kernel %s does for type1; iommufd needs 6.6", release);
		doctor_why(d,
			   wanted ? "the configuration says backend = iommufd" :
				    "only from 6.6 on devices can be bound to iommufd one by one");
		if (wanted)
			doctor_mend(d, "in [daemon] of the configuration: backend = auto");
		doctor_mend(d, "boot kernel 6.6 or newer");
	} else if (version >= CDEV_VERSION && version < MAP_FILE_VERSION) {
		doctor_add(d, DOCTOR_NOTE, DOCTOR_IS_KERNEL_TOO_OLD_FOR_MAP_FILE, release,
			   "kernel %s does; huge pages are mapped faster from 6.19 on", release);
		doctor_why(d, "before 6.19 the kernel does not clear missing huge pages that are "
			      "mapped by file, so the broker maps them by address");
	} else {
		doctor_add(d, DOCTOR_OK, DOCTOR_IS_KERNEL, release, "kernel %s", release);
	}
}

/* ---- what it was built with ---- */

#define CONFIG_BYTES (1u << 20)

/* /proc/config.gz, of which the kernel speaks for itself. */
static char *config_of_the_running(const struct doctor *d)
{
	char path[DOCTOR_PATH];
	char *argv[] = { (char *)(uintptr_t)d->gzip, (char *)(uintptr_t) "-dc", path, NULL };
	char *text;

	if (!d->gzip || !doctor_path(d, path, "/proc/config.gz") || access(path, R_OK) < 0)
		return NULL;
	text = doctor_need(malloc(CONFIG_BYTES));
	if (doctor_program(d, argv, text, CONFIG_BYTES) == 0)
		return text;
	free(text);
	return NULL;
}

void doctor_kernel_config(struct doctor *d)
{
	char release[128];

	doctor_kernel_version(d, release);
	d->kernel_config = config_of_the_running(d);
	if (!d->kernel_config)
		d->kernel_config = doctor_file(d, "/boot/config-%s", release);
	if (!d->kernel_config)
		d->kernel_config = doctor_file(d, "/lib/modules/%s/config", release);
}

/* Options that depend on one that is off are not in the file at all. */
char doctor_kernel_option(const struct doctor *d, const char *option)
{
	const char *line = d->kernel_config;
	size_t length = strlen(option);

	if (!line || !strstr(line, "CONFIG_"))
		return '?';
	for (; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, option, length) && line[length] == '=')
			return line[length + 1];
	}
	return 'n';
}

static bool is_test_kernel(const struct doctor *d)
{
	return doctor_exists(d, "/sys/bus/iommufd_mock") ||
	       doctor_kernel_option(d, "CONFIG_IOMMUFD_TEST") == 'y';
}

/* ---- one character device for each VFIO device ---- */

static bool cdevs_are_made(const struct doctor *d)
{
	doctor_cleanup_free char *devices = doctor_file(d, "/proc/devices");

	return doctor_exists(d, "/dev/vfio/devices") ||
	       (devices && strstr(devices, " vfio-dev\n") != NULL);
}

/* The range of numbers is registered when vfio starts: before that only the build can tell. */
bool doctor_has_cdevs(const struct doctor *d)
{
	char built = doctor_kernel_option(d, "CONFIG_VFIO_DEVICE_CDEV");

	if (doctor_exists(d, "/sys/class/vfio") || cdevs_are_made(d))
		return cdevs_are_made(d);
	return built == 'y' || (built == '?' && !doctor_is_too_old_for_iommufd(d));
}

uint32_t doctor_backend(const struct doctor *d)
{
	if (d->answer.backend)
		return d->answer.backend;
	if (!strcmp(d->policy.backend, "sim"))
		return IOB_BACKEND_SIM;
	if (!strcmp(d->policy.backend, "type1"))
		return IOB_BACKEND_TYPE1;
	if (!strcmp(d->policy.backend, "iommufd"))
		return IOB_BACKEND_IOMMUFD;
	return doctor_exists(d, "/dev/iommu") && doctor_has_cdevs(d) &&
			       (d->policy.allow_test_kernel || !is_test_kernel(d)) ?
		       IOB_BACKEND_IOMMUFD :
		       IOB_BACKEND_TYPE1;
}

static void check_cdevs(struct doctor *d, unsigned version)
{
	bool type1 = doctor_exists(d, "/sys/module/vfio_iommu_type1") &&
		     strcmp(d->policy.backend, "iommufd") != 0;

	/* The range of numbers is registered when vfio starts: before that nothing can be told. */
	if (version < CDEV_VERSION || !doctor_exists(d, "/dev/iommu") ||
	    !doctor_exists(d, "/sys/class/vfio") || cdevs_are_made(d))
		return;
	doctor_add(d, type1 ? DOCTOR_NOTE : DOCTOR_ERROR, DOCTOR_IS_KERNEL_WITHOUT_CDEV,
		   "/dev/iommu",
		   "the kernel has iommufd, but makes no character device for each VFIO device");
	doctor_why(d, type1 ? "the broker uses type1 instead" :
			      "the iommufd backend cannot bind devices without it");
	doctor_mend(d, "boot a kernel with CONFIG_VFIO_DEVICE_CDEV=y, or load vfio_iommu_type1 and "
		       "have backend = auto");
}

/* Under lockdown VFIO works; modules of one's own do not load. */
static void check_lockdown(struct doctor *d)
{
	char line[128];

	if (!doctor_line(d, line, sizeof(line), "/sys/kernel/security/lockdown") ||
	    strstr(line, "[none]"))
		return;
	doctor_add(d, DOCTOR_NOTE, DOCTOR_IS_KERNEL_LOCKDOWN, "/sys/kernel/security/lockdown",
		   "the kernel is locked down (%s)", line);
	doctor_why(d,
		   "VFIO and the broker work under it; modules without a signature that the kernel "
		   "knows are not loaded");
}

void doctor_check_kernel(struct doctor *d)
{
	char release[128];
	unsigned version = doctor_kernel_version(d, release);

	check_version(d, release, version);
	check_cdevs(d, version);
	check_lockdown(d);
}

/* ---- a kernel built for testing ---- */

/* With backend = auto the broker then takes type1. */
static bool type1_instead(const struct doctor *d)
{
	return doctor_backend(d) == IOB_BACKEND_TYPE1 &&
	       doctor_exists(d, "/sys/module/vfio_iommu_type1") &&
	       doctor_exists(d, "/dev/vfio/vfio");
}

void doctor_check_test_kernel(struct doctor *d)
{
	bool accepted = d->policy.allow_test_kernel || !strcmp(d->policy.backend, "type1");
	bool instead = !accepted && type1_instead(d);
	char release[128];

	if (!is_test_kernel(d))
		return;
	doctor_kernel_version(d, release);
	doctor_add(d, accepted || instead ? DOCTOR_WARNING : DOCTOR_ERROR,
		   DOCTOR_IS_KERNEL_FOR_TESTING, release,
		   "kernel %s was built with CONFIG_IOMMUFD_TEST%s", release,
		   accepted ? ", and the configuration lets it pass" :
		   instead  ? ", so the broker uses type1" :
			      "");
	doctor_why(d,
		   "its test requests make devices up and reach the kernel's insides; the iommufd "
		   "backend refuses to start on it");
	doctor_mend(d, "boot a kernel without CONFIG_IOMMUFD_TEST");
}
