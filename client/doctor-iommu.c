/* SPDX-License-Identifier: MIT */
/* doctor-iommu.c - is there an IOMMU, and is it on? */
#include "doctor.h"

#include <stdio.h>
#include <string.h>

#define TABLES "/sys/firmware/acpi/tables"

static const char why_iommu[] =
	"without an IOMMU a device reaches all memory, so the kernel gives no device to programs";

/* The tables in which firmware describes an IOMMU, and the drivers that read them. */
static const struct table {
	const char *name;
	const char *options[2];
	const char *parameter; /* of its own on the kernel's command line, or NULL */
	bool x86;	       /* heeds iommu=off */
} tables[] = {
	{ "DMAR", { "CONFIG_INTEL_IOMMU" }, "intel_iommu", true },
	{ "IVRS", { "CONFIG_AMD_IOMMU" }, "amd_iommu", true },
	{ "IORT", { "CONFIG_ARM_SMMU_V3", "CONFIG_ARM_SMMU" }, NULL, false },
	{ "VIOT", { "CONFIG_VIRTIO_IOMMU" }, NULL, false },
};

#define INTEL	    (&tables[0])
#define TABLE_COUNT (sizeof(tables) / sizeof(tables[0]))

struct iommu {
	char list[256]; /* names of the IOMMUs at work */
	size_t count;
	size_t groups;
	const struct table *table; /* or NULL: firmware describes none */
	const char *line;	   /* the kernel's command line */
};

/* The kernel's test code registers one that translates for nobody. */
static void read_iommus(const struct doctor *d, struct iommu *i)
{
	doctor_cleanup_names struct doctor_names n;
	size_t length = 0;

	doctor_names(d, &n, "/sys/class/iommu");
	for (size_t k = 0; k < n.count; k++) {
		if (strstr(n.names[k], "selftest"))
			continue;
		i->count++;
		if (length + strlen(n.names[k]) + 3 < sizeof(i->list))
			length += (size_t)snprintf(i->list + length, sizeof(i->list) - length,
						   "%s%s", length ? ", " : "", n.names[k]);
	}
}

static size_t count_names(const struct doctor *d, const char *path)
{
	doctor_cleanup_names struct doctor_names n;

	doctor_names(d, &n, "%s", path);
	return n.count;
}

static const struct table *firmware_table(const struct doctor *d)
{
	for (size_t i = 0; i < TABLE_COUNT; i++) {
		if (doctor_exists(d, TABLES "/%s", tables[i].name))
			return &tables[i];
	}
	return NULL;
}

/* ---- words that keep it off ---- */

/* Of Intel's the last word counts; the others cannot be turned on again. */
static void collect_off(const char *line, const struct table *table, char words[DOCTOR_WORD])
{
	if (!table->parameter ||
	    (table == INTEL && !doctor_boot_says(line, table->parameter, "off", "on")))
		return;
	doctor_boot_collect(line, table->parameter, "off", words);
}

/* Without a table it may be any that the words are for. */
static void words_that_turn_off(const struct iommu *i, char words[DOCTOR_WORD])
{
	words[0] = '\0';
	if (!i->table || i->table->x86)
		doctor_boot_collect(i->line, "iommu", "off", words);
	for (size_t k = 0; k < TABLE_COUNT; k++) {
		if (!i->table || i->table == &tables[k])
			collect_off(i->line, &tables[k], words);
	}
}

/* Many kernels leave Intel's off unless they are told; how this one was built may not be known. */
static bool not_asked_for(const struct doctor *d, const struct iommu *i)
{
	return i->table == INTEL && !doctor_boot_says(i->line, "intel_iommu", "on", "off") &&
	       doctor_kernel_option(d, "CONFIG_INTEL_IOMMU_DEFAULT_ON") != 'y';
}

static void turned_off(struct doctor *d, const struct iommu *i, const char *words)
{
	doctor_add(
		d, DOCTOR_ERROR, DOCTOR_IS_IOMMU_OFF_ON_KERNEL_LINE, "/proc/cmdline",
		"firmware describes an IOMMU (%s), but \"%s\" on the kernel's command line keeps it "
		"off",
		i->table->name, words);
	doctor_why(d, "%s", why_iommu);
	doctor_mend_kernel_line(d, not_asked_for(d, i) ? "intel_iommu=on" : "", words);
}

/* ---- none that firmware tells of ---- */

static bool acpi_is_off(const char *line)
{
	return doctor_boot_says(line, "acpi", "off", "force");
}

static void acpi_off(struct doctor *d)
{
	doctor_add(d, DOCTOR_ERROR, DOCTOR_IS_IOMMU_OFF_ON_KERNEL_LINE, "/proc/cmdline",
		   "\"acpi=off\" on the kernel's command line keeps the kernel from finding an "
		   "IOMMU");
	doctor_why(d, "%s", why_iommu);
	doctor_mend_kernel_line(d, "", "acpi=off");
}

static void no_tables(struct doctor *d)
{
	doctor_add(d, DOCTOR_ERROR, DOCTOR_IS_IOMMU_NONE, "/sys/class/iommu",
		   "the kernel knows no IOMMU, and there are no ACPI tables to tell whether "
		   "the machine has one");
	doctor_why(d, "%s", why_iommu);
	doctor_mend(d, "describe the IOMMU in the device tree of this board, or give the "
		       "virtual machine a virtual IOMMU");
}

