/* SPDX-License-Identifier: MIT */
/*
 * monitor-config.c - reads the configuration file.
 *
 * inih does the syntax, but by itself it is too forgiving for a file that gives out devices.
 * Debian's build (55, INI_MAX_LINE 200, multi-line values, goes on after errors) was seen to:
 *  - split a longer line, also a comment, and read its tail as a line of its own;
 *  - stop a line at a NUL byte;
 *  - take an indented "group = x" for a further value of the key above;
 *  - accept "[a] junk", cut section names at 49 bytes, and report no section without keys.
 * So it is fed line by line from here: read_line() refuses the first two, takes indentation away
 * and keeps the sections itself. A line that should have been a setting and did not reach
 * on_setting() is an error, whatever the reason, so that other builds fail closed as well.
 */
#define _GNU_SOURCE /* reallocarray() */

#include "daemon/monitor-config-rules.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <ini.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CONFIG_MAX_LINE	      197u /* INI_MAX_LINE less newline, terminator and one to spare */
#define CONFIG_MAX_FILE_BYTES (1 << 20)
#define CONFIG_MAX_SIM	      64u	 /* struct glue_options */
#define MAX_LOOKUP_BYTES      (1u << 20) /* of one passwd or group entry */
#define MAX_RULE_NAME	      40u
#define UID_END		      (UINT32_MAX - 1) /* -1 is no uid, and -2 is some systems' nobody */
#define BLANKS		      " \t"

_Static_assert(!INI_HANDLER_LINENO, "on_setting() has the other type");

enum section { SECTION_NONE, SECTION_DAEMON, SECTION_ALLOW };

struct load {
	struct config *config;
	struct fault *why;
	const char *path;
	FILE *file;
	char *buffer; /* of getline() */
	size_t buffer_bytes;
	unsigned line;
	enum section section;
	bool daemon_seen;
	uint32_t keys_seen;   /* in this section, by place in the table */
	bool setting_pending; /* a line went to inih that must come back as a setting */
	int error;	      /* the first one, -errno; 0: none yet */
};

struct key {
	const char *name;
	int (*parse)(struct load *l, const struct key *k, void *field, const char *value);
	size_t offset;
	uint64_t min, max;
};

