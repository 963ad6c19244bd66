/* SPDX-License-Identifier: MIT */
/* doctor-view.c - files, links and directories below the root. */
#define _GNU_SOURCE /* reallocarray() */

#include "doctor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES (4u << 20)
#define MAX_NAMES  100000u

__attribute__((format(printf, 3, 0))) static bool
path_make(const struct doctor *d, char path[DOCTOR_PATH], const char *format, va_list args)
{
	int n = snprintf(path, DOCTOR_PATH, "%s", d->root);
	int m = n < 0 || n >= (int)DOCTOR_PATH ?
			-1 :
			vsnprintf(path + n, DOCTOR_PATH - (size_t)n, format, args);

	if (m >= 0 && m < (int)DOCTOR_PATH - n)
		return true;
	errno = ENAMETOOLONG;
	return false;
}

/* The path of a function that ends with (format, ...). */
#define PATH_FROM_ARGUMENTS(d, path, format, made)                  \
	do {                                                        \
		va_list path_args;                                  \
		va_start(path_args, format);                        \
		(made) = path_make((d), (path), format, path_args); \
		va_end(path_args);                                  \
	} while (0)

bool doctor_path(const struct doctor *d, char path[DOCTOR_PATH], const char *format, ...)
{
	bool made;

	PATH_FROM_ARGUMENTS(d, path, format, made);
	return made;
}

/* Attributes tell no size: read until nothing comes. O_NONBLOCK: a FIFO must not hold us up. */
static char *file_read(int fd)
{
	size_t room = 4096, length = 0;
	char *text = doctor_need(malloc(room));
	ssize_t n;

	while ((n = read(fd, text + length, room - length - 1)) > 0) {
		length += (size_t)n;
		if (length >= FILE_BYTES)
			break;
		if (room - length < 2048) {
			room *= 2;
			text = doctor_need(realloc(text, room));
		}
	}
	if (n < 0) {
		int e = errno;

		free(text);
		errno = e;
		return NULL;
	}
	text[length] = '\0';
	return text;
}

static bool is_below(const char *path, const char *root)
{
	doctor_cleanup_free char *above = realpath(root, NULL);
	size_t length = above ? strlen(above) : 0;

	return above && strncmp(path, above, length) == 0 && path[length] == '/';
}

/* Of a prepared tree only its own files are read: a link may lead out of it, and to a device. Opened so
 * that nothing happens, then looked at, then opened. */
static int open_below(const char *root, const char *path)
{
	int fd = open(path, O_PATH | O_CLOEXEC), again = -1, e = EINVAL;
	char way[48], real[PATH_MAX];
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return -1;
	snprintf(way, sizeof(way), "/proc/self/fd/%d", fd);
	n = readlink(way, real, sizeof(real) - 1);
	real[n > 0 ? n : 0] = '\0';
	if (fstat(fd, &st) < 0 || S_ISDIR(st.st_mode)) {
		e = EISDIR;
	} else if (S_ISREG(st.st_mode) && is_below(real, root)) {
		again = open(way, O_RDONLY | O_CLOEXEC);
		e = errno;
	}
	close(fd);
	errno = e;
	return again;
}

/* path: with the root. */
static char *path_read(const struct doctor *d, const char *path)
{
	int fd = d->root[0] ? open_below(d->root, path) :
			      open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char *text;
	int e;

	if (fd < 0)
		return NULL;
	text = file_read(fd);
	e = errno;
	close(fd);
	errno = e;
	return text;
}

char *doctor_file(const struct doctor *d, const char *format, ...)
{
	char path[DOCTOR_PATH];
	bool made;

	PATH_FROM_ARGUMENTS(d, path, format, made);
	return made ? path_read(d, path) : NULL;
}

bool doctor_line(const struct doctor *d, char *line, size_t bytes, const char *format, ...)
{
	char path[DOCTOR_PATH];
	bool made;
	char *text;

	line[0] = '\0';
	PATH_FROM_ARGUMENTS(d, path, format, made);
	text = made ? path_read(d, path) : NULL;
	if (!text)
		return false;
	snprintf(line, bytes, "%.*s", (int)strcspn(text, "\n"), text);
	free(text);
	return true;
}

bool doctor_is_ours(const struct doctor *d, uid_t owner)
{
	return owner == d->root_uid || owner == d->uid;
}

bool doctor_owner(const struct doctor *d, uid_t *owner, const char *format, ...)
{
	char path[DOCTOR_PATH];
	struct stat st;
	bool made;

	PATH_FROM_ARGUMENTS(d, path, format, made);
	if (!made || stat(path, &st) < 0)
		return false;
	*owner = st.st_uid;
	return true;
}

bool doctor_exists(const struct doctor *d, const char *format, ...)
{
	char path[DOCTOR_PATH];
	struct stat st;
	bool made;

	PATH_FROM_ARGUMENTS(d, path, format, made);
	return made && lstat(path, &st) == 0;
}

bool doctor_link(const struct doctor *d, char *name, size_t bytes, const char *format, ...)
{
	char path[DOCTOR_PATH], target[DOCTOR_PATH];
	const char *base;
	ssize_t n;
	bool made;

	name[0] = '\0';
	PATH_FROM_ARGUMENTS(d, path, format, made);
	n = made ? readlink(path, target, sizeof(target) - 1) : -1;
	if (n < 0)
		return false;
	target[n] = '\0';
	base = strrchr(target, '/');
	snprintf(name, bytes, "%s", base ? base + 1 : target);
	return name[0] != '\0';
}

/* ---- directories ---- */

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void names_read(DIR *dir, struct doctor_names *n)
{
	struct dirent *e;

	while (n->count < MAX_NAMES && (e = readdir(dir))) {
		if (e->d_name[0] == '.')
			continue;
		n->names = doctor_need(reallocarray(n->names, n->count + 1, sizeof(n->names[0])));
		n->names[n->count++] = doctor_need(strdup(e->d_name));
	}
	if (n->count)
		qsort(n->names, n->count, sizeof(n->names[0]), compare_names);
}

int doctor_names(const struct doctor *d, struct doctor_names *n, const char *format, ...)
{
	char path[DOCTOR_PATH];
	bool made;
	DIR *dir;

	*n = (struct doctor_names){ 0 };
	PATH_FROM_ARGUMENTS(d, path, format, made);
	dir = made ? opendir(path) : NULL;
	if (!dir)
		return -errno;
	names_read(dir, n);
	closedir(dir);
	return 0;
}

void doctor_names_free(struct doctor_names *n)
{
	for (size_t i = 0; i < n->count; i++)
		free(n->names[i]);
	free(n->names);
	*n = (struct doctor_names){ 0 };
}

/* ---- texts ---- */

char *doctor_next_line(char **rest)
{
	char *line = *rest, *end;

	if (!line || !*line)
		return NULL;
	end = strchr(line, '\n');
	if (end)
		*end = '\0';
	*rest = end ? end + 1 : NULL;
	return line;
}

bool doctor_has_word(const char *text, const char *word)
{
	size_t length = strlen(word);

	while (*text) {
		size_t n;

		text += strspn(text, " \t\n");
		n = strcspn(text, " \t\n");
		if (n == length && memcmp(text, word, n) == 0)
			return true;
		text += n;
	}
	return false;
}
