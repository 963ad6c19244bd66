/* SPDX-License-Identifier: MIT */
/*
 * monitor-config-lines.c - reads the lines of the configuration file and has inih take them apart.
 *
 * inih does the syntax, but by itself it is too forgiving for a file that gives out devices.
 * Debian's build (55, INI_MAX_LINE 200, multi-line values, goes on after errors) was seen to:
 *  - split a longer line, also a comment, and read its tail as a line of its own;
 *  - stop a line at a NUL byte;
 *  - take an indented "group = x" for a further value of the key above;
 *  - accept "[a] junk", cut section names at 49 bytes, and report no section without keys.
 * So it is fed line by line from here: read_line() refuses the first two, takes indentation away
 * and gives section headers to load_header() instead. A line that should have been a setting and
 * did not reach on_setting() is an error, whatever the reason, so that other builds fail closed as
 * well. Going on after an error is wanted, and done here: builds of inih differ in it.
 */
#include "daemon/monitor-config-load.h"

#include <errno.h>
#include <ini.h>
#include <string.h>

_Static_assert(!INI_HANDLER_LINENO, "on_setting() has the other type");

static int check_bytes(struct load *l, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		unsigned char byte = (unsigned char)text[i];

		if ((byte < ' ' && byte != '\t') || byte == 0x7f)
			return load_refuse(l, "byte 0x%02x at column %zu", byte, i + 1);
	}
	if (length > CONFIG_MAX_LINE)
		return load_refuse(l, "a line of %zu bytes is too long, at most %u", length,
				   CONFIG_MAX_LINE);
	return 0;
}

/* What some editors begin a file with. */
static void drop_mark(struct load *l)
{
	static const char mark[] = "\xef\xbb\xbf";
	const size_t bytes = sizeof(mark) - 1;

	if (l->line != 1 || strncmp(l->buffer, mark, bytes) != 0)
		return;
	load_refuse(l, "a byte order mark: save it as UTF-8 without one");
	memmove(l->buffer, l->buffer + bytes, strlen(l->buffer + bytes) + 1);
}

/* Each line of such a file has one: the first is told of, and none is in the way of what else is wrong. */
static size_t drop_dos_end(struct load *l, size_t length)
{
	if (length == 0 || l->buffer[length - 1] != '\r')
		return length;
	if (!l->dos_seen)
		load_refuse(l, "line ends of DOS (CR LF)");
	l->dos_seen = true;
	l->buffer[length - 1] = '\0';
	return length - 1;
}

static void check_pending(struct load *l)
{
	if (l->setting_pending)
		load_refuse(l, "not \"key = value\"");
	l->setting_pending = false;
}

/* Next line into l->buffer, without newline; false at the end. Lines that no line may be like are
 * told of and passed over. */
static bool get_line(struct load *l)
{
	ssize_t length;

	check_pending(l);
	while (!l->stopped) {
		errno = 0;
		length = getline(&l->buffer, &l->buffer_bytes, l->file);
		if (length < 0) {
			if (!feof(l->file))
				load_fail(l, IOB_E_SYSTEM, errno ? errno : EIO, "cannot read on");
			return false;
		}
		l->line++;
		if (length > 0 && l->buffer[length - 1] == '\n')
			l->buffer[--length] = '\0';
		length = (ssize_t)drop_dos_end(l, (size_t)length);
		if (check_bytes(l, l->buffer, (size_t)length) == 0) {
			drop_mark(l);
			return true;
		}
	}
	return false;
}

/* inih takes a colon, too. */
static bool is_setting(const char *text)
{
	return text[strcspn(text, "=:")] == '=';
}

static void trim_end(char *text)
{
	size_t length = strlen(text);

	while (length > 0 && strchr(CONFIG_BLANKS, text[length - 1]))
		text[--length] = '\0';
}

/* ini_reader: hands inih one setting at a time, complete and not indented. */
static char *read_line(char *out, int out_bytes, void *stream)
{
	struct load *l = stream;

	while (get_line(l)) {
		char *text = l->buffer + strspn(l->buffer, CONFIG_BLANKS);

		trim_end(text);
		if (*text == '\0' || *text == ';' || *text == '#')
			continue;
		if (*text == '[') {
			load_header(l, text);
		} else if (!is_setting(text)) {
			load_refuse(l, "not \"key = value\"");
		} else if (out_bytes < 2 || strlen(text) > (size_t)out_bytes - 2) {
			load_refuse(l, "too long for this build of inih");
		} else {
			l->setting_pending = true;
			snprintf(out, (size_t)out_bytes, "%s\n", text);
			return out;
		}
	}
	return NULL;
}

/* ini_handler: not 0 to go on. name is NULL in builds that announce sections. */
static int on_setting(void *user, const char *section, const char *name, const char *value)
{
	struct load *l = user;
	bool expected = l->setting_pending;

	(void)section; /* cut at 49 bytes, and blind for empty ones: see load_header() */
	if (!name)
		return 1;
	l->setting_pending = false;
	if (!expected)
		load_refuse(l, "not one setting in a line");
	else if (!value)
		load_refuse(l, "%s has no value", name);
	else
		load_setting(l, name, value);
	return 1;
}

/* All of l->file. */
void load_lines(struct load *l)
{
	int r = ini_parse_stream(read_line, l, on_setting, l);

	check_pending(l);
	if (r != 0 && !l->error)
		load_refuse(l, "inih says %d", r);
	load_finish_section(l);
}
