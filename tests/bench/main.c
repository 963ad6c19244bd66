/* SPDX-License-Identifier: MIT */
/*
 * main.c - measure: one measurement of the broker at $IOMMU_BROKER_SOCKET.
 *
 * usage: measure [--small] latency | connect | clients | live | vm KIND DEVICE,DEVICE
 * --small: a few rounds only, whose figures mean nothing.
 */
#include <stdio.h>
#include <string.h>

#include "tests/bench/bench.h"

static const struct {
	const char *name;
	void (*run)(int small);
} measurements[] = {
	{ "latency", measure_latency },
	{ "connect", measure_connect },
	{ "clients", measure_clients },
	{ "live", measure_live },
};

int main(int argc, char **argv)
{
	int small = argc > 1 && strcmp(argv[1], "--small") == 0;
	int words = argc - 1 - small;
	char **word = argv + 1 + small;

	for (size_t i = 0; words == 1 && i < COUNT(measurements); i++)
		if (strcmp(word[0], measurements[i].name) == 0) {
			measurements[i].run(small);
			return 0;
		}
	if (words == 3 && strcmp(word[0], "vm") == 0) {
		measure_vm(word[1], word[2], small);
		return 0;
	}
	fprintf(stderr,
		"usage: measure [--small] latency | connect | clients | live | vm KIND DEVICE,DEVICE\n");
	return 2;
}
