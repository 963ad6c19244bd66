/*
 * Proves the rig: one life of a DMA mapping on QEMU's edu device, through the kernel's own API and
 * nothing of the project's.
 *
 * usage: selftest type1|iommufd BDF [--no-map]
 *
 * --no-map leaves the mapping out and changes nothing else. The test must then fail; if it does
 * not, it would not notice a broken IOMMU either.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE	  4096u
#define MAP_BYTES (2 * PAGE)
/* edu cuts addresses to 28 bits. */
#define MAP_IOVA UINT64_C(0x4560000)

/* docs/specs/edu.rst of QEMU. 7.2 aborts on a transfer of the whole buffer, 4096 bytes. */
#define EDU_ID	       0x00
#define EDU_DMA_SRC    0x80
#define EDU_DMA_DST    0x88
#define EDU_DMA_COUNT  0x90
#define EDU_DMA_CMD    0x98
#define EDU_DMA_START  1u
#define EDU_DMA_TO_RAM 2u
#define EDU_BUFFER     0x40000u
#define EDU_TRANSFER   2048u

#define PCI_COMMAND		      4
#define PCI_COMMAND_MEMORY_AND_MASTER 6

static void __attribute__((format(printf, 1, 2), noreturn)) fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("FAIL ");
	vprintf(format, args);
	printf("\n");
	va_end(args);
	exit(1);
}

/* Both kernels behind one set of operations. Each ends the process when it fails. */
struct backend {
	const char *name;
	int (*open_device)(const char *bdf);
	void (*map)(void *memory, int memory_fd);
	void (*unmap)(void);
};

/* Container or iommufd; open until the process ends. */
static int context_fd;
static uint32_t ioas_id;

static int type1_open_device(const char *bdf)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	char path[128], link[256];
	ssize_t length;
	int group, device;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", bdf);
	length = readlink(path, link, sizeof(link) - 1);
	if (length < 0)
		fail("%s: %m", path);
	link[length] = '\0';
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(link, '/') + 1);

	context_fd = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (context_fd < 0)
		fail("/dev/vfio/vfio: %m");
	group = open(path, O_RDWR | O_CLOEXEC);
	if (group < 0)
		fail("%s: %m", path);
	if (ioctl(group, VFIO_GROUP_GET_STATUS, &status))
		fail("GROUP_GET_STATUS: %m");
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		fail("the group is not viable");
	if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &context_fd))
		fail("GROUP_SET_CONTAINER: %m");
	if (ioctl(context_fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		fail("SET_IOMMU: %m");
	device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, bdf);
	if (device < 0)
		fail("GROUP_GET_DEVICE_FD: %m");
	return device;
}

static void type1_map(void *memory, int memory_fd)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)memory,
		.iova = MAP_IOVA,
		.size = MAP_BYTES,
	};

	(void)memory_fd;
	if (ioctl(context_fd, VFIO_IOMMU_MAP_DMA, &map))
		fail("MAP_DMA: %m");
}

static void type1_unmap(void)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = MAP_IOVA,
		.size = MAP_BYTES,
	};

	if (ioctl(context_fd, VFIO_IOMMU_UNMAP_DMA, &unmap) || unmap.size != MAP_BYTES)
		fail("UNMAP_DMA: %m, %llu bytes", (unsigned long long)unmap.size);
}

static int iommufd_open_device(const char *bdf)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach) };
	char pattern[128], path[128];
	glob_t found;
	int device;

	snprintf(pattern, sizeof(pattern), "/sys/bus/pci/devices/%s/vfio-dev/vfio*", bdf);
	if (glob(pattern, 0, NULL, &found) || found.gl_pathc != 1)
		fail("%s: not exactly one", pattern);
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", strrchr(found.gl_pathv[0], '/') + 1);
	globfree(&found);

	context_fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (context_fd < 0)
		fail("/dev/iommu: %m");
	device = open(path, O_RDWR | O_CLOEXEC);
	if (device < 0)
		fail("%s: %m", path);
	bind.iommufd = context_fd;
	if (ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind))
		fail("BIND_IOMMUFD: %m");
	if (ioctl(context_fd, IOMMU_IOAS_ALLOC, &alloc))
		fail("IOAS_ALLOC: %m");
	ioas_id = alloc.out_ioas_id;
	attach.pt_id = ioas_id;
	if (ioctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach))
		fail("ATTACH_IOMMUFD_PT: %m");
	return device;
}

static void iommufd_map(void *memory, int memory_fd)
{
	struct iommu_ioas_map_file map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas_id,
		.fd = memory_fd,
		.length = MAP_BYTES,
		.iova = MAP_IOVA,
	};

	(void)memory;
	if (ioctl(context_fd, IOMMU_IOAS_MAP_FILE, &map))
		fail("IOAS_MAP_FILE: %m");
}

static void iommufd_unmap(void)
{
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = ioas_id,
		.iova = MAP_IOVA,
		.length = MAP_BYTES,
	};

	if (ioctl(context_fd, IOMMU_IOAS_UNMAP, &unmap) || unmap.length != MAP_BYTES)
		fail("IOAS_UNMAP: %m, %llu bytes", (unsigned long long)unmap.length);
}

static const struct backend backends[] = {
	{ "type1", type1_open_device, type1_map, type1_unmap },
	{ "iommufd", iommufd_open_device, iommufd_map, iommufd_unmap },
};

static struct vfio_region_info region(int device, uint32_t index)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = index };

	if (ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info))
		fail("GET_REGION_INFO %u: %m", index);
	return info;
}

