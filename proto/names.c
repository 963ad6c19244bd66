/* SPDX-License-Identifier: MIT */
/* names.c - what bits and numbers are called in refusals. */
#include "proto/names.h"

#include <stdio.h>
#include <string.h>

#include "proto/wire.h"

struct name {
	uint32_t bit; /* 0: the end */
	const char *text;
};

static const struct name rights_names[] = {
	{ IOB_RIGHT_MAP, "MAP" },
	{ IOB_RIGHT_UNMAP, "UNMAP" },
	{ IOB_RIGHT_BIND, "BIND" },
	{ IOB_RIGHT_INSPECT, "INSPECT" },
	{ IOB_RIGHT_GRANT, "GRANT" },
	{ IOB_RIGHT_DIRECT, "DIRECT" },
	{ 0, NULL },
};
static const struct name access_names[] = {
	{ IOB_ACCESS_MEDIATED, "mediated" },
	{ IOB_ACCESS_FD, "fd" },
	{ 0, NULL },
};
static const struct name memory_names[] = {
	{ IOB_READ, "READ" },
	{ IOB_WRITE, "WRITE" },
	{ IOB_FIXED, "FIXED" },
	{ 0, NULL },
};

static void append(char out[NAMES_BYTES], const char *between, const char *text)
{
	size_t used = strlen(out);

	snprintf(out + used, NAMES_BYTES - used, "%s%s", used ? between : "", text);
}

static const char *names_of(const struct name *names, const char *between, uint32_t bits,
			    char out[NAMES_BYTES])
{
	char number[16];

	out[0] = '\0';
	for (; names->bit; names++) {
		if (bits & names->bit)
			append(out, between, names->text);
		bits &= ~names->bit;
	}
	snprintf(number, sizeof(number), "0x%x", bits);
	if (bits)
		append(out, between, number);
	if (!out[0])
		append(out, between, "none");
	return out;
}

const char *names_rights(uint32_t rights, char out[NAMES_BYTES])
{
	return names_of(rights_names, " ", rights, out);
}

const char *names_access(uint32_t access, char out[NAMES_BYTES])
{
	return names_of(access_names, " and ", access, out);
}

const char *names_memory(uint32_t flags, char out[NAMES_BYTES])
{
	return names_of(memory_names, " ", flags, out);
}

const char *names_bytes(uint64_t bytes, char out[NAMES_BYTES])
{
	static const char suffixes[] = "KMGT";
	unsigned i = 0;

	while (bytes != 0 && bytes % 1024 == 0 && suffixes[i] != '\0') {
		bytes /= 1024;
		i++;
	}
	snprintf(out, NAMES_BYTES, "%llu%.*s", (unsigned long long)bytes, i ? 1 : 0,
		 i ? &suffixes[i - 1] : "");
	return out;
}

const char *names_kind(uint32_t kind)
{
	switch (kind) {
	case IOB_KIND_CONNECTION:
		return "connection";
	case IOB_KIND_DOMAIN:
		return "domain";
	case IOB_KIND_DEVICE:
		return "device";
	default:
		return "unknown";
	}
}
