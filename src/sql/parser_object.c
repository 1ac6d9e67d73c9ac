/*
 * Named things: DROP, COMMENT ON, TRUNCATE, and how objects are written.
 */
#include "sql/parser_internal.h"

typedef struct object_word {
    kdi_keyword word;
    kd_ast_object_kind kind;
} object_word;

static const object_word object_words[] = {
    {KW_TABLE, KD_AST_OBJECT_TABLE},
    {KW_INDEX, KD_AST_OBJECT_INDEX},
    {KW_VIEW, KD_AST_OBJECT_VIEW},
    {KW_SEQUENCE, KD_AST_OBJECT_SEQUENCE},
    {KW_SCHEMA, KD_AST_OBJECT_SCHEMA},
    {KW_TYPE, KD_AST_OBJECT_TYPE},
    {KW_DOMAIN, KD_AST_OBJECT_DOMAIN},
    {KW_COLUMN, KD_AST_OBJECT_COLUMN},
    {KW_CONSTRAINT, KD_AST_OBJECT_CONSTRAINT},
    {KW_FUNCTION, KD_AST_OBJECT_FUNCTION},
    {KW_PROCEDURE, KD_AST_OBJECT_PROCEDURE},
    {KW_ROUTINE, KD_AST_OBJECT_ROUTINE},
    {KW_AGGREGATE, KD_AST_OBJECT_AGGREGATE},
    {KW_ROLE, KD_AST_OBJECT_ROLE},
    {KW_USER, KD_AST_OBJECT_ROLE},
    {KW_GROUP, KD_AST_OBJECT_ROLE},
    {KW_DATABASE, KD_AST_OBJECT_DATABASE},
    {KW_EXTENSION, KD_AST_OBJECT_EXTENSION},
    {KW_TRIGGER, KD_AST_OBJECT_TRIGGER},
    {KW_RULE, KD_AST_OBJECT_RULE},
    {KW_POLICY, KD_AST_OBJECT_POLICY},
    {KW_COLLATION, KD_AST_OBJECT_COLLATION},
    {KW_STATISTICS, KD_AST_OBJECT_STATISTICS},
    {KW_TABLESPACE, KD_AST_OBJECT_TABLESPACE},
    {KW_LANGUAGE, KD_AST_OBJECT_LANGUAGE},
};

kd_status kdi_object_kind(kd_parser *p, kd_ast_object_kind *out_kind)
{
    *out_kind = KD_AST_OBJECT_FUNCTION;
    if (kdi_accept_word(p, "macro"))
        return KD_OK;
    *out_kind = KD_AST_OBJECT_MATERIALIZED_VIEW;
    if (kdi_accept_two(p, KW_MATERIALIZED, KW_VIEW))
        return KD_OK;
    for (size_t i = 0; i < sizeof object_words / sizeof *object_words; i++) {
        if (kdi_accept(p, object_words[i].word)) {
            *out_kind = object_words[i].kind;
            return KD_OK;
        }
    }
    return kdi_syntax_error(p, "TABLE, INDEX, VIEW, SCHEMA, SEQUENCE, TYPE, ...");
}

/* ([IN | OUT | INOUT | VARIADIC] [name] type, ...), or (*) for an aggregate. */
static kd_status argument_types(kd_parser *p, kd_ast_object *object)
{
    object->has_args = true;
    KD_TRY(kdi_expect_token(p, '('));
    if (kdi_accept_token(p, '*') || kdi_at_token(p, ')'))
        return kdi_expect_token(p, ')');
    do {
        bool is_output = kdi_at(p, KW_OUT);
        if (kdi_at(p, KW_IN) || kdi_at(p, KW_OUT) || kdi_at(p, KW_INOUT) || kdi_at(p, KW_VARIADIC))
            kdi_advance(p);
        kd_ast_type *type;
        KD_TRY(KD_PUSH(p->ctx, p->arena, object->arg_types, object->arg_type_count,
                       object->arg_type_capacity, &type));
        KD_TRY(kdi_type(p, type));
        if (!kdi_at_token(p, ',') && !kdi_at_token(p, ')'))
            KD_TRY(kdi_type(p, type)); /* What was read was the argument's name. */
        if (is_output)
            object->arg_type_count--; /* It tells no two functions apart. */
    } while (kdi_accept_token(p, ','));
    return kdi_expect_token(p, ')');
}

