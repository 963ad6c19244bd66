/* SPDX-License-Identifier: MIT */
/*
 * monitor-config-values.c - what stands behind a key: words, numbers, sizes, yes or no, names.
 *
 * A load_parse_x() is the parse of a struct key: it writes *field only when it returns 0.
 */
#include "daemon/monitor-config-load.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

/* Cuts the next word out of *rest; NULL at the end. */
char *config_next_word(char **rest)
{
	char *word = *rest + strspn(*rest, CONFIG_BLANKS);

	if (*word == '\0')
		return NULL;
	*rest = word + strcspn(word, CONFIG_BLANKS);
	if (**rest != '\0')
		*(*rest)++ = '\0';
	return word;
}

/* Calls take() for each word of value, until it does not return 0; returns what it returned. */
int load_each_word(struct load *l, const char *value,
		   int (*take)(struct load *l, void *field, const char *word), void *field)
{
	char copy[CONFIG_MAX_LINE + 1], *rest = copy, *word;
	int r = 0;

	if (strlen(value) > CONFIG_MAX_LINE)
		return load_refuse(l, "the value is too long");
	if (!l->hint && strchr(value, ','))
		l->hint = " (names are separated by blanks, not commas)";
	memcpy(copy, value, strlen(value) + 1);
	while (r == 0 && (word = config_next_word(&rest)))
		r = take(l, field, word);
	return r;
}

/* False for an empty text. */
bool config_all_digits(const char *text)
{
	if (*text == '\0')
		return false;
	for (; *text; text++) {
		if (!isdigit((unsigned char)*text))
			return false;
	}
	return true;
}

/* Digits only: strtoull() would take a sign, blanks and "0x" as well. */
bool config_parse_digits(const char *text, uint64_t *number)
{
	if (!config_all_digits(text))
		return false;
	errno = 0;
	*number = strtoull(text, NULL, 10);
	return errno == 0;
}

static int parse_number(struct load *l, const struct key *k, const char *value, uint64_t *number)
{
	if (!config_parse_digits(value, number) || *number < k->min || *number > k->max)
		return load_refuse(l, "%s must be a number from %ju to %ju, not \"%.40s\"", k->name,
				   (uintmax_t)k->min, (uintmax_t)k->max, value);
	return 0;
}

int load_parse_u32(struct load *l, const struct key *k, void *field, const char *value)
{
	uint64_t number = 0;
	int r = parse_number(l, k, value, &number);

	if (r == 0)
		*(uint32_t *)field = (uint32_t)number;
	return r;
}

int load_parse_rate(struct load *l, const struct key *k, void *field, const char *value)
{
	uint64_t number = 0;

	if (strcmp(value, "unlimited") == 0)
		number = QUOTA_UNLIMITED;
	else if (!config_parse_digits(value, &number) || number < k->min || number > k->max)
		return load_refuse(
			l, "%s must be a number from %ju to %ju or unlimited, not \"%.40s\"",
			k->name, (uintmax_t)k->min, (uintmax_t)k->max, value);
	*(uint32_t *)field = (uint32_t)number;
	return 0;
}

int load_parse_bytes(struct load *l, const struct key *k, void *field, const char *value)
{
	static const char suffixes[] = "KMGT";
	size_t length = strlen(value);
	const char *suffix = strchr(suffixes, value[length - 1]);
	char digits[24] = "";
	unsigned shift = suffix ? 10 * (unsigned)(suffix - suffixes + 1) : 0;
	uint64_t number = 0;

	length -= suffix != NULL;
	if (length < sizeof(digits))
		memcpy(digits, value, length);
	if (!config_parse_digits(digits, &number) || number > k->max >> shift)
		return load_refuse(l,
				   "%s must be a number of bytes up to %juT, with K, M, G or T, "
				   "not \"%.40s\"",
				   k->name, (uintmax_t)(k->max >> 40), value);
	*(uint64_t *)field = number << shift;
	return 0;
}

int load_parse_bool(struct load *l, const struct key *k, void *field, const char *value)
{
	bool yes = strcmp(value, "yes") == 0;

	if (!yes && strcmp(value, "no") != 0)
		return load_refuse(l, "%s must be yes or no, not \"%.40s\"", k->name, value);
	*(bool *)field = yes;
	return 0;
}

static const char *const backend_names[] = {
	[CONFIG_BACKEND_AUTO] = "auto",
	[CONFIG_BACKEND_SIM] = "sim",
	[CONFIG_BACKEND_TYPE1] = "type1",
	[CONFIG_BACKEND_IOMMUFD] = "iommufd",
};

const char *config_backend_name(enum config_backend b)
{
	return backend_names[b];
}

int config_backend_by_name(const char *name, enum config_backend *b)
{
	for (unsigned i = 0; i < sizeof(backend_names) / sizeof(backend_names[0]); i++) {
		if (strcmp(name, backend_names[i]) == 0) {
			*b = (enum config_backend)i;
			return 0;
		}
	}
	return -EINVAL;
}

int load_parse_backend(struct load *l, const struct key *k, void *field, const char *value)
{
	if (config_backend_by_name(value, field) == 0)
		return 0;
	return load_refuse(l, "%s must be auto, iommufd, type1 or sim, not \"%.40s\"", k->name,
			   value);
}

int load_parse_socket(struct load *l, const struct key *k, void *field, const char *value)
{
	char **path = field, *copy;
	struct sockaddr_un address;

	if (value[0] != '/' || strpbrk(value, CONFIG_BLANKS))
		return load_refuse(l, "%s must be an absolute path without blanks, not \"%.40s\"",
				   k->name, value);
	if (value[strlen(value) - 1] == '/')
		return load_refuse(l, "%s must name a file, not the directory \"%.40s\"", k->name,
				   value);
	if (strlen(value) >= sizeof(address.sun_path))
		return load_refuse(l, "%s is longer than the %zu bytes that the kernel takes",
				   k->name, sizeof(address.sun_path) - 1);
	copy = strdup(value);
	if (!copy)
		return load_no_memory(l);
	free(*path);
	*path = copy;
	return 0;
}