/* x86 tells by a flag of the processor; elsewhere firmware of QEMU has its name. */
static bool is_virtual(const struct doctor *d)
{
	doctor_cleanup_free char *cpuinfo = doctor_file(d, "/proc/cpuinfo");
	char *rest = cpuinfo, *line, vendor[64];

	while ((line = doctor_next_line(&rest))) {
		if (!strncmp(line, "flags", 5))
			return doctor_has_word(line, "hypervisor");
	}
	return doctor_line(d, vendor, sizeof(vendor), "/sys/class/dmi/id/sys_vendor") &&
	       !strcmp(vendor, "QEMU");
}

static void no_table(struct doctor *d, const struct iommu *i)
{
	bool virtual = is_virtual(d);
	char words[DOCTOR_WORD];

	doctor_add(
		d, DOCTOR_ERROR, DOCTOR_IS_IOMMU_OFF_IN_FIRMWARE, TABLES,
		"firmware describes no IOMMU: there is no DMAR (Intel), IVRS (AMD), IORT (Arm) or "
		"VIOT table%s",
		virtual ? "; this is a virtual machine" : "");
	doctor_why(d, "%s", why_iommu);
	if (virtual)
		doctor_mend(d, "have the host of this virtual machine give it a virtual IOMMU "
			       "(QEMU: -machine q35,kernel-irqchip=split -device "
			       "intel-iommu,intremap=on); not all hosts can");
	else
		doctor_mend(d, "in the firmware setup turn on VT-d (Intel) or AMD-Vi/IOMMU (AMD), "
			       "then boot again");
	words_that_turn_off(i, words);
	if (words[0])
		doctor_mend_kernel_line(d, "", words);
}

/* Xen hides the tables from the kernels that run on it, the first one too. */
static bool runs_on_xen(const struct doctor *d)
{
	char type[16];

	return doctor_line(d, type, sizeof(type), "/sys/hypervisor/type") && !strcmp(type, "xen");
}

static void iommu_of_xen(struct doctor *d)
{
	doctor_add(d, DOCTOR_ERROR, DOCTOR_IS_IOMMU_OF_XEN, "/sys/hypervisor/type",
		   "this kernel runs on Xen, which keeps the IOMMU to itself");
	doctor_why(d, "%s; VFIO does not work here", why_iommu);
	doctor_mend(d, "boot the kernel without Xen (a guest of Xen has no IOMMU at all)");
}

/* ---- one that firmware tells of, and that is not at work ---- */

static bool is_built(const struct doctor *d, const struct table *table)
{
	for (size_t k = 0; k < 2 && table->options[k]; k++) {
		if (doctor_kernel_option(d, table->options[k]) != 'n')
			return true;
	}
	return false;
}

static void not_built(struct doctor *d, const struct table *table)
{
	doctor_add(d, DOCTOR_ERROR, DOCTOR_IS_IOMMU_NOT_BUILT, table->options[0],
		   "firmware describes an IOMMU (%s), but this kernel was built without %s",
		   table->name, table->options[0]);
	doctor_why(d, "%s", why_iommu);
	doctor_mend(d, "boot a kernel with %s=y", table->options[0]);
}

static void not_at_work(struct doctor *d, const struct iommu *i)
{
	char words[DOCTOR_WORD];

	words_that_turn_off(i, words);
	if (!is_built(d, i->table)) {
		not_built(d, i->table);
	} else if (words[0]) {
		turned_off(d, i, words);
	} else if (not_asked_for(d, i)) {
		doctor_add(
			d, DOCTOR_ERROR, DOCTOR_IS_IOMMU_NOT_ASKED_FOR, "/proc/cmdline",
			"firmware describes an IOMMU (DMAR), but this kernel turns it on only when "
			"its command line has intel_iommu=on");
		doctor_why(d, "%s", why_iommu);
		doctor_mend_kernel_line(d, "intel_iommu=on", "");
	} else {
		doctor_add(
			d, DOCTOR_ERROR, DOCTOR_IS_IOMMU_NOT_STARTED, i->table->name,
			"firmware describes an IOMMU (%s), and nothing turns it off, but the kernel "
			"did not start it",
			i->table->name);
		doctor_why(d, "%s", why_iommu);
		doctor_mend(d, "dmesg | grep -iE 'dmar|amd-vi|iommu|smmu' (the reason is there: a "
			       "defect of the firmware, or a kernel built without the driver)");
	}
}

static void none_at_work(struct doctor *d, const struct iommu *i)
{
	if (runs_on_xen(d))
		iommu_of_xen(d);
	else if (i->table)
		not_at_work(d, i);
	else if (acpi_is_off(i->line))
		acpi_off(d);
	else if (doctor_exists(d, TABLES))
		no_table(d, i);
	else
		no_tables(d);
}

void doctor_check_iommu(struct doctor *d)
{
	doctor_cleanup_free char *line = doctor_boot_line(d);
	struct iommu i = { .table = firmware_table(d), .line = line };

	read_iommus(d, &i);
	i.groups = count_names(d, "/sys/kernel/iommu_groups");
	d->iommu_off = i.count == 0 || i.groups == 0;
	if (i.count == 0) {
		none_at_work(d, &i);
	} else if (i.groups == 0) {
		doctor_add(d, DOCTOR_ERROR, DOCTOR_IS_IOMMU_SERVES_NOTHING,
			   "/sys/kernel/iommu_groups",
			   "there is an IOMMU (%s), but no device is behind it: there are no IOMMU "
			   "groups",
			   i.list);
		doctor_why(d, "%s", why_iommu);
		doctor_mend(d, "dmesg | grep -i iommu (the reason is there)");
	} else {
		doctor_add(d, DOCTOR_OK, DOCTOR_IS_IOMMU, "/sys/class/iommu",
			   "%zu IOMMU%s at work (%s), %zu groups", i.count, i.count == 1 ? "" : "s",
			   i.list, i.groups);
	}
}
