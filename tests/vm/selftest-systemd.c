/*
 * The service of selftest-systemd.sh: counts its own starts in a memfd, which it leaves with the
 * service manager. Tells the file in argv[1], a FIFO, which start this is.
 *
 * sd_notify(3) and sd_listen_fds(3) by hand: this must not depend on anything but the kernel's API.
 */
#include <err.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FIRST_PASSED_FD 3

/* Sends the message to the service manager, with the descriptor unless it is negative. */
static void notify(const char *message, int fd)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct iovec text = { .iov_base = (char *)message, .iov_len = strlen(message) };
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr msg = { .msg_name = &to, .msg_iov = &text, .msg_iovlen = 1 };
	const char *path = getenv("NOTIFY_SOCKET");
	int s = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (!path || strlen(path) >= sizeof(to.sun_path) || s < 0)
		errx(1, "no socket to notify");
	strcpy(to.sun_path, path);
	msg.msg_namelen = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (to.sun_path[0] == '@')
		to.sun_path[0] = 0;
	if (fd >= 0) {
		msg.msg_control = control.room;
		msg.msg_controllen = sizeof(control.room);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	}
	if (sendmsg(s, &msg, MSG_NOSIGNAL) < 0)
		err(1, "sendmsg");
	close(s);
}

/* Where the starts are counted: what the manager has kept, or something new for it to keep. */
static int counter(void)
{
	const char *count = getenv("LISTEN_FDS"), *names = getenv("LISTEN_FDNAMES");
	int fd;

	if (count) {
		if (strcmp(count, "1") != 0 || !names || strcmp(names, "starts") != 0)
			errx(1, "%s descriptors, names %s", count, names ? names : "missing");
		return FIRST_PASSED_FD;
	}
	fd = memfd_create("starts", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, 1) < 0)
		err(1, "memfd");
	notify("FDSTORE=1\nFDNAME=starts", fd);
	return fd;
}

int main(int argc, char **argv)
{
	unsigned char starts;
	int fd = counter(), report;

	if (pread(fd, &starts, 1, 0) != 1)
		err(1, "pread");
	starts++;
	if (pwrite(fd, &starts, 1, 0) != 1)
		err(1, "pwrite");
	notify("READY=1", -1);
	report = argc == 2 ? open(argv[1], O_WRONLY | O_CLOEXEC) : -1;
	if (report < 0 || dprintf(report, "start %d\n", starts) < 0)
		err(1, "report");
	close(report);
	for (;;)
		pause();
}
