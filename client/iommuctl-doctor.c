/* SPDX-License-Identifier: MIT */
/* iommuctl-doctor.c - "doctor": where to look, and the exit code. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "doctor.h"
#include "iommuctl.h"

#define MAX_PATH_VARIABLE 4096u

/* dir/name, if it is a program. Returns path, or NULL. */
static char *program_in(char path[PATH_MAX], const char *dir, int dir_length, const char *name)
{
	struct stat st;
	int n = snprintf(path, PATH_MAX, "%.*s/%s", dir_length, dir, name);

	if (n < 0 || n >= PATH_MAX || dir_length == 0 || stat(path, &st) < 0 ||
	    !S_ISREG(st.st_mode) || access(path, X_OK) < 0)
		return NULL;
	return path;
}

static char *program_in_path(char path[PATH_MAX], const char *name)
{
	const char *dirs = getenv("PATH");

	while (dirs && *dirs) {
		int length = (int)strcspn(dirs, ":");

		if (length < (int)MAX_PATH_VARIABLE && dirs[0] == '/' &&
		    program_in(path, dirs, length, name))
			return path;
		dirs += length + (dirs[length] == ':');
	}
	return NULL;
}

/* Beside this program, as it was built or installed; else where a shell would find it. */
static char *find_brokerd(char path[PATH_MAX])
{
	static const char *const beside[] = { "", "/../sbin", "/../bin" };
	char self[PATH_MAX], dir[PATH_MAX + 16];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	for (size_t i = 0; slash && i < sizeof(beside) / sizeof(beside[0]); i++) {
		snprintf(dir, sizeof(dir), "%.*s%s", (int)(slash - self), self, beside[i]);
		if (program_in(path, dir, (int)strlen(dir), "iommu-brokerd"))
			return path;
	}
	return program_in_path(path, "iommu-brokerd");
}

static int check_root(const char *root)
{
	struct stat st;

	if (stat(root, &st) < 0) {
		fprintf(stderr, "iommuctl: doctor: %s: %s\n", root, strerror(errno));
		return CTL_USAGE;
	}
	if (!S_ISDIR(st.st_mode)) {
		fprintf(stderr, "iommuctl: doctor: %s: not a directory\n", root);
		return CTL_USAGE;
	}
	return CTL_OK;
}

/* Where packages and "make install" put it. */
static char *find_brokerd_below(const char *root, char path[PATH_MAX])
{
	static const char *const places[] = { "/usr/sbin", "/usr/local/sbin" };
	char dir[PATH_MAX];

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		int n = snprintf(dir, sizeof(dir), "%s%s", root, places[i]);

		if (n < (int)sizeof(dir) && program_in(path, dir, n, "iommu-brokerd"))
			return path;
	}
	return NULL;
}

/* Programs of this machine are asked about this machine only, unless one was named; those of another
 * one are looked for, not run. */
static void choose_programs(struct doctor *d, const struct ctl *ctl, char brokerd[PATH_MAX],
			    char systemctl[PATH_MAX], char gzip[PATH_MAX])
{
	bool here = d->root[0] == '\0';

	if (ctl->brokerd)
		d->brokerd = ctl->brokerd;
	else
		d->brokerd = here ? find_brokerd(brokerd) : find_brokerd_below(d->root, brokerd);
	d->brokerd_foreign = !here && !ctl->brokerd;
	if (here) {
		d->systemctl = program_in_path(systemctl, "systemctl");
		d->gzip = program_in_path(gzip, "gzip");
	}
}

/* An absolute path, as all that the doctor looks at. */
static const char *config_path(const char *config, char path[PATH_MAX])
{
	char here[PATH_MAX];
	int n;

	if (config[0] == '/')
		return config;
	n = getcwd(here, sizeof(here)) ? snprintf(path, PATH_MAX, "%s/%s", here, config) : -1;
	return n > 0 && n < PATH_MAX ? path : NULL;
}

static int choose_config(struct doctor *d, const struct ctl *ctl, char path[PATH_MAX])
{
	if (!ctl->config)
		return CTL_OK;
	d->config_asked = true;
	d->config = d->root[0] && ctl->config[0] != '/' ? NULL : config_path(ctl->config, path);
	if (d->config)
		return CTL_OK;
	fprintf(stderr, "iommuctl: doctor: %s: not a path that begins with a slash\n", ctl->config);
	return CTL_USAGE;
}

int ctl_doctor(const struct ctl *ctl)
{
	static char brokerd[PATH_MAX], systemctl[PATH_MAX], gzip[PATH_MAX], config[PATH_MAX];
	const char *root = ctl->root ? ctl->root : "";
	const char *socket = ctl->socket ? ctl->socket : getenv("IOMMU_BROKER_SOCKET");
	struct doctor d;
	size_t errors;

	if (ctl->root && check_root(root) != CTL_OK)
		return CTL_USAGE;
	doctor_init(&d, strcmp(root, "/") ? root : "");
	if (choose_config(&d, ctl, config) != CTL_OK)
		return CTL_USAGE;
	d.socket = ctl->socket || !ctl->root ? socket : NULL;
	choose_programs(&d, ctl, brokerd, systemctl, gzip);
	doctor_run(&d);
	if (ctl->json)
		doctor_json(&d);
	else
		doctor_print(&d);
	errors = doctor_count(&d, DOCTOR_ERROR);
	doctor_deinit(&d);
	return errors ? CTL_FAILED : CTL_OK;
}
