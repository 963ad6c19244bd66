/* SPDX-License-Identifier: MIT */
/*
 * doctor-modules.c - the parts of the kernel that the broker needs: loaded, to be loaded, or not
 * there; and the device nodes they make.
 */
#include "doctor.h"

#include <stdio.h>
#include <string.h>

enum state { LOADED, BUILT_IN, AVAILABLE, NOT_INSTALLED, ABSENT, UNKNOWN };

/* One that is built in shows only through what it makes. */
static const struct module {
	const char *name;
	const char *evidence; /* there as soon as the module works */
	const char *option;
} modules[] = {
	{ "vfio", "/sys/class/vfio", "CONFIG_VFIO" },
	{ "vfio_pci", "/sys/bus/pci/drivers/vfio-pci", "CONFIG_VFIO_PCI" },
	{ "vfio_iommu_type1", "/sys/module/vfio_iommu_type1", "CONFIG_VFIO_IOMMU_TYPE1" },
	{ "iommufd", "/sys/class/misc/iommu", "CONFIG_IOMMUFD" },
};

enum { VFIO, VFIO_PCI, TYPE1, IOMMUFD, MODULES };

/* "kernel/drivers/vfio/pci/vfio-pci.ko.xz: ..." names vfio_pci. - and _ are the same. */
static bool line_names(const char *line, const char *module)
{
	size_t path = strcspn(line, ":"), i = path;
	const char *name;

	while (i > 0 && line[i - 1] != '/')
		i--;
	name = line + i;
	for (i = 0; module[i]; i++) {
		char c = name[i] == '-' ? '_' : name[i];

		if (c != module[i])
			return false;
	}
	return !strncmp(name + i, ".ko", 3);
}

static bool list_names(const struct doctor *d, const char *release, const char *list,
		       const char *module)
{
	doctor_cleanup_free char *text = doctor_file(d, "/lib/modules/%s/%s", release, list);
	char *rest = text, *line;

	while ((line = doctor_next_line(&rest))) {
		if (line_names(line, module))
			return true;
	}
	return false;
}

static bool is_loaded(const struct doctor *d, const struct module *m)
{
	doctor_cleanup_free char *text = NULL;
	size_t length = strlen(m->name);
	char *rest, *line;

	if (doctor_exists(d, "/sys/module/%s", m->name) || doctor_exists(d, "%s", m->evidence))
		return true;
	text = doctor_file(d, "/proc/modules");
	rest = text;
	while ((line = doctor_next_line(&rest))) {
		if (!strncmp(line, m->name, length) && line[length] == ' ')
			return true;
	}
	return false;
}

/* Without CONFIG_MODULES there is no list of modules: what is not built in is not there. */
static bool kernel_takes_modules(const struct doctor *d)
{
	return doctor_exists(d, "/proc/modules") || !doctor_exists(d, "/proc/sys/kernel/osrelease");
}

static enum state state_as_built(const struct doctor *d, const struct module *m)
{
	char built = doctor_kernel_option(d, m->option);

	if (built == 'y')
		return BUILT_IN;
	return built == 'n' || !kernel_takes_modules(d) ? ABSENT : UNKNOWN;
}

static enum state state_of(const struct doctor *d, const char *release, const struct module *m)
{
	if (is_loaded(d, m))
		return LOADED;
	if (!kernel_takes_modules(d) || !doctor_exists(d, "/lib/modules/%s/modules.dep", release))
		return state_as_built(d, m);
	if (list_names(d, release, "modules.builtin", m->name))
		return BUILT_IN;
	if (list_names(d, release, "modules.dep", m->name))
		return AVAILABLE;
	return doctor_kernel_option(d, m->option) == 'm' ? NOT_INSTALLED : ABSENT;
}

static bool works(enum state state)
{
	return state == LOADED || state == BUILT_IN;
}

/* ---- not there ---- */

static void not_built(struct doctor *d, const struct module *m, const char *release)
{
	doctor_add(d, DOCTOR_ERROR, DOCTOR_IS_MODULE_NOT_BUILT, m->name,
		   "kernel %s was built without %s: it is neither built in nor among the modules",
		   release, m->name);
	doctor_mend(d, "boot a kernel with %s=m or =y (on Debian and Ubuntu: not the cloud kernel)",
		    m->option);
}

static void not_installed(struct doctor *d, const struct module *m, const char *release)
{
	doctor_add(d, DOCTOR_ERROR, DOCTOR_IS_MODULE_NOT_INSTALLED, m->name,
		   "kernel %s was built with the module %s, but it is not among those in "
		   "/lib/modules/%s",
		   release, m->name, release);
	doctor_mend(d,
		    "install the rest of this kernel's modules (Ubuntu: linux-modules-extra-%s; "
		    "Fedora, RHEL: kernel-modules-%s)",
		    release, release);
	doctor_mend_load(d, m->name);
}

