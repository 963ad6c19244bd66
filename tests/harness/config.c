/* SPDX-License-Identifier: MIT */
/* config.c - the configuration that a broker under test gets. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/harness/internal.h"

static const char usual_rules[] =
	/* may do everything but have device descriptors */
	"[allow alice]\n"
	"user = $alice\n"
	"device = *\n"
	"domains = yes\n"
	"max-bytes = 1G\n"
	"max-sessions = 32\n"
	"max-domains = 64\n"
	/* and have those too */
	"[allow bob]\n"
	"user = $bob\n"
	"device = *\n"
	"access = mediated fd\n"
	"domains = yes\n"
	"max-bytes = 1G\n"
	"max-sessions = 32\n"
	/* may connect, and that is all */
	"[allow carol]\n"
	"user = $carol\n";

static const char *const backend_names[] = { "sim", "type1", "iommufd" };

enum backend backend(void)
{
	const char *wanted = getenv("IOB_TEST_BACKEND");

	for (size_t i = 0; wanted && i < COUNT(backend_names); i++)
		if (strcmp(wanted, backend_names[i]) == 0)
			return (enum backend)i;
	if (wanted && *wanted)
		ck_abort_msg("IOB_TEST_BACKEND is %s: not sim, type1 or iommufd", wanted);
	return SIM;
}

bool backend_is_real(void)
{
	return backend() != SIM;
}

static void write_rules(FILE *f, const char *rules)
{
	static const struct {
		const char *word;
		enum user who;
	} words[] = { { "$alice", ALICE }, { "$bob", BOB }, { "$carol", CAROL } };

	while (*rules) {
		size_t i = 0;

		while (i < COUNT(words) && strncmp(rules, words[i].word, strlen(words[i].word)))
			i++;
		if (i == COUNT(words)) {
			fputc(*rules++, f);
			continue;
		}
		fprintf(f, "%u", user_uid(words[i].who));
		rules += strlen(words[i].word);
	}
}

void config_write_drop_in(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	ck_assert_msg(f != NULL, "%s cannot be written", path);
	ck_assert_int_eq(fchmod(fileno(f), 0644), 0);
	write_rules(f, text);
	ck_assert_int_eq(fclose(f), 0);
}

void config_write(const char *path, const struct broker_options *o)
{
	FILE *f = fopen(path, "w");

	ck_assert_msg(f != NULL, "%s cannot be written", path);
	ck_assert_int_eq(fchmod(fileno(f), 0644), 0);
	fprintf(f, "[daemon]\nbackend = %s\nsocket = %s\n%s", backend_names[backend()],
		broker.socket, o->daemon ? o->daemon : "");
	write_rules(f, o->rules ? o->rules : usual_rules);
	ck_assert_int_eq(fclose(f), 0);
}