/* ---- errors ---- */
static int fail(struct load *l, enum iob_code code, int error, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* The first error wins. A long path is cut at the front, lest it pushes the reason out. */
static int fail(struct load *l, enum iob_code code, int error, const char *format, ...)
{
	size_t length = strlen(l->path);
	const char *tail = length > 80 ? l->path + length - 77 : l->path;
	char reason[IOB_MAX_TEXT], where[112];
	va_list args;

	if (l->error)
		return l->error;
	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	snprintf(where, sizeof(where), "%s%s", tail == l->path ? "" : "...", tail);
	if (l->line)
		l->error = fault_set(l->why, code, IOB_STEP_NONE, error, "%s:%u: %s", where,
				     l->line, reason);
	else
		l->error = fault_set(l->why, code, IOB_STEP_NONE, error, "%s: %s", where, reason);
	return l->error;
}

#define refuse(l, ...) fail(l, IOB_E_ARGUMENT, EINVAL, __VA_ARGS__)
#define no_memory(l)   fail(l, IOB_E_NO_MEMORY, ENOMEM, "out of memory")

/* ---- words and numbers ---- */
/* Cuts the next word out of *rest; NULL at the end. */
static char *next_word(char **rest)
{
	char *word = *rest + strspn(*rest, BLANKS);

	if (*word == '\0')
		return NULL;
	*rest = word + strcspn(word, BLANKS);
	if (**rest != '\0')
		*(*rest)++ = '\0';
	return word;
}

static int each_word(struct load *l, const char *value,
		     int (*take)(struct load *l, void *field, const char *word), void *field)
{
	char copy[CONFIG_MAX_LINE + 1], *rest = copy, *word;
	int r = 0;

	if (strlen(value) > CONFIG_MAX_LINE)
		return refuse(l, "the value is too long");
	strcpy(copy, value);
	while (r == 0 && (word = next_word(&rest)))
		r = take(l, field, word);
	return r;
}

static bool all_of(const char *text, int (*is_kind)(int))
{
	if (*text == '\0')
		return false;
	for (; *text; text++) {
		if (!is_kind((unsigned char)*text))
			return false;
	}
	return true;
}

/* Digits only: strtoull() would take a sign, blanks and "0x" as well. */
static bool parse_digits(const char *text, uint64_t *number)
{
	if (!all_of(text, isdigit))
		return false;
	errno = 0;
	*number = strtoull(text, NULL, 10);
	return errno == 0;
}

/* length hexadecimal digits at text, and what follows them is after. */
static bool parse_hex(const char *text, size_t length, char after, uint32_t *number)
{
	*number = 0;
	for (size_t i = 0; i < length; i++) {
		char digit[2] = { text[i], '\0' };

		if (!isxdigit((unsigned char)text[i]))
			return false;
		*number = *number << 4 | (uint32_t)strtoul(digit, NULL, 16);
	}
	return text[length] == after;
}

static int parse_number(struct load *l, const struct key *k, const char *value, uint64_t *number)
{
	if (!parse_digits(value, number) || *number < k->min || *number > k->max)
		return refuse(l, "%s must be a number from %ju to %ju, not \"%.40s\"", k->name,
			      (uintmax_t)k->min, (uintmax_t)k->max, value);
	return 0;
}

static int parse_u32(struct load *l, const struct key *k, void *field, const char *value)
{
	uint64_t number;
	int r = parse_number(l, k, value, &number);

	if (r == 0)
		*(uint32_t *)field = (uint32_t)number;
	return r;
}

static int parse_bytes(struct load *l, const struct key *k, void *field, const char *value)
{
	static const char suffixes[] = "KMGT";
	size_t length = strlen(value);
	const char *suffix = strchr(suffixes, value[length - 1]);
	char digits[24] = "";
	unsigned shift = suffix ? 10 * (unsigned)(suffix - suffixes + 1) : 0;
	uint64_t number;

	length -= suffix != NULL;
	if (length < sizeof(digits))
		memcpy(digits, value, length);
	if (!parse_digits(digits, &number) || number > k->max >> shift)
		return refuse(l,
			      "%s must be a number of bytes up to %juT, with K, M, G or T, "
			      "not \"%.40s\"",
			      k->name, (uintmax_t)(k->max >> 40), value);
	*(uint64_t *)field = number << shift;
	return 0;
}

static int parse_bool(struct load *l, const struct key *k, void *field, const char *value)
{
	bool yes = strcmp(value, "yes") == 0;

	if (!yes && strcmp(value, "no") != 0)
		return refuse(l, "%s must be yes or no, not \"%.40s\"", k->name, value);
	*(bool *)field = yes;
	return 0;
}

/* ---- [daemon] ---- */
static int parse_backend(struct load *l, const struct key *k, void *field, const char *value)
{
	static const char *const names[] = {
		[CONFIG_BACKEND_AUTO] = "auto",
		[CONFIG_BACKEND_SIM] = "sim",
		[CONFIG_BACKEND_TYPE1] = "type1",
		[CONFIG_BACKEND_IOMMUFD] = "iommufd",
	};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(value, names[i]) == 0) {
			*(enum config_backend *)field = (enum config_backend)i;
			return 0;
		}
	}
	return refuse(l, "%s must be auto, iommufd, type1 or sim, not \"%.40s\"", k->name, value);
}

static int parse_socket(struct load *l, const struct key *k, void *field, const char *value)
{
	char **path = field, *copy;
	struct sockaddr_un address;

	if (value[0] != '/' || strpbrk(value, BLANKS))
		return refuse(l, "%s must be an absolute path without blanks, not \"%.40s\"",
			      k->name, value);
	if (strlen(value) >= sizeof(address.sun_path))
		return refuse(l, "%s is longer than the %zu bytes that the kernel takes", k->name,
			      sizeof(address.sun_path) - 1);
	copy = strdup(value);
	if (!copy)
		return no_memory(l);
	free(*path);
	*path = copy;
	return 0;
}

