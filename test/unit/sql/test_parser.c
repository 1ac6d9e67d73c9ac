/*
 * Goal: trees have the shape that the binder relies on, and errors have PostgreSQL's code, words
 * and place. Method: small statements, looked into by hand, and a table of wrong ones.
 */
#include "sql/ast_define.h"
#include "sql/parser.h"
#include "test.h"

static kd_ctx ctx;
static kd_arena *arena;

static void begin(void)
{
    ctx = (kd_ctx){.world = kd_world_posix()};
    arena = kd_arena_create(&ctx, NULL, "test", KD_ARENA_UNLIMITED);
}

static void *parse(const char *text)
{
    kd_statement statement;
    if (arena == NULL)
        begin();
    kd_status status = kd_parse_statement(&ctx, arena, kd_slice_of(text), &statement);
    test_note("%s: %s", text, ctx.error.message);
    CHECK(status == KD_OK);
    return statement.node;
}

static kd_ast_node *expression(const char *text)
{
    kd_ast_node *node;
    if (arena == NULL)
        begin();
    kd_status status = kd_parse_expression(&ctx, arena, kd_slice_of(text), &node);
    test_note("%s: %s", text, ctx.error.message);
    CHECK(status == KD_OK);
    return node;
}

/* ---- Errors ---- */

typedef struct wrong_case {
    const char *text;
    const char *sqlstate;
    int position;
    const char *message; /* A part of it. */
    const char *hint;    /* A part of it. */
} wrong_case;

static const wrong_case wrong[] = {
    {"SELCT 1", "42601", 0, "syntax error at or near \"SELCT\"", "Perhaps you meant \"SELECT\"."},
    {"select a form t", "42601", 14, "at or near \"t\"", "\"FROM\""},
    {"select 1 fro", "", 0, "", ""},
    {"select * fro t", "42601", 9, "at or near \"fro\"", "\"FROM\""},
    {"select a from t wher a", "42601", 21, "at or near \"a\"", "\"WHERE\""},
    {"create tabel t (a int)", "42601", 7, "\"tabel\"", "\"TABLE\""},
    {"select (1", "42601", 9, "syntax error at end of input", "\")\""},
    {"select 1 +", "42601", 10, "syntax error at end of input", ""},
    {"select 1 < 2 < 3", "42601", 13, "at or near \"<\"", ""},
    {"select a between 1 and 2 between 3 and 4", "42601", 25, "\"between\"", ""},
    {"select 'abc", "42601", 7, "unterminated quoted string", ""},
    {"select \"abc", "42601", 7, "unterminated quoted identifier", ""},
    {"select /* x", "42601", 7, "unterminated /* comment", ""},
    {"select $a$ x", "42601", 7, "unterminated dollar-quoted string", ""},
    {"select \"\"", "42601", 7, "zero-length delimited identifier", ""},
    {"select 123abc", "42601", 7, "trailing junk after numeric literal", ""},
    {"select E'\\u00'", "22025", 13, "invalid Unicode escape", ""},
    {"select E'\\xff'", "22021", 8, "invalid byte sequence", ""},
    {"select E'\\000'", "22021", 8, "invalid byte sequence", ""},
    {"select '\xff'", "22021", 8, "invalid byte sequence for encoding \"UTF8\": 0xff", ""},
    {"select B'12'", "22P02", 7, "\"2\" is not a valid binary digit", ""},
    {"select 1 limit 1, 2", "42601", 16, "LIMIT #,# syntax is not supported", "separate LIMIT"},
    {"(select 1 limit 1) limit 2", "42601", 19, "multiple LIMIT clauses not allowed", ""},
    {"(select 1 order by 1) order by 1", "42601", 22, "multiple ORDER BY clauses", ""},
    {"select sum(a) over (rows between unbounded following and current row)", "42P20", 25,
     "frame start cannot be UNBOUNDED FOLLOWING", ""},
    {"create table t (a)", "42601", 17, "the column has no type", ""},
    {"create table t (a int) inherits (b)", "0A000", 23, "INHERITS is not supported", ""},
    {"select 1; select 2", "42601", 10, "cannot insert multiple commands", ""},
    {"select 1 2", "42601", 9, "at or near \"2\"", ""},
    {"insert into t", "42601", 13, "end of input", "VALUES"},
    {"update t where a", "42601", 9, "\"where\"", "SET"},
    {"select a from", "42601", 13, "end of input", ""},
    {"delete t", "42601", 7, "\"t\"", "FROM"},
    {"comment on column c is 'x'", "42601", 18, "column name must be qualified", ""},
    {"select float(0) '1'", "22023", 13, "precision for type float must be at least 1 bit", ""},
    {"select a.b.c.d.e(1)", "42601", 7, "improper qualified name", ""},
    {"select * from (a)", "42601", 16, "at or near \")\"", ""},
    {"create index i on t", "42601", 19, "end of input", ""},
};

