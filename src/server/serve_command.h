/*
 * The command kade serve.
 */
#ifndef KD_SERVER_SERVE_COMMAND_H
#define KD_SERVER_SERVE_COMMAND_H

/* Gives the program's exit status: 0 after a signal to stop, 1 for a failure, 2 for wrong
 * arguments. */
int kd_serve_main(int argc, char **argv);

#endif
