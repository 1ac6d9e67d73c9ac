/*
 * kade serve: arguments and environment into settings.
 *
 * Every setting may be given as --name=value, or as KADE_NAME in the environment; an argument comes
 * before the environment, and both before settings.conf.
 */
#include "server/serve_command.h"

#include "base/log.h"
#include "engine/setting.h"
#include "server/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 80 };

static void show_help(void)
{
    fputs(
        "usage: kade serve [OPTIONS] DATABASE\n\n"
        "Serves a database to PostgreSQL's clients until it is told to stop (SIGINT, SIGTERM).\n"
        "DATABASE is a directory, made when absent.\n\n"
        "  --NAME=VALUE      a setting, such as --port=5433 or --listen-addresses='*'\n"
        "  -h ADDRESSES      --listen-addresses\n"
        "  -p PORT           --port\n"
        "  -k DIRECTORIES    --unix-socket-directories\n"
        "  -c NAME=VALUE     a setting\n"
        "  -q                tell nothing but failures\n"
        "  --help\n\n"
        "The environment's KADE_NAME sets NAME too. What is kept in the database's settings.conf\n"
        "comes after both. The manual's page on settings tells all of them.\n",
        stdout);
}

typedef struct serve_arguments {
    kd_ctx *ctx;
    kd_buffer settings;
    const char *path;
    bool is_quiet;
    int exit_code; /* Not negative: leave with it. */
} serve_arguments;

/* A line of settings.conf: name = 'value', quotes doubled, dashes as '_'. */
static kd_status add_setting(serve_arguments *parsed, kd_slice name, const char *value)
{
    kd_ctx *ctx = parsed->ctx;
    kd_buffer *out = &parsed->settings;
    for (size_t i = 0; i < name.size_bytes; i++)
        KD_TRY(
            kd_buffer_append_byte(ctx, out, (uint8_t)(name.data[i] == '-' ? '_' : name.data[i])));
    KD_TRY(kd_buffer_append_text(ctx, out, " = '"));
    for (; *value != '\0'; value++) {
        if (*value == '\'')
            KD_TRY(kd_buffer_append_byte(ctx, out, '\''));
        KD_TRY(kd_buffer_append_byte(ctx, out, (uint8_t)*value));
    }
    return kd_buffer_append_text(ctx, out, "'\n");
}

static kd_status add_environment(serve_arguments *parsed)
{
    kd_setting_info info;
    for (uint32_t i = 0; kd_setting_at(i, &info); i++) {
        char name[NAME_BYTES] = "KADE_";
        size_t size = strlen(name);
        for (const char *c = info.name; *c != '\0' && size + 1 < sizeof name; c++)
            name[size++] = (char)(*c == '.' ? '_' : *c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
        name[size] = '\0';
        const char *value = getenv(name);
        if (value != NULL)
            KD_TRY(add_setting(parsed, kd_slice_of(info.name), value));
    }
    return KD_OK;
}

static kd_status add_pair(serve_arguments *parsed, const char *pair)
{
    const char *equals = strchr(pair, '=');
    if (equals == NULL || equals == pair) {
        fprintf(stderr, "kade serve: expected NAME=VALUE, not %s\n", pair);
        parsed->exit_code = 2;
        return KD_OK;
    }
    return add_setting(parsed, (kd_slice){pair, (size_t)(equals - pair)}, equals + 1);
}

static kd_status parse_option(serve_arguments *parsed, int argc, char **argv, int *index)
{
    static const struct {
        const char *word, *name;
    } with_value[] = {{"-h", "listen_addresses"},
                      {"-p", "port"},
                      {"-k", "unix_socket_directories"},
                      {"-c", NULL}};
    const char *word = argv[*index];
    if (strcmp(word, "--help") == 0) {
        show_help();
        parsed->exit_code = 0;
        return KD_OK;
    }
    if (strcmp(word, "-q") == 0) {
        parsed->is_quiet = true;
        return KD_OK;
    }
    for (size_t i = 0; i < sizeof with_value / sizeof *with_value; i++) {
        if (strcmp(word, with_value[i].word) != 0)
            continue;
        if (*index + 1 >= argc) {
            fprintf(stderr, "kade serve: %s needs a value\n", word);
            parsed->exit_code = 2;
            return KD_OK;
        }
        const char *value = argv[++*index];
        return with_value[i].name == NULL
                   ? add_pair(parsed, value)
                   : add_setting(parsed, kd_slice_of(with_value[i].name), value);
    }
    if (word[1] == '-' && word[2] != '\0')
        return add_pair(parsed, word + 2);
    fprintf(stderr, "kade serve: unknown option %s; try kade serve --help\n", word);
    parsed->exit_code = 2;
    return KD_OK;
}

static kd_status parse_arguments(serve_arguments *parsed, int argc, char **argv)
{
    KD_TRY(add_environment(parsed));
    for (int i = 1; i < argc && parsed->exit_code < 0; i++) {
        if (argv[i][0] == '-' && argv[i][1] != '\0') {
            KD_TRY(parse_option(parsed, argc, argv, &i));
        } else if (parsed->path == NULL) {
            parsed->path = argv[i];
        } else {
            fprintf(stderr, "kade serve: one database only, not also %s\n", argv[i]);
            parsed->exit_code = 2;
        }
    }
    if (parsed->path == NULL && parsed->exit_code < 0) {
        fputs("kade serve: which database? try kade serve --help\n", stderr);
        parsed->exit_code = 2;
    }
    return KD_OK;
}

static void on_ready(void *object, const char *places, uint16_t port)
{
    const serve_arguments *parsed = object;
    (void)port;
    if (!parsed->is_quiet)
        fprintf(stderr, "kade: serving %s on %s\n", parsed->path, places);
}

static int serve(serve_arguments *parsed)
{
    kd_ctx *ctx = parsed->ctx;
    kd_server_options options = {.path = parsed->path,
                                 .settings = parsed->settings.data,
                                 .ready = on_ready,
                                 .object = parsed};
    if (!parsed->is_quiet)
        kd_log_set_level(KD_LOG_INFO);
    if (kd_server_run(ctx, &options) == KD_OK)
        return 0;
    fprintf(stderr, "kade: %s: %s\n", ctx->error.sqlstate, ctx->error.message);
    if (ctx->error.hint[0] != '\0')
        fprintf(stderr, "kade: hint: %s\n", ctx->error.hint);
    return 1;
}

int kd_serve_main(int argc, char **argv)
{
    kd_ctx ctx = {.world = kd_world_posix()};
    kd_error_clear(&ctx);
    kd_arena *arena = kd_arena_create(&ctx, NULL, "program", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return 1;
    serve_arguments parsed = {.ctx = &ctx, .settings = kd_buffer_in(arena), .exit_code = -1};
    if (parse_arguments(&parsed, argc, argv) != KD_OK)
        parsed.exit_code = 1;
    if (parsed.exit_code < 0)
        parsed.exit_code = serve(&parsed);
    kd_arena_destroy(arena);
    return parsed.exit_code;
}
