/* Preloaded: notes every name that the process asks the system's resolver for, in the file that $LOOK_UPS names. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
    int (*ask)(const char *, const char *, const struct addrinfo *, struct addrinfo **) = dlsym(RTLD_NEXT, "getaddrinfo");
    FILE *file = fopen(getenv("LOOK_UPS"), "a");

    if (file) {
        fprintf(file, "%s\n", node ? node : "");
        fclose(file);
    }
    return ask(node, service, hints, result);
}
