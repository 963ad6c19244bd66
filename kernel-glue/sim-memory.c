/* SPDX-License-Identifier: MIT */
/*
 * sim-memory.c - the simulator's "pages".
 *
 * A kernel pins pages; here an mmap holds the file. The difference shows when a hole is punched
 * after MAP: a kernel goes on with the orphaned page, here DMA meets a fresh page, or, when the
 * file was truncated or hugetlbfs has no page left, SIGBUS, which counts as a fault.
 */
#include "kernel-glue/sim-memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

static sigjmp_buf copy_failed;
static volatile sig_atomic_t copying;

static void on_sigbus(int signal_number)
{
	if (copying)
		siglongjmp(copy_failed, 1);
	signal(signal_number, SIG_DFL); /* our own defect: die of it, at the retry */
}

int sim_memory_init(void)
{
	struct sigaction action = { .sa_handler = on_sigbus };

	return sigaction(SIGBUS, &action, NULL) ? -errno : 0;
}

/* Page size of the file, or 0 when it is of the wrong kind. F_GET_SEALS comes first: it answers
 * for shmem and hugetlbfs only, and unlike fstat it never waits for anybody's file server. */
static uint64_t file_page_bytes(int fd)
{
	struct statfs fs;

	if (fcntl(fd, F_GET_SEALS) < 0 || fstatfs(fd, &fs) || fs.f_bsize <= 0)
		return 0;
	return fs.f_type == HUGETLBFS_MAGIC ? (uint64_t)fs.f_bsize : SIM_PAGE_BYTES;
}

static int check_range(int fd, uint64_t offset, uint64_t length)
{
	struct stat st;
	uint64_t end;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return -EINVAL;
	if ((offset | length) & (SIM_PAGE_BYTES - 1))
		return -EINVAL;
	if (!length || __builtin_add_overflow(offset, length, &end) || end > (uint64_t)st.st_size)
		return -EINVAL;
	return 0;
}

int sim_memory_map(int fd, uint64_t offset, uint64_t length, uint32_t access,
		   struct sim_window *window)
{
	const int protection = access & IOB_WRITE ? PROT_READ | PROT_WRITE : PROT_READ;
	const uint64_t page = file_page_bytes(fd);
	uint64_t start, bytes;
	void *base;

	if (!page || check_range(fd, offset, length))
		return -EINVAL;
	start = offset & ~(page - 1);
	bytes = (offset - start + length + page - 1) & ~(page - 1);
	base = mmap(NULL, bytes, protection, MAP_SHARED | MAP_NORESERVE, fd, (off_t)start);
	if (base == MAP_FAILED)
		return -errno;
	*window = (struct sim_window){ .base = base, .bytes = bytes, .offset = offset - start };
	return 0;
}

void sim_memory_unmap(const struct sim_window *window)
{
	munmap(window->base, window->bytes);
}

/* The fences keep the compiler from moving the copy out of the guarded part: it does not know that
 * memcpy may end in a signal. */
bool sim_memory_copy(void *to, const void *from, size_t bytes)
{
	if (sigsetjmp(copy_failed, 1)) {
		copying = 0;
		return false;
	}
	copying = 1;
	atomic_signal_fence(memory_order_seq_cst);
	memcpy(to, from, bytes);
	atomic_signal_fence(memory_order_seq_cst);
	copying = 0;
	return true;
}