TEST(parser_says_what_is_wrong_and_where)
{
    begin();
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const wrong_case *w = &wrong[i];
        kd_statement statement;
        kd_status status = kd_parse_statement(&ctx, arena, kd_slice_of(w->text), &statement);
        test_note("%s: %d %s %s (%s)", w->text, ctx.error.position, ctx.error.sqlstate,
                  ctx.error.message, ctx.error.hint);
        CHECK((status == KD_OK) == (w->sqlstate[0] == '\0'));
        if (status != KD_OK) {
            CHECK_TEXT(ctx.error.sqlstate, w->sqlstate);
            CHECK_EQ(ctx.error.position, w->position);
            CHECK(strstr(ctx.error.message, w->message) != NULL);
            CHECK(strstr(ctx.error.hint, w->hint) != NULL);
        }
        kd_error_clear(&ctx);
    }
    kd_arena_destroy(arena);
}

TEST(parser_refuses_a_nul_byte)
{
    begin();
    kd_statement statement;
    kd_slice text = {"select \0 1", 10};
    CHECK(kd_parse_statement(&ctx, arena, text, &statement) == KD_INVALID);
    CHECK_TEXT(ctx.error.sqlstate, "22021");
    CHECK_EQ(ctx.error.position, 7);
    kd_arena_destroy(arena);
}

/* ---- Shapes ---- */

TEST(parser_gives_and_chains_as_one_node)
{
    kd_ast_args *node = (kd_ast_args *)expression("a and b = 1 and not c and (d and e) or f");
    CHECK_EQ(node->node.kind, KD_AST_OR);
    CHECK_EQ(node->args.count, 2);
    kd_ast_args *left = (kd_ast_args *)node->args.items[0];
    CHECK_EQ(left->node.kind, KD_AST_AND);
    CHECK_EQ(left->args.count, 4);
    CHECK_EQ(left->args.items[2]->kind, KD_AST_NOT);
    CHECK_EQ(left->args.items[3]->kind, KD_AST_AND);
    kd_arena_destroy(arena);
}

TEST(parser_follows_the_levels_of_operators)
{
    kd_ast_operator *add = (kd_ast_operator *)expression("1 + 2 * 3 ^ 4 - 5");
    CHECK_SLICE(add->name, "-");
    kd_ast_operator *left = (kd_ast_operator *)add->left;
    CHECK_SLICE(left->name, "+");
    kd_ast_operator *times = (kd_ast_operator *)left->right;
    CHECK_SLICE(times->name, "*");
    CHECK_SLICE(((kd_ast_operator *)times->right)->name, "^");
    CHECK_EQ(add->node.mark, 14);
    CHECK_EQ(add->node.position, 0);
    CHECK_EQ(add->node.end, 17);
    /* - binds before ^, :: before -. */
    kd_ast_operator *power = (kd_ast_operator *)expression("-a ^ 2");
    CHECK_SLICE(power->name, "^");
    kd_ast_operator *minus = (kd_ast_operator *)expression("-a::int");
    CHECK_SLICE(minus->name, "-");
    CHECK(minus->left == NULL);
    CHECK_EQ(minus->right->kind, KD_AST_CAST);
    /* IS is looser than =; NOT looser than both. */
    CHECK_EQ(expression("a = b is null")->kind, KD_AST_IS);
    CHECK_EQ(expression("not a = b")->kind, KD_AST_NOT);
    CHECK_EQ(expression("a = b between 1 and 2")->kind, KD_AST_OPERATOR);
    kd_arena_destroy(arena);
}

TEST(parser_folds_names_and_keeps_quoted_ones)
{
    kd_ast_column *column = (kd_ast_column *)expression("Foo.\"Bar\"\"x\".ÄB");
    CHECK_EQ(column->part_count, 3);
    CHECK_SLICE(column->parts[0], "foo");
    CHECK_SLICE(column->parts[1], "Bar\"x");
    CHECK_SLICE(column->parts[2], "Äb");
    kd_arena_destroy(arena);
}

