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

/*
 * Of x86 only, where the chips of interrupts that are remapped have "IR-" before their name. Every
 * such machine has an IO-APIC; PCI-MSI is a name that others use for theirs, too.
 */
static enum remapping remapping(const struct doctor *d)
{
	doctor_cleanup_free char *text = doctor_file(d, "/proc/interrupts");

	if (!text)
		return REMAPPING_UNKNOWN;
	if (strstr(text, " IR-"))
		return REMAPPING_ON;
	return strstr(text, " IO-APIC") ? REMAPPING_OFF : REMAPPING_UNKNOWN;
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

/* The module whose parameter decides. */
static const char *module_in_use(const struct doctor *d)
{
	return doctor_backend(d) == IOB_BACKEND_IOMMUFD ? "iommufd" : "vfio_iommu_type1";
}

static void mend_remapping(struct doctor *d)
{
	doctor_cleanup_free char *line = doctor_boot_line(d);
	char words[DOCTOR_WORD] = "", word[DOCTOR_WORD];
	const char *rest = line;

	if (doctor_boot_word(&rest, "nointremap", word))
		doctor_mend_kernel_line(d, "", word);
	else if (doctor_boot_says(line, "intremap", "off", "on")) {
		doctor_boot_collect(line, "intremap", "off", words);
		doctor_mend_kernel_line(d, "", words);
	} else {
		doctor_mend(d, "turn on interrupt remapping (often: x2APIC, VT-d) in the firmware "
			       "setup; in QEMU: -machine kernel-irqchip=split -device "
			       "intel-iommu,intremap=on");
	}
}

static void mend_by_accepting(struct doctor *d)
{
	const char *module = module_in_use(d);

	doctor_mend(d,
		    "or, as the configuration accepts it: echo Y > "
		    "/sys/module/%s/parameters/allow_unsafe_interrupts",
		    module);
	doctor_mend(d,
		    "to keep that: echo options %s allow_unsafe_interrupts=1 >> "
		    "/etc/modprobe.d/iommu-broker.conf (built into the kernel: "
		    "%s.allow_unsafe_interrupts=1 on its command line)",
		    module, module);
}

static void remapping_off(struct doctor *d)
{
	bool accepted = d->policy.allow_unsafe_interrupts;
	bool given = accepted && parameter_is_set(d, module_in_use(d), "allow_unsafe_interrupts");

	doctor_add(d, given ? DOCTOR_WARNING : DOCTOR_ERROR, DOCTOR_IS_INTERRUPT_REMAPPING_OFF,
		   "/proc/interrupts", "the IOMMU does not remap interrupts%s",
		   given ? "; the kernel and the configuration accept that" : "");
	doctor_why(d, "%s%s", why_interrupts, given ? "" : ", so the kernel gives none out");
	mend_remapping(d);
	doctor_mend(d,
		    "dmesg | grep -iE 'DMAR-IR|AMD-Vi: Interrupt remapping' (what the kernel says "
		    "of it)");
	if (accepted && !given)
		mend_by_accepting(d);
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

/* ---- groups that are smaller than they are ---- */

/* A patch that many kernels for passing cards through have; the others ignore the word. */
void doctor_check_acs(struct doctor *d)
{
	doctor_cleanup_free char *line = doctor_boot_line(d);
	char word[DOCTOR_WORD];
	const char *rest = line;

	if (!doctor_boot_word(&rest, "pcie_acs_override", word))
		return;
	doctor_add(d, DOCTOR_WARNING, DOCTOR_IS_ACS_OVERRIDDEN, "/proc/cmdline",
		   "\"%s\" on the kernel's command line has a patched kernel make IOMMU groups "
		   "smaller than what the hardware keeps apart",
		   word);
	doctor_why(d, "devices of what should be one group may reach each other past the IOMMU, so "
		      "clients that have them are not kept apart");
	doctor_mend_kernel_line(d, "", word);
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
