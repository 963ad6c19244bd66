/* SPDX-License-Identifier: MIT */
/*
 * monitor-config-files.c - the configuration file and the folder beside it: which files, in which
 * order, and may they be trusted?
 *
 * What is there and cannot be read is an error, never passed over: a rule that is missing by
 * accident takes a device away from somebody, and nobody would be told.
 */
#define _GNU_SOURCE /* asprintf() */

#include "daemon/monitor-config-load.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIG_MAX_FILE_BYTES (1 << 20)
#define CONFIG_SUFFIX	      ".conf"

/* Whoever can write the file can give himself devices; whoever can write the folder can bring back
 * a file that was put out of use. */
static int check_owner(struct load *l, const struct stat *st)
{
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return load_fail(l, IOB_E_DENIED, EPERM,
				 "owned by uid %u, who is neither root nor the "
				 "user that runs the daemon",
				 st->st_uid);
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return load_fail(l, IOB_E_DENIED, EPERM,
				 "mode %04o lets others write it: chmod go-w", st->st_mode & 07777);
	return 0;
}

static int check_file(struct load *l, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return load_fail(l, IOB_E_SYSTEM, errno, "fstat: %s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return load_refuse(l, "not a regular file");
	if (check_owner(l, &st) < 0)
		return -EPERM;
	if (st.st_size > CONFIG_MAX_FILE_BYTES)
		return load_refuse(l, "larger than %u bytes", CONFIG_MAX_FILE_BYTES);
	return 0;
}

/* name: as seen from folder. O_NONBLOCK: a FIFO in its place must not hang the start. */
static int open_file(struct load *l, int folder, const char *name)
{
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return load_fail(l, IOB_E_SYSTEM, errno, "cannot open: %s", strerror(errno));
	if (check_file(l, fd) == 0) {
		l->file = fdopen(fd, "re");
		if (l->file)
			return 0;
		load_fail(l, IOB_E_SYSTEM, errno, "fdopen: %s", strerror(errno));
	}
	close(fd);
	return -1;
}

static void load_file(struct load *l, const char *path, int folder, const char *name)
{
	l->path = path;
	l->line = 0;
	l->section = SECTION_NONE;
	l->daemon_seen = false;
	l->dos_seen = false;
	l->config->file_count++;
	if (open_file(l, folder, name) < 0)
		return;
	load_lines(l);
	fclose(l->file);
	l->file = NULL;
}

/* ---- the folder ---- */

struct names {
	size_t count;
	char *name[CONFIG_MAX_FILES];
};

/* Hidden ones are what editors leave while they work. */
static bool is_wanted(const char *name)
{
	size_t length = strlen(name), suffix = strlen(CONFIG_SUFFIX);

	return name[0] != '.' && length > suffix &&
	       strcmp(name + length - suffix, CONFIG_SUFFIX) == 0;
}

static void collect(struct load *l, DIR *folder, struct names *n)
{
	struct dirent *e;

	while (!l->stopped && (errno = 0, e = readdir(folder)) != NULL) {
		if (!is_wanted(e->d_name))
			continue;
		if (n->count == CONFIG_MAX_FILES) {
			load_refuse(l, "more than %u files", CONFIG_MAX_FILES);
			return;
		}
		n->name[n->count] = strdup(e->d_name);
		if (!n->name[n->count])
			load_no_memory(l);
		else
			n->count++;
	}
	if (!l->stopped && errno)
		load_fail(l, IOB_E_SYSTEM, errno, "cannot read on: %s", strerror(errno));
}

/* Not strcoll(): the order is the same for everybody. */
static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void load_names(struct load *l, const char *path, int folder, struct names *n)
{
	qsort(n->name, n->count, sizeof(n->name[0]), compare_names);
	for (size_t i = 0; i < n->count; i++) {
		char *file = NULL;

		if (!l->stopped && asprintf(&file, "%s/%s", path, n->name[i]) < 0) {
			file = NULL;
			load_no_memory(l);
		}
		if (!l->stopped)
			load_file(l, file, folder, n->name[i]);
		l->path = path;
		free(file);
		free(n->name[i]);
	}
}

/* A descriptor; -ENOENT when there is none, and nothing that should lead to one. */
static int open_folder(struct load *l, int parent)
{
	int fd = openat(parent, CONFIG_FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOCTTY);
	struct stat st;

	if (fd >= 0)
		return fd;
	if (errno == ENOENT && fstatat(parent, CONFIG_FOLDER, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -ENOENT;
	load_fail(l, IOB_E_SYSTEM, errno, "cannot open: %s", strerror(errno));
	return -1;
}

static void load_folder(struct load *l, const char *path, int parent)
{
	struct names n = { .count = 0 };
	struct stat st;
	DIR *folder;
	int fd;

	l->path = path;
	l->line = 0;
	fd = open_folder(l, parent);
	if (fd < 0)
		return;
	if (fstat(fd, &st) < 0)
		load_fail(l, IOB_E_SYSTEM, errno, "fstat: %s", strerror(errno));
	else
		check_owner(l, &st);
	folder = fdopendir(fd);
	if (!folder) {
		close(fd);
		load_no_memory(l);
		return;
	}
	collect(l, folder, &n);
	load_names(l, path, fd, &n);
	closedir(folder);
}

/* ---- where they are ---- */

/*
 * Whoever can write this folder can put another file in place of ours. Not where it is sticky, as /tmp
 * is: there only the owner of a file, and of the folder, can move it away. Further up is not looked at:
 * the administrator chose the path.
 */
static void check_parent(struct load *l, const char *path, int fd)
{
	struct stat st;

	l->path = path;
	l->line = 0;
	if (fstat(fd, &st) < 0) {
		load_fail(l, IOB_E_SYSTEM, errno, "fstat: %s", strerror(errno));
		return;
	}
	if (st.st_mode & S_ISVTX)
		st.st_mode &= ~(mode_t)(S_IWGRP | S_IWOTH);
	check_owner(l, &st);
}

/* path: of the folder they are in, with what separates it from a name; "" for where we are. */
static void load_from(struct load *l, const char *path, const char *name, const char *file)
{
	int parent = open(path[0] ? path : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char *folder = NULL;

	if (parent < 0) {
		l->path = file;
		load_fail(l, IOB_E_SYSTEM, errno, "cannot open: %s", strerror(errno));
		return;
	}
	check_parent(l, path[0] ? path : "./ (the folder that it is in)", parent);
	load_file(l, file, parent, name[0] ? name : ".");
	if (!l->stopped && asprintf(&folder, "%s" CONFIG_FOLDER, path) < 0) {
		folder = NULL;
		load_no_memory(l);
	}
	if (!l->stopped)
		load_folder(l, folder, parent);
	l->path = file; /* the folder's is about to go */
	free(folder);
	close(parent);
}

/* The file, then what is in the folder beside it, in byte order. */
void load_files(struct load *l, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	char *parent = strndup(path, (size_t)(name - path));

	if (!parent) {
		l->path = path;
		load_no_memory(l);
		return;
	}
	load_from(l, parent, name, path);
	l->path = path;
	free(parent);
}
