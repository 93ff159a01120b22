/* Another time of day for whoever preloads this: the machine's, and so many seconds more as the
 * file says that CHAOS_CLOCK names. The steady clock is the kernel's own, as when somebody sets the
 * clock. The file is read at every call; Linux only. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static char place[4096];

__attribute__((constructor)) static void begin(void)
{
	const char *named = getenv("CHAOS_CLOCK");

	if (named)
		strncpy(place, named, sizeof place - 1);
}

static long offset(void)
{
	char text[32] = "";
	int file = syscall(SYS_openat, AT_FDCWD, place, O_RDONLY | O_CLOEXEC);

	if (file < 0)
		return 0;
	syscall(SYS_read, file, text, sizeof text - 1);
	syscall(SYS_close, file);
	return atol(text);
}

int clock_gettime(clockid_t id, struct timespec *now)
{
	int result = syscall(SYS_clock_gettime, id, now);

	if (result == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		now->tv_sec += offset();
	return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	int result = syscall(SYS_gettimeofday, now, zone);

	if (result == 0 && now)
		now->tv_sec += offset();
	return result;
}

time_t time(time_t *told)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (told)
		*told = now.tv_sec;
	return now.tv_sec;
}