/* ---- [allow NAME] ---- */
typedef int lookup_fn(const char *name, char *buffer, size_t bytes, uint32_t *id);

/* Both: 0, -ENOENT for an unknown name, -ERANGE for a small buffer, or what the service says. */
static int lookup_user(const char *name, char *buffer, size_t bytes, uint32_t *id)
{
	struct passwd entry, *found = NULL;
	int r = getpwnam_r(name, &entry, buffer, bytes, &found);

	if (found)
		*id = found->pw_uid;
	return r ? -r : found ? 0 : -ENOENT;
}

static int lookup_group(const char *name, char *buffer, size_t bytes, uint32_t *id)
{
	struct group entry, *found = NULL;
	int r = getgrnam_r(name, &entry, buffer, bytes, &found);

	if (found)
		*id = found->gr_gid;
	return r ? -r : found ? 0 : -ENOENT;
}

static int lookup(lookup_fn *ask, const char *name, uint32_t *id)
{
	size_t bytes = 1024;
	char *buffer = NULL;
	int r = -ERANGE;

	while (r == -ERANGE && bytes <= MAX_LOOKUP_BYTES) {
		free(buffer);
		buffer = malloc(bytes);
		r = buffer ? ask(name, buffer, bytes, id) : -ENOMEM;
		bytes *= 2;
	}
	free(buffer);
	return r;
}

/* A number needs no entry in the user database; a name is resolved now, once. */
static int parse_id(struct load *l, const char *kind, lookup_fn *ask, const char *word,
		    uint32_t *id)
{
	uint64_t number;
	int r;

	if (all_of(word, isdigit)) {
		if (!parse_digits(word, &number) || number >= UINT32_MAX)
			return refuse(l, "%s number %.40s is out of range", kind, word);
		*id = (uint32_t)number;
		return 0;
	}
	r = lookup(ask, word, id);
	if (r == 0 && *id == UINT32_MAX)
		r = -ENOENT;
	if (r == -ENOENT)
		return refuse(l, "unknown %s \"%.40s\"", kind, word);
	if (r < 0)
		return fail(l, IOB_E_SYSTEM, -r, "cannot look up %s \"%.40s\": %s", kind, word,
			    strerror(-r));
	return 0;
}

static int add_id(struct load *l, uint32_t **ids, size_t *count, uint32_t id)
{
	uint32_t *more = reallocarray(*ids, *count + 1, sizeof(*more));

	if (!more)
		return no_memory(l);
	more[(*count)++] = id;
	*ids = more;
	return 0;
}

static int take_user(struct load *l, void *field, const char *word)
{
	struct config_rule *rule = field;
	uint32_t id;
	int r = parse_id(l, "user", lookup_user, word, &id);

	return r ? r : add_id(l, &rule->users, &rule->user_count, id);
}

static int take_group(struct load *l, void *field, const char *word)
{
	struct config_rule *rule = field;
	uint32_t id;
	int r = parse_id(l, "group", lookup_group, word, &id);

	return r ? r : add_id(l, &rule->groups, &rule->group_count, id);
}

static int parse_users(struct load *l, const struct key *k, void *field, const char *value)
{
	(void)k;
	return each_word(l, value, take_user, field);
}

static int parse_groups(struct load *l, const struct key *k, void *field, const char *value)
{
	(void)k;
	return each_word(l, value, take_group, field);
}

/* "0000:01:00.0"; the domain may have up to 8 digits (VMD). The kernel writes small letters. */
static bool parse_pattern_name(const char *word, struct device_pattern *t)
{
	size_t domain = strcspn(word, ":");
	uint32_t number, bus, slot, function;

	if (domain < 4 || domain > 8 || !parse_hex(word, domain, ':', &number))
		return false;
	word += domain + 1;
	if (!parse_hex(word, 2, ':', &bus) || !parse_hex(word + 3, 2, '.', &slot) ||
	    !parse_hex(word + 6, 1, '\0', &function) || slot > 0x1f || function > 7)
		return false;
	t->kind = PATTERN_NAME;
	snprintf(t->text, sizeof(t->text), "%04x:%02x:%02x.%x", number, bus, slot, function);
	return true;
}