static volatile uint8_t *edu_open(int device)
{
	struct vfio_region_info config = region(device, VFIO_PCI_CONFIG_REGION_INDEX);
	struct vfio_region_info bar = region(device, VFIO_PCI_BAR0_REGION_INDEX);
	uint16_t command;
	uint8_t *registers;

	/* edu has no reset method, so VFIO has not left it in any known state: enable it here. */
	if (pread(device, &command, sizeof(command), (off_t)config.offset + PCI_COMMAND) != 2)
		fail("read of the PCI command register: %m");
	command |= PCI_COMMAND_MEMORY_AND_MASTER;
	if (pwrite(device, &command, sizeof(command), (off_t)config.offset + PCI_COMMAND) != 2)
		fail("write of the PCI command register: %m");
	registers =
		mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED, device, (off_t)bar.offset);
	if (registers == MAP_FAILED)
		fail("mmap of BAR 0: %m");
	return registers;
}

static void edu_write(volatile uint8_t *edu, uint32_t reg, uint64_t value)
{
	*(volatile uint64_t *)(edu + reg) = value;
}

/* Returns when the engine is idle again, about 100 ms later. */
static void edu_transfer(volatile uint8_t *edu, uint64_t source, uint64_t target, uint32_t command)
{
	const struct timespec pause = { .tv_nsec = 5 * 1000 * 1000 };

	edu_write(edu, EDU_DMA_SRC, source);
	edu_write(edu, EDU_DMA_DST, target);
	edu_write(edu, EDU_DMA_COUNT, EDU_TRANSFER);
	edu_write(edu, EDU_DMA_CMD, command | EDU_DMA_START);
	for (int i = 0; i < 1000; i++) {
		if (!(*(volatile uint64_t *)(edu + EDU_DMA_CMD) & EDU_DMA_START))
			return;
		nanosleep(&pause, NULL);
	}
	fail("the engine of the device never came to an end");
}

/* Looks for a fault of this device at MAP_IOVA in what was logged since log_fd was opened. */
static bool fault_logged(int log_fd, const char *bdf)
{
	const struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };
	/* The line has the PCI domain in later kernels, not in earlier ones. */
	const char *device = strchr(bdf, ':') + 1;
	char record[8192], address[64];
	ssize_t length;

	snprintf(address, sizeof(address), "fault addr 0x%llx", (unsigned long long)MAP_IOVA);
	for (int i = 0; i < 300; i++) {
		length = read(log_fd, record, sizeof(record) - 1);
		if (length < 0) {
			/* EPIPE: records were overwritten before they were read; go on. */
			if (errno != EAGAIN && errno != EPIPE)
				fail("/dev/kmsg: %m");
			if (errno == EAGAIN)
				nanosleep(&pause, NULL);
			continue;
		}
		record[length] = '\0';
		if (strstr(record, "DMAR:") && strstr(record, device) && strstr(record, address)) {
			record[strcspn(record, "\n")] = '\0';
			printf("  %s\n", strstr(record, "DMAR:"));
			return true;
		}
	}
	return false;
}

int main(int argc, char **argv)
{
	const struct backend *backend = NULL;
	bool with_map = argc == 3;
	volatile uint8_t *edu;
	uint8_t *memory, untouched[PAGE];
	int memory_fd, log_fd;
	uint32_t id;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; argc >= 3 && i < sizeof(backends) / sizeof(backends[0]); i++)
		if (!strcmp(argv[1], backends[i].name))
			backend = &backends[i];
	if (!backend || argc > 4 || (argc == 4 && strcmp(argv[3], "--no-map"))) {
		fprintf(stderr, "usage: %s type1|iommufd BDF [--no-map]\n", argv[0]);
		return 2;
	}

	log_fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (log_fd < 0 || lseek(log_fd, 0, SEEK_END) < 0)
		fail("/dev/kmsg: %m");
	memory_fd = memfd_create("selftest", MFD_CLOEXEC);
	if (memory_fd < 0 || ftruncate(memory_fd, MAP_BYTES))
		fail("memfd: %m");
	memory = mmap(NULL, MAP_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd, 0);
	if (memory == MAP_FAILED)
		fail("mmap: %m");

	edu = edu_open(backend->open_device(argv[2]));
	id = *(volatile uint32_t *)(edu + EDU_ID);
	if ((id & 0xffff) != 0x00ed)
		fail("%s is not an edu device: %#x", argv[2], id);
	printf("  device open, edu %u.%u\n", id >> 24, id >> 16 & 0xff);

	if (with_map)
		backend->map(memory, memory_fd);
	for (uint32_t i = 0; i < PAGE; i++)
		memory[i] = (uint8_t)(i * 7 + (i >> 8) + 1);
	edu_transfer(edu, MAP_IOVA, EDU_BUFFER, 0);
	edu_transfer(edu, EDU_BUFFER, MAP_IOVA + PAGE, EDU_DMA_TO_RAM);
	if (memcmp(memory, memory + PAGE, EDU_TRANSFER))
		fail("what the device read from memory is not what it wrote to memory");
	printf("  DMA both ways at IOVA %#llx: %u bytes the same\n", (unsigned long long)MAP_IOVA,
	       EDU_TRANSFER);

	backend->unmap();
	memset(memory, 0x5a, PAGE);
	memset(untouched, 0x5a, PAGE);
	edu_transfer(edu, EDU_BUFFER, MAP_IOVA, EDU_DMA_TO_RAM);
	if (memcmp(memory, untouched, PAGE))
		fail("the device wrote to memory after UNMAP");
	if (!fault_logged(log_fd, argv[2]))
		fail("no DMAR fault in the kernel's log after DMA to an unmapped IOVA");
	printf("PASS %s %s\n", backend->name, argv[2]);
	return 0;
}