TEST(lexer_reads_constants)
{
    kd_ast_constant *c = (kd_ast_constant *)expression("-9223372036854775808");
    CHECK_EQ(c->what, KD_AST_INTEGER);
    CHECK(c->integer == INT64_MIN);
    c = (kd_ast_constant *)expression("9223372036854775808");
    CHECK_EQ(c->what, KD_AST_DECIMAL);
    c = (kd_ast_constant *)expression("1_000.5e3");
    CHECK_SLICE(c->text, "1000.5e3");
    c = (kd_ast_constant *)expression("0xFF");
    CHECK_EQ(c->integer, 255);
    c = (kd_ast_constant *)expression("'it''s' -- more\n ' here'");
    CHECK_SLICE(c->text, "it's here");
    c = (kd_ast_constant *)expression("E'a\\n\\x41\\101\\u00e4\\'\\\\'");
    CHECK_SLICE(c->text, "a\nAAä'\\");
    c = (kd_ast_constant *)expression("U&'d!0061!+01F600!!' uescape '!'");
    CHECK_SLICE(c->text, "da😀!");
    c = (kd_ast_constant *)expression("$q$it's $$ $q$");
    CHECK_SLICE(c->text, "it's $$ ");
    c = (kd_ast_constant *)expression("X'1F'");
    CHECK_SLICE(c->text, "x1F");
    kd_arena_destroy(arena);
}

TEST(lexer_cuts_operators_as_postgresql_does)
{
    kd_ast_operator *o = (kd_ast_operator *)expression("a=-1");
    CHECK_SLICE(o->name, "=");
    o = (kd_ast_operator *)expression("a@-1");
    CHECK_SLICE(o->name, "@-");
    o = (kd_ast_operator *)expression("a!=b");
    CHECK_SLICE(o->name, "<>");
    o = (kd_ast_operator *)expression("a +/* x */ b");
    CHECK_SLICE(o->name, "+");
    o = (kd_ast_operator *)expression("a operator(s.@@) b");
    CHECK_SLICE(o->schema, "s");
    CHECK_SLICE(o->name, "@@");
    kd_arena_destroy(arena);
}

TEST(parser_reads_select_into_its_clauses)
{
    kd_ast_select *s = parse("select distinct a, b x from t u, v where c group by rollup (a) "
                             "having d order by 1 desc limit 3 offset 4 for update skip locked");
    CHECK_EQ(s->node.kind, KD_AST_SELECT);
    CHECK(s->distinct);
    CHECK_EQ(s->targets.count, 2);
    CHECK_SLICE(((kd_ast_target *)s->targets.items[1])->alias, "x");
    CHECK_EQ(s->from.count, 2);
    CHECK_SLICE(((kd_ast_table_ref *)s->from.items[0])->alias.name, "u");
    CHECK_EQ(s->group_by.items[0]->kind, KD_AST_GROUPING_SET);
    CHECK(s->having != NULL);
    CHECK_EQ(((kd_ast_sort *)s->tail.order_by.items[0])->direction, KD_AST_DESCENDING);
    CHECK(s->tail.limit != NULL);
    CHECK(s->tail.offset != NULL);
    CHECK_EQ(((kd_ast_locking *)s->tail.locking.items[0])->wait, KD_AST_LOCK_SKIP);
    kd_arena_destroy(arena);
}

TEST(parser_orders_set_operations)
{
    kd_ast_setop *node =
        parse("select 1 union select 2 intersect select 3 except select 4 limit 1");
    CHECK_EQ(node->what, KD_AST_EXCEPT);
    CHECK(node->tail.limit != NULL);
    kd_ast_setop *left = (kd_ast_setop *)node->left;
    CHECK_EQ(left->what, KD_AST_UNION);
    CHECK_EQ(((kd_ast_setop *)left->right)->what, KD_AST_INTERSECT);
    kd_arena_destroy(arena);
}

TEST(parser_nests_joins_by_their_conditions)
{
    kd_ast_select *s = parse("select * from a join b join c on 1 = 1 on 2 = 2 cross join d");
    kd_ast_join *cross = (kd_ast_join *)s->from.items[0];
    CHECK_EQ(cross->what, KD_AST_JOIN_CROSS);
    kd_ast_join *outer = (kd_ast_join *)cross->left;
    CHECK_EQ(outer->left->kind, KD_AST_TABLE_REF);
    CHECK_EQ(outer->right->kind, KD_AST_JOIN);
    kd_arena_destroy(arena);
}

TEST(parser_keeps_the_text_of_definitions)
{
    const char *text = "create view v as (select a + 1 from t) union select 2 with check option";
    kd_ast_create_view *view = parse(text);
    CHECK_SLICE(kd_ast_text(kd_slice_of(text), view->query),
                "(select a + 1 from t) union select 2");
    text = "create table t (a int default (1 + 2) * 3 not null check ((a > 0)))";
    kd_ast_create_table *table = parse(text);
    kd_ast_column_def *column = (kd_ast_column_def *)table->elements.items[0];
    CHECK_EQ(column->constraints.count, 3);
    kd_ast_constraint *c = (kd_ast_constraint *)column->constraints.items[0];
    CHECK_SLICE(kd_ast_text(kd_slice_of(text), c->value), "(1 + 2) * 3");
    c = (kd_ast_constraint *)column->constraints.items[2];
    CHECK_SLICE(kd_ast_text(kd_slice_of(text), c->value), "a > 0");
    kd_arena_destroy(arena);
}