static bool parse_pattern_id(const char *word, struct device_pattern *t)
{
	uint32_t vendor, device;

	if (!parse_hex(word, 4, ':', &vendor) || !parse_hex(word + 5, 4, '\0', &device))
		return false;
	t->kind = PATTERN_ID;
	t->vendor = (uint16_t)vendor;
	t->device = (uint16_t)device;
	return true;
}

/* Two digits are a class, four a class and subclass, six also the interface. */
static bool parse_pattern_class(const char *digits, struct device_pattern *t)
{
	size_t length = strlen(digits);

	if ((length != 2 && length != 4 && length != 6) ||
	    !parse_hex(digits, length, '\0', &t->class_code))
		return false;
	t->kind = PATTERN_CLASS;
	t->class_shift = 24 - 4 * (uint32_t)length;
	return true;
}

static bool parse_pattern_driver(const char *driver, struct device_pattern *t)
{
	struct glue_device d;

	if (*driver == '\0' || strlen(driver) >= sizeof(d.driver))
		return false;
	t->kind = PATTERN_DRIVER;
	snprintf(t->text, sizeof(t->text), "%s", driver);
	return true;
}

static bool parse_pattern(const char *word, struct device_pattern *t)
{
	*t = (struct device_pattern){ .kind = PATTERN_ALL };
	if (strcmp(word, "*") == 0)
		return true;
	if (strncmp(word, "class:", 6) == 0)
		return parse_pattern_class(word + 6, t);
	if (strncmp(word, "driver:", 7) == 0)
		return parse_pattern_driver(word + 7, t);
	return parse_pattern_name(word, t) || parse_pattern_id(word, t);
}

static int take_pattern(struct load *l, void *field, const char *word)
{
	struct config_rule *rule = field;
	struct device_pattern pattern, *more;

	if (!parse_pattern(word, &pattern))
		return refuse(l,
			      "\"%.40s\" is no device: use 0000:01:00.0, 1234:11e8, class:0108, "
			      "driver:vfio-pci or *",
			      word);
	more = reallocarray(rule->patterns, rule->pattern_count + 1, sizeof(*more));
	if (!more)
		return no_memory(l);
	more[rule->pattern_count++] = pattern;
	rule->patterns = more;
	return 0;
}

static int parse_devices(struct load *l, const struct key *k, void *field, const char *value)
{
	(void)k;
	return each_word(l, value, take_pattern, field);
}

static int take_access(struct load *l, void *field, const char *word)
{
	struct config_rule *rule = field;

	if (strcmp(word, "mediated") == 0)
		rule->access |= IOB_ACCESS_MEDIATED;
	else if (strcmp(word, "fd") == 0)
		rule->access |= IOB_ACCESS_FD;
	else
		return refuse(l, "access must be of mediated and fd, not \"%.40s\"", word);
	return 0;
}

static int parse_access(struct load *l, const struct key *k, void *field, const char *value)
{
	struct config_rule *rule = field;

	(void)k;
	rule->access = 0; /* instead of the default, not in addition to it */
	return each_word(l, value, take_access, rule);
}

/* ---- the keys ---- */
#define DAEMON(member) offsetof(struct config, member)
#define RULE(member)   offsetof(struct config_rule, member)

static const struct key daemon_keys[] = {
	{ "backend", parse_backend, DAEMON(backend), 0, 0 },
	{ "socket", parse_socket, DAEMON(socket_path), 0, 0 },
	{ "session-uid-base", parse_u32, DAEMON(session_uid_base), 1000, UID_END - 1 },
	{ "max-sessions", parse_u32, DAEMON(max_sessions), 1, 65536 },
	{ "sim-devices", parse_u32, DAEMON(sim_devices), 1, CONFIG_MAX_SIM },
	{ "allow-unsafe-interrupts", parse_bool, DAEMON(allow_unsafe_interrupts), 0, 0 },
	{ "allow-test-kernel", parse_bool, DAEMON(allow_test_kernel), 0, 0 },
	{ NULL, NULL, 0, 0, 0 },
};

