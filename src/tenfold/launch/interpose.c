/* bind and listen for LD_PRELOAD: a socket for every interface gets loopback instead.
 *
 * The same rules as binds.py, for machines that refuse its way. Programs that make the system calls
 * themselves (static ones, Go's) or that are setuid do not come by here.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

static int option(int fd, int level, int name)
{
    int value = 0;
    socklen_t size = sizeof value;
    return getsockopt(fd, level, name, &value, &size) ? -1 : value;
}

static int real_bind(int fd, const struct sockaddr *address, socklen_t size)
{
    int (*next)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "bind");
    if (!next) {
        errno = ENOSYS;
        return -1;
    }
    return next(fd, address, size);
}

static void turn4(struct sockaddr_in *wanted)
{
    if (wanted->sin_family != AF_INET && wanted->sin_family != AF_UNSPEC)
        return;
    if (wanted->sin_addr.s_addr == htonl(INADDR_ANY))
        wanted->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
}

static void turn6(int fd, struct sockaddr_in6 *wanted)
{
    static const unsigned char mapped_any[16] = {[10] = 0xff, [11] = 0xff};
    static const unsigned char mapped[16] = {[10] = 0xff, [11] = 0xff, 127, 0, 0, 1};
    int any = IN6_IS_ADDR_UNSPECIFIED(&wanted->sin6_addr);

    if (any && option(fd, IPPROTO_IPV6, IPV6_V6ONLY) == 1)
        wanted->sin6_addr = in6addr_loopback;
    else if (any || !memcmp(&wanted->sin6_addr, mapped_any, 16))
        memcpy(&wanted->sin6_addr, mapped, 16);
}

int bind(int fd, const struct sockaddr *address, socklen_t size)
{
    struct sockaddr_storage wanted;
    int type = option(fd, SOL_SOCKET, SO_TYPE);
    int domain = option(fd, SOL_SOCKET, SO_DOMAIN);
    struct sockaddr_in *four = (struct sockaddr_in *)&wanted;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&wanted;

    if (!address || size > sizeof wanted || type == SOCK_RAW
        || !((domain == AF_INET && size >= sizeof *four)
             || (domain == AF_INET6 && size >= offsetof(struct sockaddr_in6, sin6_scope_id))))
        return real_bind(fd, address, size);
    memcpy(&wanted, address, size);
    /* A UDP socket without a port is how resolvers and QUIC clients begin. */
    if (type == SOCK_DGRAM && four->sin_port == 0)
        return real_bind(fd, address, size);
    if (domain == AF_INET)
        turn4(four);
    else
        turn6(fd, six);
    return real_bind(fd, (struct sockaddr *)&wanted, size);
}

/* A TCP socket that listens unbound is bound to every interface by the kernel. */
static int bind_unbound(int fd)
{
    struct sockaddr_storage own;
    socklen_t size = sizeof own;
    int domain = option(fd, SOL_SOCKET, SO_DOMAIN);

    if (option(fd, SOL_SOCKET, SO_TYPE) != SOCK_STREAM || (domain != AF_INET && domain != AF_INET6))
        return 0;
    memset(&own, 0, sizeof own);
    if (getsockname(fd, (struct sockaddr *)&own, &size) || ((struct sockaddr_in *)&own)->sin_port)
        return 0;
    memset(&own, 0, sizeof own);
    own.ss_family = domain;
    return bind(fd, (struct sockaddr *)&own,
                domain == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
}

int listen(int fd, int backlog)
{
    int (*next)(int, int) = dlsym(RTLD_NEXT, "listen");
    if (!next) {
        errno = ENOSYS;
        return -1;
    }
    return bind_unbound(fd) ? -1 : next(fd, backlog);
}
