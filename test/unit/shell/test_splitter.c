/*
 * Goal: statements are cut where the server's lexer would end them. Method: texts with every kind
 * of quote, fed whole and byte by byte.
 */
#include "shell/shell_internal.h"
#include "test.h"

/* The statements of `text`, each in brackets; what is left over after '#'. */
static void check_split(const char *text, const char *expected)
{
    for (int by_byte = 0; by_byte < 2; by_byte++) {
        kd_ctx ctx = test_ctx();
        kd_arena *arena = test_arena(&ctx);
        kd_buffer out = kd_buffer_in(arena);
        kdi_splitter splitter;
        kdi_splitter_init(&splitter, arena);
        size_t size = strlen(text);
        for (size_t at = 0; at < size;) {
            /* A tag, comment sign or escape may be cut in two, as lines never do: feed lines' ends
             * only where the text has blanks. */
            size_t step = size - at;
            if (by_byte) {
                step = strcspn(text + at, " ") + 1;
                step = step > size - at ? size - at : step;
            }
            CHECK_STATUS(&ctx, kdi_splitter_feed(&ctx, &splitter, text + at, step));
            at += step;
            size_t found;
            while ((found = kdi_splitter_next(&splitter)) > 0) {
                CHECK_STATUS(&ctx, kd_buffer_append_format(&ctx, &out, "[%.*s]", (int)found,
                                                           splitter.text.data));
                kdi_splitter_drop(&splitter, found);
            }
        }
        CHECK_STATUS(&ctx, kd_buffer_append_byte(&ctx, &out, '#'));
        CHECK_STATUS(&ctx, kd_buffer_append_slice(&ctx, &out, kd_buffer_slice(&splitter.text)));
        CHECK_SLICE(kd_buffer_slice(&out), expected);
        kd_arena_destroy(arena);
    }
}

TEST(splitter_cuts_at_semicolons_outside_quotes)
{
    check_split("select 1; select 2;", "[select 1;][ select 2;]#");
    check_split("select ';' , \";\" ; x", "[select ';' , \";\" ;]# x");
    check_split("select 'it''s;' ; y", "[select 'it''s;' ;]# y");
    check_split("select E'a\\';' ; z", "[select E'a\\';' ;]# z");
    check_split("select 'a\\' ; z", "[select 'a\\' ;]# z");
    check_split("select $$ ; $$ ; $a$ ; $b$ ; $a$ ;", "[select $$ ; $$ ;][ $a$ ; $b$ ; $a$ ;]#");
    check_split("select $1 ; select a$b ;", "[select $1 ;][ select a$b ;]#");
    check_split("/* ; /* ; */ ; */ select 1 ; -- ; x\n 2 ;",
                "[/* ; /* ; */ ; */ select 1 ;][ -- ; x\n 2 ;]#");
    check_split("create rule r ( a ; b ) ; c ;", "[create rule r ( a ; b ) ;][ c ;]#");
}

TEST(splitter_knows_what_is_open)
{
    static const struct {
        const char *text;
        char open;
    } CASES[] = {
        {"", '='},           {" -- note\n", '='},  {"select 1", '-'}, {"select 'a", '\''},
        {"select \"a", '"'}, {"select $$ a", '$'}, {"/* a", '*'},     {"f(1, ", '('},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        kd_ctx ctx = test_ctx();
        kd_arena *arena = test_arena(&ctx);
        kdi_splitter splitter;
        kdi_splitter_init(&splitter, arena);
        CHECK_STATUS(&ctx,
                     kdi_splitter_feed(&ctx, &splitter, CASES[i].text, strlen(CASES[i].text)));
        CHECK_EQ(kdi_splitter_next(&splitter), 0);
        CHECK_EQ(kdi_splitter_open(&splitter), CASES[i].open);
        kd_arena_destroy(arena);
    }
}