/* The list keys take the whole rule, because they fill more than one member. */
static const struct key rule_keys[] = {
	{ "user", parse_users, 0, 0, 0 },
	{ "group", parse_groups, 0, 0, 0 },
	{ "device", parse_devices, 0, 0, 0 },
	{ "access", parse_access, 0, 0, 0 },
	{ "domains", parse_bool, RULE(domains), 0, 0 },
	{ "inspect-all", parse_bool, RULE(inspect_all), 0, 0 },
	{ "max-bytes", parse_bytes, RULE(quota.max_bytes), 0, UINT64_C(1) << 50 },
	{ "max-mappings", parse_u32, RULE(quota.max_mappings), 0, 1 << 24 },
	{ "max-sessions", parse_u32, RULE(quota.max_sessions), 0, 65536 },
	{ "max-domains", parse_u32, RULE(quota.max_domains), 0, 65536 },
	{ "max-devices", parse_u32, RULE(quota.max_devices), 0, 65536 },
	{ NULL, NULL, 0, 0, 0 },
};

static struct config_rule *current_rule(struct load *l)
{
	return &l->config->rules[l->config->rule_count - 1];
}

static int set_key(struct load *l, const struct key *keys, void *object, const char *name,
		   const char *value)
{
	const struct key *k = keys;

	while (k->name && strcmp(k->name, name) != 0)
		k++;
	if (!k->name)
		return refuse(l, "unknown key \"%.40s\"", name);
	if (l->keys_seen & 1u << (k - keys))
		return refuse(l, "%s is given twice in this section", name);
	l->keys_seen |= 1u << (k - keys);
	if (*value == '\0')
		return refuse(l, "%s has no value", name);
	return k->parse(l, k, (char *)object + k->offset, value);
}

/* ini_handler: not 0 to go on. name is NULL in builds that announce sections. */
static int on_setting(void *user, const char *section, const char *name, const char *value)
{
	struct load *l = user;

	(void)section; /* cut at 49 bytes, and blind for empty ones: see on_header() */
	if (l->error)
		return 0;
	if (!name)
		return 1;
	if (!l->setting_pending)
		return refuse(l, "not one setting in a line") == 0;
	l->setting_pending = false;
	if (!value)
		return refuse(l, "%s has no value", name) == 0;
	if (l->section == SECTION_DAEMON)
		return set_key(l, daemon_keys, l->config, name, value) == 0;
	if (l->section == SECTION_ALLOW)
		return set_key(l, rule_keys, current_rule(l), name, value) == 0;
	return refuse(l, "a setting before any section") == 0;
}

/* ---- sections ---- */
/* After a rule is complete. Blamed on its header. */
static int finish_section(struct load *l)
{
	const struct config_rule *rule;

	if (l->section != SECTION_ALLOW)
		return 0;
	rule = current_rule(l);
	if (rule->user_count || rule->group_count)
		return 0;
	l->line = rule->line;
	return refuse(l, "the rule names neither user nor group");
}

static void rule_init(struct config_rule *rule, char *name, unsigned line)
{
	*rule = (struct config_rule){
		.name = name,
		.line = line,
		.access = IOB_ACCESS_MEDIATED,
		.quota = {
			.max_bytes = UINT64_C(256) << 20,
			.max_mappings = 65536,
			.max_sessions = RULE_DEFAULT_SESSIONS,
			.max_domains = 16,
			.max_devices = 16,
		},
	};
}

