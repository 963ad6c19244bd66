/* SPDX-License-Identifier: MIT */
/*
 * iommuctl-json-write.c - the parts that JSON output is made of.
 *
 * Addresses are strings, because many readers of JSON lose digits of large numbers.
 */
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iommuctl.h"

static void add(struct json_object *to, const char *key, struct json_object *value)
{
	/* A value of NULL is JSON's null; ctl_json_unset() is for that. */
	if (json_object_object_add(to, key, ctl_need(value)) < 0)
		ctl_need(NULL);
}

static void append(struct json_object *list, struct json_object *value)
{
	if (json_object_array_add(list, ctl_need(value)) < 0)
		ctl_need(NULL);
}

static struct json_object *string_of(const char *text)
{
	char *copy = ctl_need(strdup(text));
	struct json_object *value;

	ctl_make_printable(copy);
	value = json_object_new_string(copy);
	free(copy);
	return value;
}

struct json_object *ctl_json_new(void)
{
	return ctl_need(json_object_new_object());
}

void ctl_json_unset(struct json_object *to, const char *key)
{
	if (json_object_object_add(to, key, NULL) < 0)
		ctl_need(NULL);
}

void ctl_json_number(struct json_object *to, const char *key, uint64_t value)
{
	add(to, key, json_object_new_uint64(value));
}

void ctl_json_bool(struct json_object *to, const char *key, bool value)
{
	add(to, key, json_object_new_boolean(value));
}

void ctl_json_text(struct json_object *to, const char *key, const char *text)
{
	if (text[0] == '\0')
		ctl_json_unset(to, key);
	else
		add(to, key, string_of(text));
}

void ctl_json_hex(struct json_object *to, const char *key, int digits, uint32_t value)
{
	char cell[CTL_CELL];

	ctl_cell(cell, "%0*x", digits, value);
	add(to, key, json_object_new_string(cell));
}

void ctl_json_address(struct json_object *to, const char *key, uint64_t address)
{
	char cell[CTL_CELL];

	ctl_cell(cell, "0x%" PRIx64, address);
	add(to, key, json_object_new_string(cell));
}

struct json_object *ctl_json_list(struct json_object *to, const char *key)
{
	struct json_object *list = json_object_new_array();

	add(to, key, list);
	return list;
}

struct json_object *ctl_json_object(struct json_object *to, const char *key)
{
	struct json_object *item = json_object_new_object();

	add(to, key, item);
	return item;
}

struct json_object *ctl_json_item(struct json_object *list)
{
	struct json_object *item = json_object_new_object();

	append(list, item);
	return item;
}

void ctl_json_string(struct json_object *list, const char *text)
{
	append(list, string_of(text));
}

char *ctl_json_members(struct json_object *top)
{
	const char *text = ctl_need((void *)(uintptr_t)json_object_to_json_string_ext(
		top, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	char *members = ctl_need(strndup(text + 1, strlen(text) - 2));

	json_object_put(top);
	return members;
}

void ctl_json_print(struct json_object *top)
{
	puts(ctl_need((void *)(uintptr_t)json_object_to_json_string_ext(
		top, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
			     JSON_C_TO_STRING_NOSLASHESCAPE)));
	json_object_put(top);
}
