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
#define MAX_ROOT	  (DOCTOR_PATH / 2) /* leaves as much for what is looked at below it */

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

/* Beside this program, as it was built or installed. */
static char *find_brokerd_beside(char path[PATH_MAX])
{
	static const char *const beside[] = { "", "/../sbin", "/../bin" };
	char self[PATH_MAX], dir[PATH_MAX + 16], real[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	for (size_t i = 0; slash && i < sizeof(beside) / sizeof(beside[0]); i++) {
		snprintf(dir, sizeof(dir), "%.*s%s", (int)(slash - self), self, beside[i]);
		if (realpath(dir, real) &&
		    program_in(path, real, (int)strlen(real), "iommu-brokerd"))
			return path;
	}
	return NULL;
}

static bool is_below(const char *path, const char *root)
{
	char real[PATH_MAX], above[PATH_MAX];
	size_t length;

	if (!realpath(path, real) || !realpath(root, above))
		return true; /* who knows */
	length = strlen(above);
	return strncmp(real, above, length) == 0 && real[length] == '/';
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
	if (strlen(root) > MAX_ROOT) {
		fprintf(stderr, "iommuctl: doctor: %s: longer than %u characters\n", root,
			MAX_ROOT);
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

/* Programs of another machine are looked for, not run. What is asked about its configuration is the
 * iommu-brokerd that came with this program, or one that was named. */
static void choose_other(struct doctor *d, char brokerd[PATH_MAX], char checker[PATH_MAX])
{
	d->brokerd = find_brokerd_below(d->root, brokerd);
	d->brokerd_foreign = true;
	d->checker = find_brokerd_beside(checker);
	if (d->checker && is_below(d->checker, d->root))
		d->checker = NULL;
}

static void choose_programs(struct doctor *d, const struct ctl *ctl)
{
	static char brokerd[PATH_MAX], checker[PATH_MAX], systemctl[PATH_MAX], gzip[PATH_MAX];

	if (ctl->brokerd)
		d->brokerd = realpath(ctl->brokerd, brokerd) ? brokerd : ctl->brokerd;
	else if (d->root[0])
		choose_other(d, brokerd, checker);
	else if (!(d->brokerd = find_brokerd_beside(brokerd)))
		d->brokerd = program_in_path(brokerd, "iommu-brokerd");
	if (!d->root[0]) {
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
	static char config[PATH_MAX];
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
	choose_programs(&d, ctl);
	doctor_run(&d);
	if (ctl->json)
		doctor_json(&d);
	else
		doctor_print(&d);
	errors = doctor_count(&d, DOCTOR_ERROR);
	doctor_deinit(&d);
	return errors ? CTL_FAILED : CTL_OK;
}
