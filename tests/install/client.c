/* SPDX-License-Identifier: MIT */
/*
 * client.c - what a user of the installed library writes: built against it, run against the installed
 * daemon. A device gets to reach memory of this program's; with "hold", until standard input ends.
 */
#include <err.h>
#include <stdio.h>
#include <string.h>

#include <iommubroker.h>

int main(int argc, char **argv)
{
	struct iob_device_rec *list;
	struct iob_dma memory;
	iob_domain *domain;
	iob_device *device;
	iob_conn *conn;
	size_t count;

	if (argc < 2)
		errx(2, "usage: client SOCKET [hold]");
	if (iob_connect(argv[1], &conn) || iob_device_list(conn, &list, &count))
		errx(1, "%s", iob_error()->text);
	if (count == 0)
		errx(1, "no device");
	if (iob_domain_create(conn, 0, 0, &domain, NULL) ||
	    iob_device_open(conn, list[0].name, IOB_ACCESS_MEDIATED, &device, NULL) ||
	    iob_device_bind(device, iob_domain_fd(domain)) || iob_device_bus_master(device, 1) ||
	    iob_dma_alloc(domain, 4096, IOB_READ | IOB_WRITE, 0x0fffffff, &memory))
		errx(1, "%s", iob_error()->text);
	memset(memory.address, 1, memory.bytes);
	printf("%s reaches %zu bytes at %#llx\n", list[0].name, memory.bytes,
	       (unsigned long long)memory.iova);
	fflush(stdout);
	if (argc > 2)
		while (getchar() != EOF)
			;
	return iob_dma_free(domain, &memory) ? 1 : 0;
}
