/* SPDX-License-Identifier: MIT */
/* doctor-iommu.c - is there an IOMMU, and is it on? */
#include "doctor.h"

#include <stdio.h>
#include <string.h>

#define TABLES "/sys/firmware/acpi/tables"

static const char why_iommu[] =
	"without an IOMMU a device reaches all memory, so the kernel gives no device to programs";

struct iommu {
	char list[256]; /* names of the IOMMUs at work */
	size_t count;
	size_t groups;
	char command_line[4096];
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

/* The table in which firmware describes an IOMMU: Intel, AMD, Arm, virtual. */
static const char *firmware_table(const struct doctor *d)
{
	static const char *const tables[] = { "DMAR", "IVRS", "IORT", "VIOT" };

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		if (doctor_exists(d, TABLES "/%s", tables[i]))
			return tables[i];
	}
	return NULL;
}

static void no_table(struct doctor *d)
{
	if (!doctor_exists(d, TABLES)) {
		doctor_add(
			d, DOCTOR_ERROR, DOCTOR_IS_IOMMU_NONE, "/sys/class/iommu",
			"the kernel knows no IOMMU, and there are no ACPI tables to tell whether "
			"the machine has one");
		doctor_why(d, "%s", why_iommu);
		doctor_mend(d, "describe the IOMMU in the device tree of this board, or give the "
			       "virtual machine a virtual IOMMU");
		return;
	}
	doctor_add(
		d, DOCTOR_ERROR, DOCTOR_IS_IOMMU_OFF_IN_FIRMWARE, TABLES,
		"firmware describes no IOMMU: there is no DMAR (Intel), IVRS (AMD), IORT (Arm) or "
		"VIOT table");
	doctor_why(d, "%s", why_iommu);
	doctor_mend(d,
		    "in the firmware setup turn on VT-d (Intel) or AMD-Vi/IOMMU (AMD), then boot "
		    "again");
	doctor_mend(d, "in a virtual machine: have its host give it a virtual IOMMU (QEMU: -device "
		       "intel-iommu,intremap=on)");
}

/* The word on the kernel's command line that keeps the IOMMU off. */
static const char *word_that_turns_off(const struct iommu *i)
{
	static const char *const words[] = { "iommu=off", "intel_iommu=off", "amd_iommu=off" };

	for (size_t k = 0; k < sizeof(words) / sizeof(words[0]); k++) {
		if (doctor_has_word(i->command_line, words[k]))
			return words[k];
	}
	return NULL;
}

static void turned_off(struct doctor *d, const char *word, const char *table)
{
	doctor_add(
		d, DOCTOR_ERROR, DOCTOR_IS_IOMMU_OFF_ON_KERNEL_LINE, "/proc/cmdline",
		"firmware describes an IOMMU (%s), but \"%s\" on the kernel's command line keeps it "
		"off",
		table, word);
	doctor_why(d, "%s", why_iommu);
	doctor_mend(
		d,
		"take \"%s\" off the kernel's command line (/etc/default/grub, then update-grub; "
		"or grubby --update-kernel=ALL --remove-args=\"%s\")",
		word, word);
	if (!strcmp(table, "DMAR"))
		doctor_mend_kernel_line(d, "intel_iommu=on");
	else
		doctor_mend(d, "reboot");
}

/* Many kernels leave Intel's off unless they are told; others do not. */
static bool intel_asked_for(const struct iommu *i)
{
	const char *word = strstr(i->command_line, "intel_iommu=");

	return word && !strncmp(word, "intel_iommu=on", 14);
}

static void not_at_work(struct doctor *d, const struct iommu *i, const char *table)
{
	const char *word = word_that_turns_off(i);

	if (word) {
		turned_off(d, word, table);
	} else if (!strcmp(table, "DMAR") && !intel_asked_for(i)) {
		doctor_add(
			d, DOCTOR_ERROR, DOCTOR_IS_IOMMU_NOT_ASKED_FOR, "/proc/cmdline",
			"firmware describes an IOMMU (DMAR), but this kernel turns it on only when "
			"its command line has intel_iommu=on");
		doctor_why(d, "%s", why_iommu);
		doctor_mend_kernel_line(d, "intel_iommu=on");
	} else {
		doctor_add(
			d, DOCTOR_ERROR, DOCTOR_IS_IOMMU_NOT_STARTED, table,
			"firmware describes an IOMMU (%s), and nothing turns it off, but the kernel "
			"did not start it",
			table);
		doctor_why(d, "%s", why_iommu);
		doctor_mend(d, "dmesg | grep -iE 'dmar|amd-vi|iommu|smmu' (the reason is there: a "
			       "defect of the firmware, or a kernel built without the driver)");
	}
}

void doctor_check_iommu(struct doctor *d)
{
	struct iommu i = { .count = 0 };
	const char *table = firmware_table(d);

	read_iommus(d, &i);
	i.groups = count_names(d, "/sys/kernel/iommu_groups");
	doctor_line(d, i.command_line, sizeof(i.command_line), "/proc/cmdline");
	if (i.count == 0 && table) {
		not_at_work(d, &i, table);
	} else if (i.count == 0) {
		no_table(d);
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