static int check_rule_name(struct load *l, const char *name)
{
	const struct config *c = l->config;

	if (*name == '\0' || strlen(name) > MAX_RULE_NAME)
		return refuse(l, "a rule needs a name of 1 to %u bytes", MAX_RULE_NAME);
	for (size_t i = 0; i < c->rule_count; i++) {
		if (strcmp(c->rules[i].name, name) == 0)
			return refuse(l, "rule \"%s\" is also in line %u", name, c->rules[i].line);
	}
	if (c->rule_count == CONFIG_MAX_RULES)
		return refuse(l, "more than %u rules", CONFIG_MAX_RULES);
	return 0;
}

static int begin_rule(struct load *l, const char *name)
{
	struct config *c = l->config;
	struct config_rule *more;
	char *copy;
	int r = check_rule_name(l, name);

	if (r < 0)
		return r;
	more = reallocarray(c->rules, c->rule_count + 1, sizeof(*more));
	if (!more)
		return no_memory(l);
	c->rules = more;
	copy = strdup(name);
	if (!copy)
		return no_memory(l);
	rule_init(&more[c->rule_count++], copy, l->line);
	l->section = SECTION_ALLOW;
	return 0;
}

static int begin_daemon(struct load *l)
{
	if (l->daemon_seen)
		return refuse(l, "a second [daemon] section");
	l->daemon_seen = true;
	l->section = SECTION_DAEMON;
	return 0;
}

/* text: "[...", without blanks around. Changed in place. */
static int on_header(struct load *l, char *text)
{
	char *end = strchr(text, ']'), *rest = text + 1, *kind;
	int r = finish_section(l);

	if (r < 0)
		return r;
	if (!end || strchr(text + 1, '['))
		return refuse(l, "not [section]");
	if (end[1] != '\0' && !strchr(";#", end[1 + strspn(end + 1, BLANKS)]))
		return refuse(l, "junk after the section header");
	while (end > text + 1 && strchr(BLANKS, end[-1]))
		end--;
	*end = '\0';
	l->keys_seen = 0;
	l->section = SECTION_NONE;
	kind = next_word(&rest);
	rest += strspn(rest, BLANKS);
	if (kind && strcmp(kind, "allow") == 0)
		return begin_rule(l, rest);
	if (kind && strcmp(kind, "daemon") == 0 && *rest == '\0')
		return begin_daemon(l);
	return refuse(l, "unknown section \"%.40s\": use daemon or allow NAME", text + 1);
}

/* ---- lines ---- */
static int check_bytes(struct load *l, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		unsigned char byte = (unsigned char)text[i];

		if ((byte < ' ' && byte != '\t') || byte == 0x7f)
			return refuse(l, "byte 0x%02x at column %zu", byte, i + 1);
	}
	if (length > CONFIG_MAX_LINE)
		return refuse(l, "a line of %zu bytes is too long, at most %u", length,
			      CONFIG_MAX_LINE);
	return 0;
}

static int check_pending(struct load *l)
{
	return l->setting_pending ? refuse(l, "not \"key = value\"") : 0;
}

/* Next line into l->buffer, without newline. 1, or 0 at the end, or an error. */
static int get_line(struct load *l)
{
	ssize_t length;
	int r = check_pending(l);

	if (r < 0)
		return r;
	errno = 0;
	length = getline(&l->buffer, &l->buffer_bytes, l->file);
	if (length < 0) {
		if (!feof(l->file))
			return fail(l, IOB_E_SYSTEM, errno ? errno : EIO, "cannot read on");
		return 0;
	}
	l->line++;
	if (length > 0 && l->buffer[length - 1] == '\n')
		l->buffer[--length] = '\0';
	r = check_bytes(l, l->buffer, (size_t)length);
	return r < 0 ? r : 1;
}

static void trim_end(char *text)
{
	size_t length = strlen(text);

	while (length > 0 && strchr(BLANKS, text[length - 1]))
		text[--length] = '\0';
}

