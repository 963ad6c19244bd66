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
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

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

/* F_GET_SEALS comes first: it answers for shmem and hugetlbfs only, and unlike fstat it never waits for
 * anybody's file server. */
static int file_bytes(int fd, size_t *bytes)
{
	struct stat st;

	if (fcntl(fd, F_GET_SEALS) < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size <= 0)
		return -EINVAL;
	*bytes = (size_t)st.st_size;
	return 0;
}

int sim_file_map(int fd, struct sim_file *file)
{
	struct sim_file f = { 0 };
	int error = file_bytes(fd, &f.bytes);

	if (error)
		return error;
	f.base = mmap(NULL, f.bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (f.base == MAP_FAILED) {
		f.write_error = errno;
		f.base = mmap(NULL, f.bytes, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, 0);
	}
	if (f.base == MAP_FAILED)
		return -errno;
	*file = f;
	return 0;
}

void sim_file_unmap(struct sim_file *file)
{
	if (file->base)
		munmap(file->base, file->bytes);
	*file = (struct sim_file){ 0 };
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
