/* SPDX-License-Identifier: MIT */
/* doctor-safety.c - can a device do more than it should: forge interrupts, go without an IOMMU? */
#include "doctor.h"

#include <stdio.h>
#include <string.h>

static const char why_interrupts[] =
	"a device writes its interrupts to memory; without remapping it could raise any interrupt of "
	"the machine";

static bool parameter_is_set(const struct doctor *d, const char *module, const char *parameter)
{
	char value[8];

	return doctor_line(d, value, sizeof(value), "/sys/module/%s/parameters/%s", module,
			   parameter) &&
	       (value[0] == 'Y' || value[0] == '1');
}

/* ---- unsafe interrupts ---- */

static void unsafe_allowed(struct doctor *d, const char *module)
{
	bool accepted = d->policy.allow_unsafe_interrupts;
	char path[DOCTOR_PATH];

	snprintf(path, sizeof(path), "/sys/module/%s/parameters/allow_unsafe_interrupts", module);
	doctor_add(d, accepted ? DOCTOR_WARNING : DOCTOR_ERROR, DOCTOR_IS_UNSAFE_INTERRUPTS_ALLOWED,
		   path, "the kernel is told to give out devices that can forge interrupts (%s)%s",
		   path, accepted ? ", and the configuration accepts that" : "");
	doctor_why(d, "%s%s", why_interrupts,
		   accepted ? "" : "; the broker refuses to bind a device as long as this is set");
	doctor_mend(d, "echo N > %s", path);
	doctor_mend(d, "remove allow_unsafe_interrupts from /etc/modprobe.d/ and from the kernel's "
		       "command line");
}

enum remapping { REMAPPING_ON, REMAPPING_OFF, REMAPPING_UNKNOWN };

/* On x86 the chips of interrupts that are remapped have "IR-" before their name. */
static enum remapping remapping(const struct doctor *d)
{
	doctor_cleanup_free char *text = doctor_file(d, "/proc/interrupts");

	if (!text)
		return REMAPPING_UNKNOWN;
	if (strstr(text, " IR-"))
		return REMAPPING_ON;
	return strstr(text, "PCI-MSI") || strstr(text, "IO-APIC") ? REMAPPING_OFF :
								    REMAPPING_UNKNOWN;
}

static bool has_real_iommu(const struct doctor *d)
{
	doctor_cleanup_names struct doctor_names n;

	doctor_names(d, &n, "/sys/class/iommu");
	for (size_t i = 0; i < n.count; i++) {
		if (!strstr(n.names[i], "selftest"))
			return true;
	}
	return false;
}

static void remapping_off(struct doctor *d)
{
	char line[4096];

	doctor_line(d, line, sizeof(line), "/proc/cmdline");
	doctor_add(d, DOCTOR_ERROR, DOCTOR_IS_INTERRUPT_REMAPPING_OFF, "/proc/interrupts",
		   "the IOMMU does not remap interrupts");
	doctor_why(d, "%s, so the kernel gives none out", why_interrupts);
	if (doctor_has_word(line, "nointremap"))
		doctor_mend(d, "take \"nointremap\" off the kernel's command line and reboot");
	else if (doctor_has_word(line, "intremap=off"))
		doctor_mend(d, "take \"intremap=off\" off the kernel's command line and reboot");
	else
		doctor_mend(d, "turn on interrupt remapping (often: x2APIC, VT-d) in the firmware "
			       "setup; in QEMU: -machine kernel-irqchip=split -device "
			       "intel-iommu,intremap=on");
	doctor_mend(d,
		    "dmesg | grep -iE 'DMAR-IR|AMD-Vi: Interrupt remapping' (what the kernel says "
		    "of it)");
}

void doctor_check_interrupts(struct doctor *d)
{
	static const char *const modules[] = { "vfio_iommu_type1", "iommufd" };
	bool allowed = false;

	for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
		if (!parameter_is_set(d, modules[i], "allow_unsafe_interrupts"))
			continue;
		unsafe_allowed(d, modules[i]);
		allowed = true;
	}
	if (!has_real_iommu(d))
		return;
	if (remapping(d) == REMAPPING_OFF)
		remapping_off(d);
	else if (!allowed && remapping(d) == REMAPPING_ON)
		doctor_add(d, DOCTOR_OK, DOCTOR_IS_INTERRUPTS, "",
			   "devices cannot forge interrupts");
}

/* ---- devices without an IOMMU ---- */

void doctor_check_noiommu(struct doctor *d)
{
	static const char parameter[] = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode";

	if (parameter_is_set(d, "vfio", "enable_unsafe_noiommu_mode")) {
		doctor_add(d, DOCTOR_WARNING, DOCTOR_IS_NOIOMMU_MODE, parameter,
			   "VFIO may give out devices that no IOMMU contains");
		doctor_why(d,
			   "whoever gets such a device can read and write all memory; the broker "
			   "never uses one, but other programs may");
		doctor_mend(d, "echo N > %s", parameter);
	}
	for (size_t i = 0; i < d->device_count; i++) {
		const struct doctor_device *device = &d->devices[i];

		if (!device->noiommu)
			continue;
		doctor_add(d, device->in_policy ? DOCTOR_ERROR : DOCTOR_WARNING,
			   DOCTOR_IS_DEVICE_NOIOMMU, device->name,
			   "device %s is on VFIO without an IOMMU (noiommu mode)", device->name);
		doctor_why(d, "nothing contains its DMA; the broker does not give it out");
		doctor_mend(d, "echo %s > /sys/bus/pci/devices/%s/driver/unbind", device->name,
			    device->name);
	}
}