/* ini_reader: hands inih one setting at a time, complete and not indented. */
static char *read_line(char *out, int out_bytes, void *stream)
{
	struct load *l = stream;
	char *text;

	for (;;) {
		if (l->error || get_line(l) <= 0)
			return NULL;
		text = l->buffer + strspn(l->buffer, BLANKS);
		trim_end(text);
		if (*text == '\0' || *text == ';' || *text == '#')
			continue;
		if (*text != '[')
			break;
		if (on_header(l, text) < 0)
			return NULL;
	}
	l->setting_pending = true;
	if (out_bytes < 2 || strlen(text) > (size_t)out_bytes - 2) {
		refuse(l, "too long for this build of inih");
		return NULL;
	}
	snprintf(out, (size_t)out_bytes, "%s\n", text);
	return out;
}

/* ---- the file ---- */
/* Whoever can write the file can give himself devices. */
static int check_file(struct load *l, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return fail(l, IOB_E_SYSTEM, errno, "fstat: %s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return refuse(l, "not a regular file");
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return fail(l, IOB_E_DENIED, EPERM,
			    "owned by uid %u, who is neither root nor the "
			    "user that runs the daemon",
			    st.st_uid);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return fail(l, IOB_E_DENIED, EPERM, "mode %04o lets others write it: chmod go-w",
			    st.st_mode & 07777);
	if (st.st_size > CONFIG_MAX_FILE_BYTES)
		return refuse(l, "larger than %u bytes", CONFIG_MAX_FILE_BYTES);
	return 0;
}

/* O_NONBLOCK: a FIFO in its place must not hang the start. */
static int open_file(struct load *l)
{
	int fd = open(l->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int r;

	if (fd < 0)
		return fail(l, IOB_E_SYSTEM, errno, "cannot open: %s", strerror(errno));
	r = check_file(l, fd);
	if (r == 0) {
		l->file = fdopen(fd, "re");
		if (l->file)
			return 0;
		r = fail(l, IOB_E_SYSTEM, errno, "fdopen: %s", strerror(errno));
	}
	close(fd);
	return r;
}

/* What can only be said of the file as a whole. */
static int check_uids(struct load *l)
{
	const struct config *c = l->config;
	uint64_t first = c->session_uid_base, end = first + c->max_sessions;

	l->line = 0;
	if (end > UID_END)
		return refuse(l, "session-uid-base leaves no room for max-sessions");
	for (size_t i = 0; i < c->rule_count; i++) {
		for (size_t n = 0; n < c->rules[i].user_count; n++) {
			if (c->rules[i].users[n] < first || c->rules[i].users[n] >= end)
				continue;
			l->line = c->rules[i].line;
			return refuse(l, "uid %u is one of the daemon's own sessions",
				      c->rules[i].users[n]);
		}
	}
	return 0;
}

static int parse_file(struct load *l)
{
	int r = ini_parse_stream(read_line, l, on_setting, l);

	if (l->error)
		return l->error;
	if (r != 0)
		return refuse(l, "inih says %d", r);
	r = check_pending(l);
	if (r == 0)
		r = finish_section(l);
	return r ? r : check_uids(l);
}

static int set_defaults(struct config *c)
{
	*c = (struct config){
		.backend = CONFIG_BACKEND_AUTO,
		.socket_path = strdup(IOB_DEFAULT_SOCKET),
		.session_uid_base = 1879048192, /* above what systemd gives to containers */
		.max_sessions = 1024,
		.sim_devices = 8,
	};
	return c->socket_path ? 0 : -ENOMEM;
}

int config_load(const char *path, struct config *c, struct fault *why)
{
	struct load l = { .config = c, .why = why, .path = path ? path : "defaults" };
	int r = set_defaults(c);

	if (r < 0)
		r = no_memory(&l);
	else if (path)
		r = open_file(&l);
	if (r == 0 && path)
		r = parse_file(&l);
	if (l.file)
		fclose(l.file);
	free(l.buffer);
	if (r < 0)
		config_deinit(c);
	return r;
}

void config_deinit(struct config *c)
{
	for (size_t i = 0; i < c->rule_count; i++) {
		free(c->rules[i].name);
		free(c->rules[i].users);
		free(c->rules[i].groups);
		free(c->rules[i].patterns);
	}
	free(c->rules);
	free(c->socket_path);
	memset(c, 0, sizeof(*c));
}