static void not_working(struct doctor *d, const struct module *m, enum state state,
			const char *release, const char *why)
{
	bool lost = false;

	if (state == AVAILABLE) {
		doctor_module_not_loaded(d, m->name);
	} else if (state == ABSENT) {
		not_built(d, m, release);
	} else if (state == NOT_INSTALLED) {
		not_installed(d, m, release);
	} else {
		lost = true;
		doctor_add(d, DOCTOR_ERROR, DOCTOR_IS_MODULE_FILES_MISSING, m->name,
			   "%s is not loaded, and there is no /lib/modules/%s to load it from",
			   m->name, release);
		doctor_mend(d, "reboot, or install the modules of kernel %s", release);
	}
	doctor_why(d, "%s%s", why,
		   lost ? "; when the kernel was upgraded since the last boot, the running one "
			  "has lost its modules" :
			  "");
}

/* ---- the two ways to the IOMMU ---- */

static const char why_backend[] =
	"the broker reaches the IOMMU through iommufd or through a type1 container, one of them "
	"is enough";

static bool is_wanted(const struct doctor *d, const char *backend)
{
	return !strcmp(d->policy.backend, backend);
}

/* The one of which to say that it is missing, where either would do. */
static size_t nearest_backend(const struct doctor *d, const enum state *states)
{
	return states[IOMMUFD] == AVAILABLE && doctor_has_cdevs(d) ? IOMMUFD : TYPE1;
}

static void check_backends(struct doctor *d, const enum state *states, const char *release)
{
	bool type1 = works(states[TYPE1]), loaded = works(states[IOMMUFD]);
	bool iommufd = loaded && doctor_has_cdevs(d);
	size_t nearest = nearest_backend(d, states);

	if (is_wanted(d, "type1") && !type1) {
		not_working(d, &modules[TYPE1], states[TYPE1], release,
			    "the configuration says backend = type1");
	} else if (is_wanted(d, "iommufd") && !loaded) {
		/* Of a kernel that is too old for it, nothing more is to be said. */
		if (!doctor_is_too_old_for_iommufd(d))
			not_working(d, &modules[IOMMUFD], states[IOMMUFD], release,
				    "the configuration says backend = iommufd");
	} else if (!type1 && !iommufd && !is_wanted(d, "iommufd")) {
		not_working(d, &modules[nearest], states[nearest], release, why_backend);
	} else if (type1 || iommufd) {
		doctor_add(d, DOCTOR_OK, DOCTOR_IS_BACKENDS, "", "%s%s%s can be used",
			   iommufd ? "iommufd" : "", iommufd && type1 ? " and " : "",
			   type1 ? "type1" : "");
	}
}

/* ---- the nodes ---- */

static const struct node {
	const char *path;
	const char *backend;
	uint32_t number;
	size_t module;
} nodes[] = {
	{ "/dev/iommu", "iommufd", IOB_BACKEND_IOMMUFD, IOMMUFD },
	{ "/dev/vfio/vfio", "type1", IOB_BACKEND_TYPE1, TYPE1 },
};

#define NODES (sizeof(nodes) / sizeof(nodes[0]))

/* Does another backend that would do have its node? */
static bool other_node(const struct doctor *d, const enum state *states, const struct node *node)
{
	for (size_t i = 0; i < NODES; i++) {
		if (&nodes[i] == node || !works(states[nodes[i].module]) ||
		    !doctor_exists(d, "%s", nodes[i].path))
			continue;
		if (nodes[i].number != IOB_BACKEND_IOMMUFD || doctor_has_cdevs(d))
			return true;
	}
	return false;
}

/* The backend in use needs its node, and so does the one to be used after the next start. */
static bool is_needed(const struct doctor *d, const enum state *states, const struct node *node)
{
	if (d->answer.backend == node->number || is_wanted(d, node->backend))
		return true;
	return is_wanted(d, "auto") && d->answer.backend == 0 && !other_node(d, states, node);
}

static void check_node(struct doctor *d, const enum state *states, const struct node *node)
{
	if (states[node->module] != LOADED || doctor_exists(d, "%s", node->path) ||
	    !is_needed(d, states, node))
		return;
	doctor_add(d, DOCTOR_ERROR, DOCTOR_IS_NODE_MISSING, node->path,
		   "the kernel has it, but there is no %s", node->path);
	doctor_why(d,
		   "the broker opens the IOMMU through this node; a /dev that is not devtmpfs, as "
		   "in a container, does not get it");
	doctor_mend(d, "pass %s into the container, or: mount -t devtmpfs devtmpfs /dev",
		    node->path);
}

void doctor_check_modules(struct doctor *d)
{
	static const char why_vfio[] = "devices are given to programs through VFIO";
	enum state states[MODULES];
	char release[128];

	doctor_kernel_version(d, release);
	for (size_t i = 0; i < MODULES; i++)
		states[i] = state_of(d, release, &modules[i]);
	/* Built in without groups, vfio itself leaves no trace. */
	if (works(states[VFIO_PCI]))
		states[VFIO] = LOADED;
	for (size_t i = VFIO; i <= VFIO_PCI; i++) {
		if (works(states[i]))
			doctor_add(d, DOCTOR_OK, DOCTOR_IS_MODULE, modules[i].name, "%s is there",
				   modules[i].name);
		else
			not_working(d, &modules[i], states[i], release, why_vfio);
	}
	check_backends(d, states, release);
	for (size_t i = 0; i < NODES; i++)
		check_node(d, states, &nodes[i]);
}
