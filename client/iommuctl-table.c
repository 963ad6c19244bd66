/* SPDX-License-Identifier: MIT */
/* iommuctl-table.c - aligned columns, and numbers as people read them. */
#include <inttypes.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iommuctl.h"

/* ---- tables ---- */

struct ctl_row *ctl_table_row(struct ctl_table *table)
{
	table->rows = ctl_need(reallocarray(table->rows, table->count + 1, sizeof(table->rows[0])));
	memset(&table->rows[table->count], 0, sizeof(table->rows[0]));
	return &table->rows[table->count++];
}

void ctl_table_heading(struct ctl_table *table, const char *const *cells)
{
	struct ctl_row *row = ctl_table_row(table);

	for (size_t i = 0; i < CTL_COLUMNS && cells[i]; i++)
		ctl_cell_text(row->cells[i], cells[i]);
}

static int column_width(const struct ctl_table *table, size_t column)
{
	size_t width = 0;

	for (size_t i = 0; i < table->count; i++) {
		size_t here = strlen(table->rows[i].cells[column]);

		width = here > width ? here : width;
	}
	return (int)width;
}

static size_t column_count(const struct ctl_table *table)
{
	size_t count = 0;

	while (table->count > 0 && count < CTL_COLUMNS && table->rows[0].cells[count][0])
		count++;
	return count;
}

/* Up to the last cell that has something: no line ends with blanks. */
static void print_row(const struct ctl_table *table, const struct ctl_row *row, const int *width,
		      size_t columns)
{
	while (columns > 0 && !row->cells[columns - 1][0])
		columns--;
	for (size_t c = 0; c < columns; c++) {
		bool right = (table->right >> c & 1) != 0;
		bool last = c + 1 == columns;

		printf("%*s%s", right ? width[c] : (last ? 0 : -width[c]), row->cells[c],
		       last ? "" : "  ");
	}
	putchar('\n');
}

void ctl_table_print(const struct ctl_table *table)
{
	size_t columns = column_count(table);
	int width[CTL_COLUMNS];

	for (size_t c = 0; c < columns; c++)
		width[c] = column_width(table, c);
	for (size_t i = 0; i < table->count; i++)
		print_row(table, &table->rows[i], width, columns);
}

void ctl_table_free(struct ctl_table *table)
{
	free(table->rows);
	table->rows = NULL;
	table->count = 0;
}

/* ---- cells ---- */

void ctl_cell(char cell[CTL_CELL], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(cell, CTL_CELL, format, args);
	va_end(args);
}

void ctl_make_printable(char *text)
{
	for (char *p = text; *p; p++) {
		if (*p < 0x20 || *p > 0x7e)
			*p = '?';
	}
}

void ctl_cell_text(char cell[CTL_CELL], const char *text)
{
	ctl_cell(cell, "%s", text);
	ctl_make_printable(cell);
}

void ctl_cell_size(char cell[CTL_CELL], uint64_t bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	unsigned unit = 0;

	if (bytes == UINT64_MAX) {
		ctl_cell(cell, "unlimited");
		return;
	}
	while (unit + 1 < sizeof(units) / sizeof(units[0]) && bytes >> (10 * (unit + 1)) != 0)
		unit++;
	if ((bytes & ((UINT64_C(1) << (10 * unit)) - 1)) == 0)
		ctl_cell(cell, "%" PRIu64 " %s", bytes >> (10 * unit), units[unit]);
	else
		ctl_cell(cell, "%.1f %s", (double)bytes / (double)(UINT64_C(1) << (10 * unit)),
			 units[unit]);
}

void ctl_cell_user(char cell[CTL_CELL], uint32_t uid)
{
	const struct passwd *user = uid == UINT32_MAX ? NULL : getpwuid(uid);

	if (uid == UINT32_MAX)
		ctl_cell(cell, "-");
	else if (user)
		ctl_cell_text(cell, user->pw_name);
	else
		ctl_cell(cell, "%u", uid);
}

void ctl_cell_duration(char cell[CTL_CELL], uint64_t ms)
{
	uint64_t seconds = ms / 1000;

	ctl_cell(cell, "%" PRIu64 "d %02u:%02u:%02u", seconds / 86400,
		 (unsigned)(seconds / 3600 % 24), (unsigned)(seconds / 60 % 60),
		 (unsigned)(seconds % 60));
}

const char *ctl_access_name(uint32_t flags)
{
	if (flags & IOB_WRITE)
		return flags & IOB_READ ? "read,write" : "write";
	return flags & IOB_READ ? "read" : "-";
}

const char *ctl_backend_name(uint32_t backend)
{
	static const char *const names[] = {
		[IOB_BACKEND_SIM] = "sim",
		[IOB_BACKEND_TYPE1] = "type1",
		[IOB_BACKEND_IOMMUFD] = "iommufd",
	};

	return backend < sizeof(names) / sizeof(names[0]) && names[backend] ? names[backend] :
									      "unknown";
}
