/* SPDX-License-Identifier: MIT */
/*
 * monitor-config-load.h - one run of config_load(); private to monitor-config*.c.
 *
 * load_x() works on the run and says 0 or -errno, with the reason set; config_x() sees only text.
 */
#ifndef DAEMON_MONITOR_CONFIG_LOAD_H
#define DAEMON_MONITOR_CONFIG_LOAD_H

#include <errno.h>
#include <stdio.h>

#include "daemon/monitor-config-rules.h"

#define CONFIG_MAX_LINE 197u /* INI_MAX_LINE less newline, terminator and one to spare */
#define CONFIG_BLANKS	" \t"
#define CONFIG_UID_END	(UINT32_MAX - 1) /* -1 is no uid, and -2 is some systems' nobody */

#define CONFIG_MAX_PROBLEMS 50u	 /* that are told of before it stops */
#define CONFIG_MAX_FILES    256u /* in the drop-in folder */

/* BROKEN: the header was wrong and has been told of; what stands below it is not looked at. */
enum section { SECTION_NONE, SECTION_DAEMON, SECTION_ALLOW, SECTION_DRIVERS, SECTION_BROKEN };

/* A wrong line does not end the run: what is wrong further down is wanted too. */
struct load {
	struct config *config;
	const struct config_reading *how;
	struct fault *why; /* the first problem */
	int error;	   /* of the first problem, -errno; 0: none yet */
	unsigned problems;
	bool stopped;	  /* there is no going on */
	const char *path; /* of the file it is in */
	FILE *file;
	char *buffer; /* of getline() */
	size_t buffer_bytes;
	unsigned line;
	enum section section;
	bool daemon_seen;     /* in this file */
	bool people_seen;     /* in this section: user or group */
	uint32_t keys_seen;   /* in this section, by place in the table */
	bool setting_pending; /* a line went to inih that must come back as a setting */
	bool dos_seen;	      /* in this file: told of once */
	const char *hint;     /* to what is wrong with the value at hand, or NULL */
};

struct key {
	const char *name;
	int (*parse)(struct load *l, const struct key *k, void *field, const char *value);
	size_t offset;
	uint64_t min, max;
};

/* monitor-config.c */
/* The end of a path that is too long to leave room for a reason. */
#define CONFIG_PLACE_BYTES 84
const char *config_place(const char *path, char out[CONFIG_PLACE_BYTES]);
int load_fail(struct load *l, enum iob_code code, int error, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#define load_refuse(l, ...) load_fail(l, IOB_E_ARGUMENT, EINVAL, __VA_ARGS__)
#define load_no_memory(l)   load_fail(l, IOB_E_NO_MEMORY, ENOMEM, "out of memory")

/* monitor-config-files.c */
void load_files(struct load *l, const char *path);

/* monitor-config-lines.c */
void load_lines(struct load *l);

/* monitor-config-sections.c */
void load_header(struct load *l, char *text);
int load_setting(struct load *l, const char *name, const char *value);
void load_finish_section(struct load *l);

/* monitor-config-values.c */
char *config_next_word(char **rest);
bool config_all_digits(const char *text);
bool config_parse_digits(const char *text, uint64_t *number);
int load_each_word(struct load *l, const char *value,
		   int (*take)(struct load *l, void *field, const char *word), void *field);
int load_parse_u32(struct load *l, const struct key *k, void *field, const char *value);
int load_parse_rate(struct load *l, const struct key *k, void *field, const char *value);
int load_parse_bytes(struct load *l, const struct key *k, void *field, const char *value);
int load_parse_bool(struct load *l, const struct key *k, void *field, const char *value);
int load_parse_backend(struct load *l, const struct key *k, void *field, const char *value);
int load_parse_socket(struct load *l, const struct key *k, void *field, const char *value);

/* monitor-config-users.c: field is the struct config_rule */
int load_parse_users(struct load *l, const struct key *k, void *field, const char *value);
int load_parse_groups(struct load *l, const struct key *k, void *field, const char *value);

/* monitor-config-devices.c: field is the struct config_rule */
int load_parse_devices(struct load *l, const struct key *k, void *field, const char *value);
int load_parse_access(struct load *l, const struct key *k, void *field, const char *value);
/* field is the struct config */
int load_parse_vfio(struct load *l, const struct key *k, void *field, const char *value);

#endif
