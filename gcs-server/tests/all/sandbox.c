/* Runs a program for which some system calls fail, as in a sandbox: sandbox "call:errno call:errno" PROGRAM ARGUMENTS
 * The calls are `sendfile`, `memfd_create`, and `seal`, which is fcntl with F_ADD_SEALS. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define UNLESS(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip)
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, value)

static struct sock_filter filter[64];
static unsigned short length;

static void add(struct sock_filter step) { filter[length++] = step; }

static void fail(const char *call, int error) {
    int is_seal = !strcmp(call, "seal");
    int number = !strcmp(call, "sendfile") ? SYS_sendfile : is_seal ? SYS_fcntl : SYS_memfd_create;
    if (!is_seal && number == SYS_memfd_create && strcmp(call, "memfd_create")) exit(2);
    add((struct sock_filter)LOAD(nr));
    add((struct sock_filter)UNLESS(number, is_seal ? 3 : 1));
    if (is_seal) {
        add((struct sock_filter)LOAD(args[1]));
        add((struct sock_filter)UNLESS(F_ADD_SEALS, 1));
    }
    add((struct sock_filter)RETURN(SECCOMP_RET_ERRNO | error));
}

int main(int count, char **arguments) {
    if (count < 3) return 2;
    for (char *spec = strtok(arguments[1], " "); spec && length < 50; spec = strtok(NULL, " ")) {
        char *error = strchr(spec, ':');
        if (!error) return 2;
        *error = 0;
        fail(spec, atoi(error + 1));
    }
    add((struct sock_filter)RETURN(SECCOMP_RET_ALLOW));
    struct sock_fprog program = { length, filter };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
        perror("sandbox");
        return 2;
    }
    execv(arguments[2], arguments + 2);
    perror(arguments[2]);
    return 2;
}
