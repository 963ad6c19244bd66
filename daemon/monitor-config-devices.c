/* SPDX-License-Identifier: MIT */
/* monitor-config-devices.c - what a rule gives: device patterns, and access to what matches. */
#define _GNU_SOURCE /* reallocarray() */

#include "daemon/monitor-config-load.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define CLASS_BRIDGE 0x06u

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

	if (*driver == '\0' || strlen(driver) >= sizeof(d.driver) || strchr(driver, '/'))
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
		return load_refuse(l,
				   "\"%.40s\" is no device: use 0000:01:00.0, 1234:11e8, "
				   "class:0108, driver:vfio-pci or *",
				   word);
	more = reallocarray(rule->patterns, rule->pattern_count + 1, sizeof(*more));
	if (!more)
		return load_no_memory(l);
	more[rule->pattern_count++] = pattern;
	rule->patterns = more;
	return 0;
}

int load_parse_devices(struct load *l, const struct key *k, void *field, const char *value)
{
	(void)k;
	return load_each_word(l, value, take_pattern, field);
}

/* Class 06 as a whole has what the machine stands on. */
static bool is_of_bridges(const struct device_pattern *t)
{
	const struct glue_device d = { .class_code = t->class_code << t->class_shift };

	return t->kind == PATTERN_CLASS &&
	       (glue_is_bridge(&d) || (t->class_shift == 16 && t->class_code == CLASS_BRIDGE));
}

/* Not by driver, which changes with what it does; not all, which the machine itself needs. */
static int take_vfio(struct load *l, void *field, const char *word)
{
	struct config *c = field;
	struct device_pattern t;
	struct config_vfio *more;

	if (!parse_pattern(word, &t) || t.kind == PATTERN_ALL || t.kind == PATTERN_DRIVER)
		return load_refuse(l,
				   "\"%.40s\" cannot be moved to vfio-pci: use 0000:01:00.0, "
				   "1234:11e8 or class:0108",
				   word);
	if (is_of_bridges(&t))
		return load_refuse(l, "\"%.40s\" are bridges, which are not moved", word);
	more = reallocarray(c->vfio, c->vfio_count + 1, sizeof(*more));
	if (!more)
		return load_no_memory(l);
	c->vfio = more;
	more[c->vfio_count].pattern = t;
	snprintf(more[c->vfio_count++].word, sizeof(more->word), "%s", word);
	return 0;
}

int load_parse_vfio(struct load *l, const struct key *k, void *field, const char *value)
{
	(void)k;
	return load_each_word(l, value, take_vfio, field);
}

static int take_access(struct load *l, void *field, const char *word)
{
	struct config_rule *rule = field;

	if (strcmp(word, "mediated") == 0)
		rule->access |= IOB_ACCESS_MEDIATED;
	else if (strcmp(word, "fd") == 0)
		rule->access |= IOB_ACCESS_FD;
	else
		return load_refuse(l, "access must be of mediated and fd, not \"%.40s\"", word);
	return 0;
}

int load_parse_access(struct load *l, const struct key *k, void *field, const char *value)
{
	struct config_rule *rule = field;

	(void)k;
	rule->access = 0; /* instead of the default, not in addition to it */
	return load_each_word(l, value, take_access, rule);
}
