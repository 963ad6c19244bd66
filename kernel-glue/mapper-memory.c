/* SPDX-License-Identifier: MIT */
/*
 * mapper-memory.c - map a registered memory whole, shared, without touching it.
 *
 * Three uses, one mapping:
 * - type1 maps by address, and so does iommufd wherever MAP_FILE is absent or not to be trusted
 *   (iommufd-map.c);
 * - a live writable shared mapping makes the kernel refuse a write seal (EBUSY), so memory that
 *   devices may write cannot be sealed against writing while it is registered. MAP_FILE looks at
 *   no seals, and pins, which keep seals away too, exist only while a device is attached;
 * - whether the file can be mapped at all shows at registration, not at the hundredth MAP.
 * A mapping that nobody touches costs address space and nothing else: no page, no page table,
 * no huge page reservation (MAP_NORESERVE). A whole one therefore costs no more than one page.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "kernel-glue/mapper-memory.h"

static const struct {
	int sys_errno;
	enum iob_code code;
	const char *words;
} refusals[] = {
	{ EACCES, IOB_E_MEMORY_ACCESS, "its descriptor is not open for that" },
	/* for reading only, too, on kernels before 6.7 without the backport that Debian's 6.1 has */
	{ EPERM, IOB_E_MEMORY_SEALS,
	  "it is sealed against writing; to let devices only read, open the descriptor read-only" },
	{ ENODEV, IOB_E_MEMORY_KIND, "its descriptor is nothing that can be mapped" },
	{ EBADF, IOB_E_MEMORY_KIND, "its descriptor is nothing that can be mapped" },
	{ ENOMEM, IOB_E_NO_MEMORY, "no address space, or no memory, is left for it" },
	{ EAGAIN, IOB_E_NO_MEMORY, "the limit of locked memory is reached" },
};

static int mmap_fault(int sys_errno, const struct glue_memory *m, struct fault *why)
{
	const char *access = m->writable ? "reading and writing" : "reading";
	enum iob_code code = IOB_E_KERNEL;
	const char *words = strerror(sys_errno);

	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		if (refusals[i].sys_errno == sys_errno) {
			code = refusals[i].code;
			words = refusals[i].words;
		}
	return fault_set(why, code, IOB_STEP_MEMORY, sys_errno,
			 "the memory cannot be mapped for %s: %s", access, words);
}

int mapper_memory_open(struct glue_memory *m, struct fault *why)
{
	int protection = m->writable ? PROT_READ | PROT_WRITE : PROT_READ;
	void *address;

	m->address = NULL;
	m->address_bytes = 0;
	if (m->bytes == 0 || m->bytes > PTRDIFF_MAX)
		return fault_set(why, IOB_E_RANGE, IOB_STEP_MEMORY, EINVAL,
				 "a memory of %llu bytes cannot be mapped",
				 (unsigned long long)m->bytes);
	address = mmap(NULL, (size_t)m->bytes, protection, MAP_SHARED | MAP_NORESERVE, m->fd, 0);
	if (address == MAP_FAILED)
		return mmap_fault(errno, m, why);
	m->address = address;
	m->address_bytes = (size_t)m->bytes;
	return 0;
}

void mapper_memory_close(struct glue_memory *m)
{
	if (m->address)
		munmap(m->address, m->address_bytes);
	m->address = NULL;
	m->address_bytes = 0;
}

int mapper_memory_check(const struct glue_memory *m, uint64_t offset, uint64_t length,
			uint32_t access)
{
	if (!m->address || length == 0 || offset > m->address_bytes ||
	    length > m->address_bytes - offset)
		return -EINVAL;
	if (!(access & (IOB_READ | IOB_WRITE)))
		return -EINVAL;
	return (access & IOB_WRITE) && !m->writable ? -EACCES : 0;
}
