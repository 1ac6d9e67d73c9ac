/*
 * The program kade: the shell and its commands, and the server.
 */
#include "server/serve_command.h"
#include "shell/shell.h"

#include <locale.h>
#include <stddef.h>

static const kd_program MORE_PROGRAMS[] = {
    {"serve", kd_serve_main, "serve a database to PostgreSQL's clients"},
};

int main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "");
    return kd_shell_main(argc, argv, MORE_PROGRAMS, sizeof MORE_PROGRAMS / sizeof *MORE_PROGRAMS);
}
