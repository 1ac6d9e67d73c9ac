/*
 * The shell as the program has it: a table of commands, and the shell itself when none is named.
 */
#ifndef KD_SHELL_SHELL_H
#define KD_SHELL_SHELL_H

#include <stddef.h>

typedef struct kd_program {
    const char *name;
    int (*run)(int argc, char **argv); /* Gives the exit status. argv[0] is the name. */
    const char *help;
} kd_program;

/* `more` are commands beside the shell's own, from other modules. */
int kd_shell_main(int argc, char **argv, const kd_program *more, size_t more_count);

#endif