/* t.c, s.t.c: the last part is the column. */
static kd_status column_object(kd_parser *p, kd_ast_object *object)
{
    kd_slice parts[4];
    int count = 0;
    object->name.position = p->token.position;
    KD_TRY(kdi_name(p, &parts[count++]));
    while (kdi_at_token(p, '.') && count < 4) {
        kdi_advance(p);
        KD_TRY(kdi_label(p, &parts[count++]));
    }
    object->name.end = p->previous.end;
    if (count < 2)
        return kdi_fail_at(p, "42601", object->node.position, "column name must be qualified");
    object->member = parts[count - 1];
    object->name.name = parts[count - 2];
    if (count > 2)
        object->name.schema = parts[count - 3];
    if (count > 3)
        object->name.catalog = parts[0];
    return KD_OK;
}

kd_status kdi_object(kd_parser *p, kd_ast_object_kind kind, kd_ast_object **out)
{
    kd_ast_object *object = KDI_NODE(p, KD_AST_OBJECT, kd_ast_object);
    *out = object;
    if (object == NULL)
        return KD_NOMEM;
    switch (kind) {
    case KD_AST_OBJECT_COLUMN:
        KD_TRY(column_object(p, object));
        break;
    case KD_AST_OBJECT_CONSTRAINT:
    case KD_AST_OBJECT_TRIGGER:
    case KD_AST_OBJECT_RULE:
    case KD_AST_OBJECT_POLICY:
        KD_TRY(kdi_name(p, &object->member));
        KD_TRY(kdi_expect(p, KW_ON));
        (void)kdi_accept(p, KW_DOMAIN);
        KD_TRY(kdi_qualified_name(p, &object->name));
        break;
    case KD_AST_OBJECT_ROLE:
        object->name.position = p->token.position;
        KD_TRY(kdi_role(p, &object->name.name));
        object->name.end = p->previous.end;
        break;
    case KD_AST_OBJECT_FUNCTION:
    case KD_AST_OBJECT_PROCEDURE:
    case KD_AST_OBJECT_ROUTINE:
    case KD_AST_OBJECT_AGGREGATE:
        KD_TRY(kdi_qualified_name(p, &object->name));
        if (kdi_at_token(p, '('))
            KD_TRY(argument_types(p, object));
        break;
    default:
        KD_TRY(kdi_qualified_name(p, &object->name));
        break;
    }
    kdi_finish(p, &object->node);
    return KD_OK;
}

kd_status kdi_parse_drop(kd_parser *p, kd_ast_node **out)
{
    kd_ast_drop *node = KDI_NODE(p, KD_AST_DROP, kd_ast_drop);
    if (node == NULL)
        return KD_NOMEM;
    kdi_advance(p);
    if (kdi_at(p, KW_OWNED))
        return kdi_owned_tail(p, node->node.position, false, out);
    if (kdi_at(p, KW_COLUMN) || kdi_at(p, KW_CONSTRAINT))
        return kdi_syntax_error(p, "TABLE, INDEX, VIEW, SCHEMA, SEQUENCE, TYPE, ...");
    KD_TRY(kdi_object_kind(p, &node->object));
    if (node->object == KD_AST_OBJECT_INDEX)
        node->concurrently = kdi_accept(p, KW_CONCURRENTLY);
    KD_TRY(kdi_if_exists(p, &node->if_exists));
    do {
        kd_ast_object *object;
        KD_TRY(kdi_object(p, node->object, &object));
        KD_TRY(kdi_push(p, &node->objects, &object->node));
    } while (kdi_accept_token(p, ','));
    node->behavior = kdi_behavior(p);
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

kd_status kdi_parse_comment(kd_parser *p, kd_ast_node **out)
{
    kd_ast_comment *node = KDI_NODE(p, KD_AST_COMMENT, kd_ast_comment);
    if (node == NULL)
        return KD_NOMEM;
    kdi_advance(p);
    KD_TRY(kdi_expect(p, KW_ON));
    KD_TRY(kdi_object_kind(p, &node->object));
    KD_TRY(kdi_object(p, node->object, &node->target));
    KD_TRY(kdi_expect(p, KW_IS));
    node->is_null = kdi_accept(p, KW_NULL);
    if (!node->is_null)
        KD_TRY(kdi_string(p, &node->text));
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

kd_status kdi_parse_truncate(kd_parser *p, kd_ast_node **out)
{
    kd_ast_truncate *node = KDI_NODE(p, KD_AST_TRUNCATE, kd_ast_truncate);
    if (node == NULL)
        return KD_NOMEM;
    kdi_advance(p);
    (void)kdi_accept(p, KW_TABLE);
    do {
        kd_ast_table_ref *table;
        KD_TRY(kdi_relation(p, &table));
        KD_TRY(kdi_push(p, &node->tables, &table->node));
    } while (kdi_accept_token(p, ','));
    node->restart_identity = kdi_accept_two(p, KW_RESTART, KW_IDENTITY);
    if (!node->restart_identity)
        (void)kdi_accept_two(p, KW_CONTINUE, KW_IDENTITY);
    node->behavior = kdi_behavior(p);
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}