TEST(parser_gives_special_forms_as_calls)
{
    kd_ast_call *call = (kd_ast_call *)expression("position('a' in 'abc')");
    CHECK_SLICE(call->function.name, "position");
    CHECK_SLICE(((kd_ast_constant *)call->args[0].value)->text, "abc");
    call = (kd_ast_call *)expression("trim(leading 'x' from y)");
    CHECK_SLICE(call->function.name, "ltrim");
    CHECK_EQ(call->arg_count, 2);
    CHECK_EQ(call->args[0].value->kind, KD_AST_COLUMN);
    call = (kd_ast_call *)expression("extract(epoch from d)");
    CHECK_SLICE(((kd_ast_constant *)call->args[0].value)->text, "epoch");
    kd_arena_destroy(arena);
}

TEST(parser_tells_queries_from_expressions_in_parentheses)
{
    CHECK_EQ(expression("((select 1))")->kind, KD_AST_SUBQUERY);
    CHECK_EQ(expression("((select 1) + 1)")->kind, KD_AST_OPERATOR);
    kd_ast_subquery *q = (kd_ast_subquery *)expression("((select 1) union (select 2) limit 1)");
    CHECK_EQ(q->query->kind, KD_AST_SETOP);
    kd_ast_in *in = (kd_ast_in *)expression("a in ((1, 2), (3, 4))");
    CHECK_EQ(in->items.count, 2);
    CHECK_EQ(in->items.items[0]->kind, KD_AST_ROW);
    in = (kd_ast_in *)expression("a in ((select 1))");
    CHECK(in->query != NULL);
    kd_arena_destroy(arena);
}

TEST(parser_yields_statements_one_by_one)
{
    begin();
    kd_slice text = KD_SLICE(";; select 1 ; -- x\n select $7;; selct");
    kd_parser *parser;
    kd_statement s;
    CHECK(kd_parser_create(&ctx, arena, text, &parser) == KD_OK);
    CHECK(kd_parser_next(&ctx, parser, &s) == KD_OK);
    CHECK_EQ(s.position, 3);
    CHECK_EQ(s.end, 11);
    CHECK(kd_parser_next(&ctx, parser, &s) == KD_OK);
    CHECK_EQ(s.param_max, 7);
    CHECK(kd_parser_next(&ctx, parser, &s) == KD_INVALID);
    CHECK(s.node == NULL);
    kd_arena_destroy(arena);
}

TEST(parser_limits_nesting_and_not_length)
{
    begin();
    enum { COUNT = 100000 };
    char *text = kd_alloc(&ctx, arena, 10 + COUNT * 2);
    memcpy(text, "select ", 7);
    memset(text + 7, '(', COUNT);
    kd_statement s;
    CHECK(kd_parse_statement(&ctx, arena, (kd_slice){text, COUNT + 7}, &s) == KD_LIMIT);
    CHECK_TEXT(ctx.error.sqlstate, "54001");
    kd_error_clear(&ctx);
    for (size_t i = 0; i < COUNT; i++)
        memcpy(text + 7 + i * 2, "1+", 2);
    text[7 + COUNT * 2] = '1';
    CHECK(kd_parse_statement(&ctx, arena, (kd_slice){text, COUNT * 2 + 8}, &s) == KD_OK);
    kd_ast_node *node = ((kd_ast_target *)((kd_ast_select *)s.node)->targets.items[0])->value;
    size_t depth = 0;
    for (; node != NULL; node = kd_ast_left(node))
        depth++;
    CHECK_EQ(depth, COUNT + 1);
    kd_arena_destroy(arena);
}

TEST(ast_names_every_kind)
{
    for (int kind = 0; kind < KD_AST_KIND_COUNT; kind++)
        CHECK(strcmp(kd_ast_kind_name((kd_ast_kind)kind), "unknown") != 0);
    CHECK_TEXT(kd_ast_kind_name(KD_AST_REFRESH), "refresh");
    CHECK_TEXT(kd_ast_kind_name(KD_AST_SELECT), "select");
    CHECK_TEXT(kd_ast_kind_name(KD_AST_CREATE_TABLE), "create table");
}
