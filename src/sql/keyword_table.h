/* Written by make_keywords.py; do not edit. X(NAME, word, class, bare label) in order, and
 * the slots of an open hash table that hold 1 + a word's index, or 0. */
#ifndef KD_SQL_KEYWORD_TABLE_H
#define KD_SQL_KEYWORD_TABLE_H

#define KDI_KEYWORDS(X)                                       \
    X(ABORT, "abort", UNRESERVED, true)                       \
    X(ABSOLUTE, "absolute", UNRESERVED, true)                 \
    X(ACCESS, "access", UNRESERVED, true)                     \
    X(ACTION, "action", UNRESERVED, true)                     \
    X(ADD, "add", UNRESERVED, true)                           \
    X(ADMIN, "admin", UNRESERVED, true)                       \
    X(AFTER, "after", UNRESERVED, true)                       \
    X(AGGREGATE, "aggregate", UNRESERVED, true)               \
    X(ALL, "all", RESERVED, true)                             \
    X(ALSO, "also", UNRESERVED, true)                         \
    X(ALTER, "alter", UNRESERVED, true)                       \
    X(ALWAYS, "always", UNRESERVED, true)                     \
    X(ANALYSE, "analyse", RESERVED, true)                     \
    X(ANALYZE, "analyze", RESERVED, true)                     \
    X(AND, "and", RESERVED, true)                             \
    X(ANY, "any", RESERVED, true)                             \
    X(ARRAY, "array", RESERVED, false)                        \
    X(AS, "as", RESERVED, false)                              \
    X(ASC, "asc", RESERVED, true)                             \
    X(ASENSITIVE, "asensitive", UNRESERVED, true)             \
    X(ASSERTION, "assertion", UNRESERVED, true)               \
    X(ASSIGNMENT, "assignment", UNRESERVED, true)             \
    X(ASYMMETRIC, "asymmetric", RESERVED, true)               \
    X(AT, "at", UNRESERVED, true)                             \
    X(ATOMIC, "atomic", UNRESERVED, true)                     \
    X(ATTACH, "attach", UNRESERVED, true)                     \
    X(ATTRIBUTE, "attribute", UNRESERVED, true)               \
    X(AUTHORIZATION, "authorization", TYPE_NAME, true)        \
    X(BACKWARD, "backward", UNRESERVED, true)                 \
    X(BEFORE, "before", UNRESERVED, true)                     \
    X(BEGIN, "begin", UNRESERVED, true)                       \
    X(BETWEEN, "between", COLUMN_NAME, true)                  \
    X(BIGINT, "bigint", COLUMN_NAME, true)                    \
    X(BINARY, "binary", TYPE_NAME, true)                      \
    X(BIT, "bit", COLUMN_NAME, true)                          \
    X(BOOLEAN, "boolean", COLUMN_NAME, true)                  \
    X(BOTH, "both", RESERVED, true)                           \
    X(BREADTH, "breadth", UNRESERVED, true)                   \
    X(BY, "by", UNRESERVED, true)                             \
    X(CACHE, "cache", UNRESERVED, true)                       \
    X(CALL, "call", UNRESERVED, true)                         \
    X(CALLED, "called", UNRESERVED, true)                     \
    X(CASCADE, "cascade", UNRESERVED, true)                   \
    X(CASCADED, "cascaded", UNRESERVED, true)                 \
    X(CASE, "case", RESERVED, true)                           \
    X(CAST, "cast", RESERVED, true)                           \
    X(CATALOG, "catalog", UNRESERVED, true)                   \
    X(CHAIN, "chain", UNRESERVED, true)                       \
    X(CHAR, "char", COLUMN_NAME, false)                       \
    X(CHARACTER, "character", COLUMN_NAME, false)             \
    X(CHARACTERISTICS, "characteristics", UNRESERVED, true)   \
    X(CHECK, "check", RESERVED, true)                         \
    X(CHECKPOINT, "checkpoint", UNRESERVED, true)             \
    X(CLASS, "class", UNRESERVED, true)                       \
    X(CLOSE, "close", UNRESERVED, true)                       \
    X(CLUSTER, "cluster", UNRESERVED, true)                   \
    X(COALESCE, "coalesce", COLUMN_NAME, true)                \
    X(COLLATE, "collate", RESERVED, true)                     \
    X(COLLATION, "collation", TYPE_NAME, true)                \
    X(COLUMN, "column", RESERVED, true)                       \
    X(COLUMNS, "columns", UNRESERVED, true)                   \
    X(COMMENT, "comment", UNRESERVED, true)                   \
    X(COMMENTS, "comments", UNRESERVED, true)                 \
    X(COMMIT, "commit", UNRESERVED, true)                     \
    X(COMMITTED, "committed", UNRESERVED, true)               \
    X(COMPRESSION, "compression", UNRESERVED, true)           \
    X(CONCURRENTLY, "concurrently", TYPE_NAME, true)          \
    X(CONFIGURATION, "configuration", UNRESERVED, true)       \
    X(CONFLICT, "conflict", UNRESERVED, true)                 \
    X(CONNECTION, "connection", UNRESERVED, true)             \
    X(CONSTRAINT, "constraint", RESERVED, true)               \
    X(CONSTRAINTS, "constraints", UNRESERVED, true)           \
    X(CONTENT, "content", UNRESERVED, true)                   \
    X(CONTINUE, "continue", UNRESERVED, true)                 \
    X(CONVERSION, "conversion", UNRESERVED, true)             \
    X(COPY, "copy", UNRESERVED, true)                         \
    X(COST, "cost", UNRESERVED, true)                         \
    X(CREATE, "create", RESERVED, false)                      \
    X(CROSS, "cross", TYPE_NAME, true)                        \
    X(CSV, "csv", UNRESERVED, true)                           \
    X(CUBE, "cube", UNRESERVED, true)                         \
    X(CURRENT, "current", UNRESERVED, true)                   \
    X(CURRENT_CATALOG, "current_catalog", RESERVED, true)     \
    X(CURRENT_DATE, "current_date", RESERVED, true)           \
    X(CURRENT_ROLE, "current_role", RESERVED, true)           \
    X(CURRENT_SCHEMA, "current_schema", TYPE_NAME, true)      \
    X(CURRENT_TIME, "current_time", RESERVED, true)           \
    X(CURRENT_TIMESTAMP, "current_timestamp", RESERVED, true) \
    X(CURRENT_USER, "current_user", RESERVED, true)           \
    X(CURSOR, "cursor", UNRESERVED, true)                     \
    X(CYCLE, "cycle", UNRESERVED, true)                       \
    X(DATA, "data", UNRESERVED, true)                         \
    X(DATABASE, "database", UNRESERVED, true)                 \
    X(DAY, "day", UNRESERVED, false)                          \
    X(DEALLOCATE, "deallocate", UNRESERVED, true)             \
    X(DEC, "dec", COLUMN_NAME, true)                          \
    X(DECIMAL, "decimal", COLUMN_NAME, true)                  \
    X(DECLARE, "declare", UNRESERVED, true)                   \
    X(DEFAULT, "default", RESERVED, true)                     \
    X(DEFAULTS, "defaults", UNRESERVED, true)                 \
    X(DEFERRABLE, "deferrable", RESERVED, true)               \
    X(DEFERRED, "deferred", UNRESERVED, true)                 \
    X(DEFINER, "definer", UNRESERVED, true)                   \
    X(DELETE, "delete", UNRESERVED, true)                     \
    X(DELIMITER, "delimiter", UNRESERVED, true)               \
    X(DELIMITERS, "delimiters", UNRESERVED, true)             \
    X(DEPENDS, "depends", UNRESERVED, true)                   \
    X(DEPTH, "depth", UNRESERVED, true)                       \
    X(DESC, "desc", RESERVED, true)                           \
    X(DETACH, "detach", UNRESERVED, true)                     \
    X(DICTIONARY, "dictionary", UNRESERVED, true)             \
    X(DISABLE, "disable", UNRESERVED, true)                   \
    X(DISCARD, "discard", UNRESERVED, true)                   \
    X(DISTINCT, "distinct", RESERVED, true)                   \
    X(DO, "do", RESERVED, true)                               \
    X(DOCUMENT, "document", UNRESERVED, true)                 \
    X(DOMAIN, "domain", UNRESERVED, true)                     \
    X(DOUBLE, "double", UNRESERVED, true)                     \
    X(DROP, "drop", UNRESERVED, true)                         \
    X(EACH, "each", UNRESERVED, true)                         \
    X(ELSE, "else", RESERVED, true)                           \
    X(ENABLE, "enable", UNRESERVED, true)                     \
    X(ENCODING, "encoding", UNRESERVED, true)                 \
    X(ENCRYPTED, "encrypted", UNRESERVED, true)               \
    X(END, "end", RESERVED, true)                             \
    X(ENUM, "enum", UNRESERVED, true)                         \
    X(ESCAPE, "escape", UNRESERVED, true)                     \
    X(EVENT, "event", UNRESERVED, true)                       \
    X(EXCEPT, "except", RESERVED, false)                      \
    X(EXCLUDE, "exclude", UNRESERVED, true)                   \
    X(EXCLUDING, "excluding", UNRESERVED, true)               \
    X(EXCLUSIVE, "exclusive", UNRESERVED, true)               \
    X(EXECUTE, "execute", UNRESERVED, true)                   \
    X(EXISTS, "exists", COLUMN_NAME, true)                    \
    X(EXPLAIN, "explain", UNRESERVED, true)                   \
    X(EXPRESSION, "expression", UNRESERVED, true)             \
    X(EXTENSION, "extension", UNRESERVED, true)               \
    X(EXTERNAL, "external", UNRESERVED, true)                 \
    X(EXTRACT, "extract", COLUMN_NAME, true)                  \
    X(FALSE, "false", RESERVED, true)                         \
    X(FAMILY, "family", UNRESERVED, true)                     \
    X(FETCH, "fetch", RESERVED, false)                        \
    X(FILTER, "filter", UNRESERVED, false)                    \
    X(FINALIZE, "finalize", UNRESERVED, true)                 \
    X(FIRST, "first", UNRESERVED, true)                       \
    X(FLOAT, "float", COLUMN_NAME, true)                      \
    X(FOLLOWING, "following", UNRESERVED, true)               \
    X(FOR, "for", RESERVED, false)                            \
    X(FORCE, "force", UNRESERVED, true)                       \
    X(FOREIGN, "foreign", RESERVED, true)                     \
    X(FORWARD, "forward", UNRESERVED, true)                   \
    X(FREEZE, "freeze", TYPE_NAME, true)                      \
    X(FROM, "from", RESERVED, false)                          \
    X(FULL, "full", TYPE_NAME, true)                          \
    X(FUNCTION, "function", UNRESERVED, true)                 \
    X(FUNCTIONS, "functions", UNRESERVED, true)               \
    X(GENERATED, "generated", UNRESERVED, true)               \
    X(GLOBAL, "global", UNRESERVED, true)                     \
    X(GRANT, "grant", RESERVED, false)                        \
    X(GRANTED, "granted", UNRESERVED, true)                   \
    X(GREATEST, "greatest", COLUMN_NAME, true)                \
    X(GROUP, "group", RESERVED, false)                        \
    X(GROUPING, "grouping", COLUMN_NAME, true)                \
    X(GROUPS, "groups", UNRESERVED, true)                     \
    X(HANDLER, "handler", UNRESERVED, true)                   \
    X(HAVING, "having", RESERVED, false)                      \
    X(HEADER, "header", UNRESERVED, true)                     \
    X(HOLD, "hold", UNRESERVED, true)                         \
    X(HOUR, "hour", UNRESERVED, false)                        \
    X(IDENTITY, "identity", UNRESERVED, true)                 \
    X(IF, "if", UNRESERVED, true)                             \
    X(ILIKE, "ilike", TYPE_NAME, true)                        \
    X(IMMEDIATE, "immediate", UNRESERVED, true)               \
    X(IMMUTABLE, "immutable", UNRESERVED, true)               \
    X(IMPLICIT, "implicit", UNRESERVED, true)                 \
    X(IMPORT, "import", UNRESERVED, true)                     \
    X(IN, "in", RESERVED, true)                               \
    X(INCLUDE, "include", UNRESERVED, true)                   \
    X(INCLUDING, "including", UNRESERVED, true)               \
    X(INCREMENT, "increment", UNRESERVED, true)               \
    X(INDEX, "index", UNRESERVED, true)                       \
    X(INDEXES, "indexes", UNRESERVED, true)                   \
    X(INHERIT, "inherit", UNRESERVED, true)                   \
    X(INHERITS, "inherits", UNRESERVED, true)                 \
    X(INITIALLY, "initially", RESERVED, true)                 \
    X(INLINE, "inline", UNRESERVED, true)                     \
    X(INNER, "inner", TYPE_NAME, true)                        \
    X(INOUT, "inout", COLUMN_NAME, true)                      \
    X(INPUT, "input", UNRESERVED, true)                       \
    X(INSENSITIVE, "insensitive", UNRESERVED, true)           \
    X(INSERT, "insert", UNRESERVED, true)                     \
    X(INSTEAD, "instead", UNRESERVED, true)                   \
    X(INT, "int", COLUMN_NAME, true)                          \
    X(INTEGER, "integer", COLUMN_NAME, true)                  \
    X(INTERSECT, "intersect", RESERVED, false)                \
    X(INTERVAL, "interval", COLUMN_NAME, true)                \
    X(INTO, "into", RESERVED, false)                          \
    X(INVOKER, "invoker", UNRESERVED, true)                   \
    X(IS, "is", TYPE_NAME, true)                              \
    X(ISNULL, "isnull", TYPE_NAME, true)                      \
    X(ISOLATION, "isolation", UNRESERVED, true)               \
    X(JOIN, "join", TYPE_NAME, true)                          \
    X(KEY, "key", UNRESERVED, true)                           \
    X(LABEL, "label", UNRESERVED, true)                       \
    X(LANGUAGE, "language", UNRESERVED, true)                 \
    X(LARGE, "large", UNRESERVED, true)                       \
    X(LAST, "last", UNRESERVED, true)                         \
    X(LATERAL, "lateral", RESERVED, true)                     \
    X(LEADING, "leading", RESERVED, true)                     \
    X(LEAKPROOF, "leakproof", UNRESERVED, true)               \
    X(LEAST, "least", COLUMN_NAME, true)                      \
    X(LEFT, "left", TYPE_NAME, true)                          \
    X(LEVEL, "level", UNRESERVED, true)                       \
    X(LIKE, "like", TYPE_NAME, true)                          \
    X(LIMIT, "limit", RESERVED, false)                        \
    X(LISTEN, "listen", UNRESERVED, true)                     \
    X(LOAD, "load", UNRESERVED, true)                         \
    X(LOCAL, "local", UNRESERVED, true)                       \
    X(LOCALTIME, "localtime", RESERVED, true)                 \
    X(LOCALTIMESTAMP, "localtimestamp", RESERVED, true)       \
    X(LOCATION, "location", UNRESERVED, true)                 \
    X(LOCK, "lock", UNRESERVED, true)                         \
    X(LOCKED, "locked", UNRESERVED, true)                     \
    X(LOGGED, "logged", UNRESERVED, true)                     \
    X(MAPPING, "mapping", UNRESERVED, true)                   \
    X(MATCH, "match", UNRESERVED, true)                       \
    X(MATCHED, "matched", UNRESERVED, true)                   \
    X(MATERIALIZED, "materialized", UNRESERVED, true)         \
    X(MAXVALUE, "maxvalue", UNRESERVED, true)                 \
    X(MERGE, "merge", UNRESERVED, true)                       \
    X(METHOD, "method", UNRESERVED, true)                     \
    X(MINUTE, "minute", UNRESERVED, false)                    \
    X(MINVALUE, "minvalue", UNRESERVED, true)                 \
    X(MODE, "mode", UNRESERVED, true)                         \
    X(MONTH, "month", UNRESERVED, false)                      \
    X(MOVE, "move", UNRESERVED, true)                         \
    X(NAME, "name", UNRESERVED, true)                         \
    X(NAMES, "names", UNRESERVED, true)                       \
    X(NATIONAL, "national", COLUMN_NAME, true)                \
    X(NATURAL, "natural", TYPE_NAME, true)                    \
    X(NCHAR, "nchar", COLUMN_NAME, true)                      \
    X(NEW, "new", UNRESERVED, true)                           \
    X(NEXT, "next", UNRESERVED, true)                         \
    X(NFC, "nfc", UNRESERVED, true)                           \
    X(NFD, "nfd", UNRESERVED, true)                           \
    X(NFKC, "nfkc", UNRESERVED, true)                         \
    X(NFKD, "nfkd", UNRESERVED, true)                         \
    X(NO, "no", UNRESERVED, true)                             \
    X(NONE, "none", COLUMN_NAME, true)                        \
    X(NORMALIZE, "normalize", COLUMN_NAME, true)              \
    X(NORMALIZED, "normalized", UNRESERVED, true)             \
    X(NOT, "not", RESERVED, true)                             \
    X(NOTHING, "nothing", UNRESERVED, true)                   \
    X(NOTIFY, "notify", UNRESERVED, true)                     \
    X(NOTNULL, "notnull", TYPE_NAME, true)                    \
    X(NOWAIT, "nowait", UNRESERVED, true)                     \
    X(NULL, "null", RESERVED, true)                           \
    X(NULLIF, "nullif", COLUMN_NAME, true)                    \
    X(NULLS, "nulls", UNRESERVED, true)                       \
    X(NUMERIC, "numeric", COLUMN_NAME, true)                  \
    X(OBJECT, "object", UNRESERVED, true)                     \
    X(OF, "of", UNRESERVED, true)                             \
    X(OFF, "off", UNRESERVED, true)                           \
    X(OFFSET, "offset", RESERVED, false)                      \
    X(OIDS, "oids", UNRESERVED, true)                         \
    X(OLD, "old", UNRESERVED, true)                           \
    X(ON, "on", RESERVED, false)                              \
    X(ONLY, "only", RESERVED, true)                           \
    X(OPERATOR, "operator", UNRESERVED, true)                 \
    X(OPTION, "option", UNRESERVED, true)                     \
    X(OPTIONS, "options", UNRESERVED, true)                   \
    X(OR, "or", RESERVED, true)                               \
    X(ORDER, "order", RESERVED, false)                        \
    X(ORDINALITY, "ordinality", UNRESERVED, true)             \
    X(OTHERS, "others", UNRESERVED, true)                     \
    X(OUT, "out", COLUMN_NAME, true)                          \
    X(OUTER, "outer", TYPE_NAME, true)                        \
    X(OVER, "over", UNRESERVED, false)                        \
    X(OVERLAPS, "overlaps", TYPE_NAME, false)                 \
    X(OVERLAY, "overlay", COLUMN_NAME, true)                  \
    X(OVERRIDING, "overriding", UNRESERVED, true)             \
    X(OWNED, "owned", UNRESERVED, true)                       \
    X(OWNER, "owner", UNRESERVED, true)                       \
    X(PARALLEL, "parallel", UNRESERVED, true)                 \
    X(PARAMETER, "parameter", UNRESERVED, true)               \
    X(PARSER, "parser", UNRESERVED, true)                     \
    X(PARTIAL, "partial", UNRESERVED, true)                   \
    X(PARTITION, "partition", UNRESERVED, true)               \
    X(PASSING, "passing", UNRESERVED, true)                   \
    X(PASSWORD, "password", UNRESERVED, true)                 \
    X(PLACING, "placing", RESERVED, true)                     \
    X(PLANS, "plans", UNRESERVED, true)                       \
    X(POLICY, "policy", UNRESERVED, true)                     \
    X(POSITION, "position", COLUMN_NAME, true)                \
    X(PRECEDING, "preceding", UNRESERVED, true)               \
    X(PRECISION, "precision", COLUMN_NAME, false)             \
    X(PREPARE, "prepare", UNRESERVED, true)                   \
    X(PREPARED, "prepared", UNRESERVED, true)                 \
    X(PRESERVE, "preserve", UNRESERVED, true)                 \
    X(PRIMARY, "primary", RESERVED, true)                     \
    X(PRIOR, "prior", UNRESERVED, true)                       \
    X(PRIVILEGES, "privileges", UNRESERVED, true)             \
    X(PROCEDURAL, "procedural", UNRESERVED, true)             \
    X(PROCEDURE, "procedure", UNRESERVED, true)               \
    X(PROCEDURES, "procedures", UNRESERVED, true)             \
    X(PROGRAM, "program", UNRESERVED, true)                   \
    X(PUBLICATION, "publication", UNRESERVED, true)           \
    X(QUOTE, "quote", UNRESERVED, true)                       \
    X(RANGE, "range", UNRESERVED, true)                       \
    X(READ, "read", UNRESERVED, true)                         \
    X(REAL, "real", COLUMN_NAME, true)                        \
    X(REASSIGN, "reassign", UNRESERVED, true)                 \
    X(RECHECK, "recheck", UNRESERVED, true)                   \
    X(RECURSIVE, "recursive", UNRESERVED, true)               \
    X(REF, "ref", UNRESERVED, true)                           \
    X(REFERENCES, "references", RESERVED, true)               \
    X(REFERENCING, "referencing", UNRESERVED, true)           \
    X(REFRESH, "refresh", UNRESERVED, true)                   \
    X(REINDEX, "reindex", UNRESERVED, true)                   \
    X(RELATIVE, "relative", UNRESERVED, true)                 \
    X(RELEASE, "release", UNRESERVED, true)                   \
    X(RENAME, "rename", UNRESERVED, true)                     \
    X(REPEATABLE, "repeatable", UNRESERVED, true)             \
    X(REPLACE, "replace", UNRESERVED, true)                   \
    X(REPLICA, "replica", UNRESERVED, true)                   \
    X(RESET, "reset", UNRESERVED, true)                       \
    X(RESTART, "restart", UNRESERVED, true)                   \
    X(RESTRICT, "restrict", UNRESERVED, true)                 \
    X(RETURN, "return", UNRESERVED, true)                     \
    X(RETURNING, "returning", RESERVED, false)                \
    X(RETURNS, "returns", UNRESERVED, true)                   \
    X(REVOKE, "revoke", UNRESERVED, true)                     \
    X(RIGHT, "right", TYPE_NAME, true)                        \
    X(ROLE, "role", UNRESERVED, true)                         \
    X(ROLLBACK, "rollback", UNRESERVED, true)                 \
    X(ROLLUP, "rollup", UNRESERVED, true)                     \
    X(ROUTINE, "routine", UNRESERVED, true)                   \
    X(ROUTINES, "routines", UNRESERVED, true)                 \
    X(ROW, "row", COLUMN_NAME, true)                          \
    X(ROWS, "rows", UNRESERVED, true)                         \
    X(RULE, "rule", UNRESERVED, true)                         \
    X(SAVEPOINT, "savepoint", UNRESERVED, true)               \
    X(SCHEMA, "schema", UNRESERVED, true)                     \
    X(SCHEMAS, "schemas", UNRESERVED, true)                   \
    X(SCROLL, "scroll", UNRESERVED, true)                     \
    X(SEARCH, "search", UNRESERVED, true)                     \
    X(SECOND, "second", UNRESERVED, false)                    \
    X(SECURITY, "security", UNRESERVED, true)                 \
    X(SELECT, "select", RESERVED, true)                       \
    X(SEQUENCE, "sequence", UNRESERVED, true)                 \
    X(SEQUENCES, "sequences", UNRESERVED, true)               \
    X(SERIALIZABLE, "serializable", UNRESERVED, true)         \
    X(SERVER, "server", UNRESERVED, true)                     \
    X(SESSION, "session", UNRESERVED, true)                   \
    X(SESSION_USER, "session_user", RESERVED, true)           \
    X(SET, "set", UNRESERVED, true)                           \
    X(SETOF, "setof", COLUMN_NAME, true)                      \
    X(SETS, "sets", UNRESERVED, true)                         \
    X(SHARE, "share", UNRESERVED, true)                       \
    X(SHOW, "show", UNRESERVED, true)                         \
    X(SIMILAR, "similar", TYPE_NAME, true)                    \
    X(SIMPLE, "simple", UNRESERVED, true)                     \
    X(SKIP, "skip", UNRESERVED, true)                         \
    X(SMALLINT, "smallint", COLUMN_NAME, true)                \
    X(SNAPSHOT, "snapshot", UNRESERVED, true)                 \
    X(SOME, "some", RESERVED, true)                           \
    X(SQL, "sql", UNRESERVED, true)                           \
    X(STABLE, "stable", UNRESERVED, true)                     \
    X(STANDALONE, "standalone", UNRESERVED, true)             \
    X(START, "start", UNRESERVED, true)                       \
    X(STATEMENT, "statement", UNRESERVED, true)               \
    X(STATISTICS, "statistics", UNRESERVED, true)             \
    X(STDIN, "stdin", UNRESERVED, true)                       \
    X(STDOUT, "stdout", UNRESERVED, true)                     \
    X(STORAGE, "storage", UNRESERVED, true)                   \
    X(STORED, "stored", UNRESERVED, true)                     \
    X(STRICT, "strict", UNRESERVED, true)                     \
    X(STRIP, "strip", UNRESERVED, true)                       \
    X(SUBSCRIPTION, "subscription", UNRESERVED, true)         \
    X(SUBSTRING, "substring", COLUMN_NAME, true)              \
    X(SUPPORT, "support", UNRESERVED, true)                   \
    X(SYMMETRIC, "symmetric", RESERVED, true)                 \
    X(SYSID, "sysid", UNRESERVED, true)                       \
    X(SYSTEM, "system", UNRESERVED, true)                     \
    X(TABLE, "table", RESERVED, true)                         \
    X(TABLES, "tables", UNRESERVED, true)                     \
    X(TABLESAMPLE, "tablesample", TYPE_NAME, true)            \
    X(TABLESPACE, "tablespace", UNRESERVED, true)             \
    X(TEMP, "temp", UNRESERVED, true)                         \
    X(TEMPLATE, "template", UNRESERVED, true)                 \
    X(TEMPORARY, "temporary", UNRESERVED, true)               \
    X(TEXT, "text", UNRESERVED, true)                         \
    X(THEN, "then", RESERVED, true)                           \
    X(TIES, "ties", UNRESERVED, true)                         \
    X(TIME, "time", COLUMN_NAME, true)                        \
    X(TIMESTAMP, "timestamp", COLUMN_NAME, true)              \
    X(TO, "to", RESERVED, false)                              \
    X(TRAILING, "trailing", RESERVED, true)                   \
    X(TRANSACTION, "transaction", UNRESERVED, true)           \
    X(TRANSFORM, "transform", UNRESERVED, true)               \
    X(TREAT, "treat", COLUMN_NAME, true)                      \
    X(TRIGGER, "trigger", UNRESERVED, true)                   \
    X(TRIM, "trim", COLUMN_NAME, true)                        \
    X(TRUE, "true", RESERVED, true)                           \
    X(TRUNCATE, "truncate", UNRESERVED, true)                 \
    X(TRUSTED, "trusted", UNRESERVED, true)                   \
    X(TYPE, "type", UNRESERVED, true)                         \
    X(TYPES, "types", UNRESERVED, true)                       \
    X(UESCAPE, "uescape", UNRESERVED, true)                   \
    X(UNBOUNDED, "unbounded", UNRESERVED, true)               \
    X(UNCOMMITTED, "uncommitted", UNRESERVED, true)           \
    X(UNENCRYPTED, "unencrypted", UNRESERVED, true)           \
    X(UNION, "union", RESERVED, false)                        \
    X(UNIQUE, "unique", RESERVED, true)                       \
    X(UNKNOWN, "unknown", UNRESERVED, true)                   \
    X(UNLISTEN, "unlisten", UNRESERVED, true)                 \
    X(UNLOGGED, "unlogged", UNRESERVED, true)                 \
    X(UNTIL, "until", UNRESERVED, true)                       \
    X(UPDATE, "update", UNRESERVED, true)                     \
    X(USER, "user", RESERVED, true)                           \
    X(USING, "using", RESERVED, true)                         \
    X(VACUUM, "vacuum", UNRESERVED, true)                     \
    X(VALID, "valid", UNRESERVED, true)                       \
    X(VALIDATE, "validate", UNRESERVED, true)                 \
    X(VALIDATOR, "validator", UNRESERVED, true)               \
    X(VALUE, "value", UNRESERVED, true)                       \
    X(VALUES, "values", COLUMN_NAME, true)                    \
    X(VARCHAR, "varchar", COLUMN_NAME, true)                  \
    X(VARIADIC, "variadic", RESERVED, true)                   \
    X(VARYING, "varying", UNRESERVED, false)                  \
    X(VERBOSE, "verbose", TYPE_NAME, true)                    \
    X(VERSION, "version", UNRESERVED, true)                   \
    X(VIEW, "view", UNRESERVED, true)                         \
    X(VIEWS, "views", UNRESERVED, true)                       \
    X(VOLATILE, "volatile", UNRESERVED, true)                 \
    X(WHEN, "when", RESERVED, true)                           \
    X(WHERE, "where", RESERVED, false)                        \
    X(WHITESPACE, "whitespace", UNRESERVED, true)             \
    X(WINDOW, "window", RESERVED, false)                      \
    X(WITH, "with", RESERVED, false)                          \
    X(WITHIN, "within", UNRESERVED, false)                    \
    X(WITHOUT, "without", UNRESERVED, false)                  \
    X(WORK, "work", UNRESERVED, true)                         \
    X(WRAPPER, "wrapper", UNRESERVED, true)                   \
    X(WRITE, "write", UNRESERVED, true)                       \
    X(XML, "xml", UNRESERVED, true)                           \
    X(XMLATTRIBUTES, "xmlattributes", COLUMN_NAME, true)      \
    X(XMLCONCAT, "xmlconcat", COLUMN_NAME, true)              \
    X(XMLELEMENT, "xmlelement", COLUMN_NAME, true)            \
    X(XMLEXISTS, "xmlexists", COLUMN_NAME, true)              \
    X(XMLFOREST, "xmlforest", COLUMN_NAME, true)              \
    X(XMLNAMESPACES, "xmlnamespaces", COLUMN_NAME, true)      \
    X(XMLPARSE, "xmlparse", COLUMN_NAME, true)                \
    X(XMLPI, "xmlpi", COLUMN_NAME, true)                      \
    X(XMLROOT, "xmlroot", COLUMN_NAME, true)                  \
    X(XMLSERIALIZE, "xmlserialize", COLUMN_NAME, true)        \
    X(XMLTABLE, "xmltable", COLUMN_NAME, true)                \
    X(YEAR, "year", UNRESERVED, false)                        \
    X(YES, "yes", UNRESERVED, true)                           \
    X(ZONE, "zone", UNRESERVED, true)

#define KDI_KEYWORD_SLOTS                                                                          \
    0, 152, 0, 0, 0, 154, 0, 0, 0, 0, 0, 0, 114, 145, 0, 0, 0, 64, 50, 0, 0, 0, 0, 0, 0, 0, 0, 0,  \
        0, 26, 0, 0, 0, 237, 400, 0, 0, 0, 0, 0, 200, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
        0, 0, 441, 0, 0, 0, 0, 191, 0, 0, 379, 0, 0, 0, 0, 135, 0, 0, 0, 0, 248, 0, 0, 0, 0, 0, 0, \
        0, 0, 0, 369, 0, 0, 0, 29, 0, 0, 0, 73, 334, 0, 0, 0, 0, 271, 0, 0, 0, 0, 0, 144, 0, 0, 0, \
        0, 0, 0, 231, 0, 0, 0, 0, 353, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 75, 0, 133, 0, 0, \
        0, 164, 0, 0, 0, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 306, 0, 0, 0, 0, 421, 7, 0, 428, 0, 0, 0,  \
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 24, 418, 0, 0, 0, 0, 0, 71, 0, 215, 294, 0, 339, 0, 0, \
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 44, 109, 423, 0,   \
        0, 0, 0, 0, 0, 0, 0, 0, 0, 276, 0, 0, 0, 198, 434, 0, 0, 0, 0, 356, 374, 106, 0, 295, 0,   \
        0, 0, 0, 0, 0, 0, 0, 0, 129, 0, 0, 116, 0, 0, 0, 0, 0, 0, 259, 0, 0, 0, 42, 0, 181, 0, 0,  \
        0, 167, 0, 0, 0, 0, 37, 0, 446, 0, 0, 0, 0, 0, 0, 293, 366, 371, 168, 0, 0, 0, 0, 0, 0, 8, \
        299, 0, 296, 0, 0, 0, 0, 0, 166, 0, 0, 0, 22, 0, 234, 0, 0, 0, 342, 0, 0, 0, 364, 0, 0, 0, \
        0, 0, 0, 0, 244, 0, 0, 0, 0, 0, 286, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 76, 0, 432, 0, \
        0, 346, 0, 0, 0, 290, 174, 0, 0, 0, 448, 0, 0, 79, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  \
        0, 117, 0, 146, 0, 212, 0, 0, 378, 0, 0, 0, 0, 0, 240, 0, 0, 0, 252, 0, 0, 0, 0, 0, 348,   \
        202, 238, 0, 413, 0, 254, 0, 0, 0, 0, 0, 0, 69, 0, 0, 263, 0, 0, 0, 0, 31, 0, 0, 0, 0, 0,  \
        0, 0, 0, 0, 404, 0, 0, 80, 0, 221, 0, 0, 0, 0, 0, 0, 0, 0, 0, 210, 0, 0, 0, 54, 333, 0, 0, \
        0, 0, 131, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 265, 0, 0, 0, 0, 0, 380, 0, 0,  \
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 93, 0, 0, 0, 308, 0, 0, 0, 386, 0, 0, 1, 186, 319, 0, 0,  \
        0, 204, 0, 0, 0, 0, 0, 0, 149, 0, 347, 0, 0, 0, 396, 0, 182, 184, 317, 0, 0, 0, 0, 0, 0,   \
        0, 0, 0, 0, 0, 78, 357, 92, 232, 0, 0, 0, 0, 0, 0, 0, 0, 417, 0, 0, 0, 0, 0, 442, 0, 0, 0, \
        0, 0, 0, 87, 287, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 219, 0, 0, 0, 178, 0, 345, 0, 0, \
        0, 0, 0, 0, 0, 0, 0, 0, 104, 0, 0, 0, 0, 391, 0, 0, 0, 0, 0, 0, 148, 426, 99, 0, 0, 0, 3,  \
        0, 0, 403, 0, 0, 0, 0, 0, 272, 0, 0, 0, 0, 0, 0, 270, 17, 0, 0, 0, 230, 205, 0, 61, 0, 0,  \
        0, 0, 239, 0, 285, 0, 197, 0, 0, 0, 0, 16, 185, 0, 81, 0, 0, 344, 0, 0, 0, 0, 0, 0, 0, 0,  \
        0, 0, 0, 0, 0, 0, 0, 138, 0, 0, 0, 0, 0, 0, 0, 0, 15, 0, 0, 0, 443, 0, 0, 0, 0, 0, 450, 0, \
        0, 0, 363, 0, 0, 0, 0, 0, 0, 0, 201, 0, 341, 0, 0, 0, 0, 0, 459, 0, 0, 0, 407, 0, 0, 0, 0, \
        0, 209, 0, 0, 67, 0, 94, 0, 0, 0, 0, 0, 0, 0, 303, 0, 0, 208, 0, 337, 0, 0, 0, 0, 0, 0, 0, \
        0, 399, 0, 438, 0, 0, 0, 0, 0, 0, 0, 280, 0, 0, 0, 98, 0, 0, 0, 0, 0, 192, 11, 0, 0, 0, 0, \
        0, 0, 0, 0, 0, 0, 217, 0, 0, 102, 401, 409, 0, 0, 289, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
        0, 0, 0, 458, 151, 0, 0, 0, 0, 0, 0, 0, 0, 0, 128, 261, 165, 0, 0, 0, 0, 0, 0, 0, 157,     \
        352, 222, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 190, 0, 0, 0, 0, 0, 0, 0, 0, 36, 411, 0, 0, 0, 0,  \
        0, 0, 0, 0, 0, 340, 0, 0, 0, 381, 247, 0, 0, 0, 0, 180, 0, 0, 0, 0, 0, 0, 0, 0, 0, 368, 0, \
        0, 0, 0, 0, 0, 0, 90, 0, 0, 0, 0, 0, 0, 267, 0, 89, 0, 0, 119, 0, 189, 0, 0, 0, 279, 0, 0, \
        0, 358, 0, 139, 175, 305, 49, 0, 304, 445, 0, 0, 0, 0, 0, 0, 242, 0, 0, 30, 455, 0, 0, 0,  \
        297, 0, 395, 0, 0, 0, 0, 0, 216, 0, 0, 0, 0, 38, 0, 10, 0, 0, 0, 0, 0, 0, 268, 0, 0, 0, 0, \
        0, 332, 0, 0, 312, 0, 0, 0, 349, 0, 0, 0, 377, 0, 35, 0, 0, 122, 0, 0, 0, 419, 0, 435, 0,  \
        0, 0, 0, 0, 0, 0, 0, 155, 0, 0, 0, 23, 235, 0, 0, 0, 0, 0, 0, 0, 416, 0, 0, 0, 0, 0, 0, 0, \
        0, 0, 0, 156, 0, 62, 0, 0, 0, 447, 454, 0, 207, 0, 0, 153, 0, 0, 264, 158, 0, 0, 0, 0, 0,  \
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 414, 0, 0, 322, 0, 0, 275, 0, 0, 0, 0, 0, 0, 0,  \
        86, 0, 0, 0, 0, 0, 321, 249, 0, 0, 0, 0, 0, 0, 0, 0, 142, 0, 0, 0, 0, 0, 0, 408, 0, 0,     \
        318, 0, 0, 0, 0, 0, 0, 373, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 68, 0, 0, 0, 0, 0, 0, 0, 0,   \
        0, 0, 0, 2, 51, 203, 323, 0, 0, 0, 0, 266, 0, 0, 0, 0, 0, 0, 359, 0, 0, 0, 0, 0, 0, 0,     \
        283, 389, 0, 124, 214, 0, 0, 0, 0, 169, 0, 0, 0, 457, 57, 47, 0, 260, 0, 0, 111, 0, 0, 0,  \
        60, 0, 0, 233, 0, 0, 0, 0, 0, 429, 0, 0, 0, 0, 0, 0, 0, 0, 451, 0, 0, 343, 0, 0, 0, 0, 0,  \
        0, 0, 118, 0, 143, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 173, 0, 0, 0, 229, 0, 0, 0, 0, 0, 0,   \
        0, 0, 282, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 162, 0, 0, 103, 0, 0, 0, 0, 0, 0,  \
        0, 0, 97, 0, 195, 0, 0, 370, 360, 0, 110, 398, 291, 0, 0, 0, 0, 0, 0, 0, 48, 0, 0, 0, 0,   \
        0, 0, 0, 0, 213, 0, 0, 0, 136, 0, 112, 0, 0, 0, 0, 0, 292, 309, 176, 0, 0, 28, 245, 269,   \
        0, 431, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 449, 137, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  \
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 107, 298, 0, 313, 0, 425, 0, 0,   \
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 284, 220, 0, 0, 288, 0, 0, 0, 170, 0, 0, 0, 0, 0, 412, 0, \
        0, 0, 0, 0, 0, 0, 0, 105, 0, 0, 0, 0, 0, 0, 0, 0, 0, 52, 0, 0, 0, 0, 0, 0, 0, 27, 320,     \
        253, 121, 274, 392, 405, 422, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 372, 246, 0, 0, 0, 0,    \
        327, 0, 0, 0, 0, 0, 316, 262, 9, 314, 331, 0, 0, 0, 0, 251, 0, 108, 0, 236, 0, 0, 0, 0, 0, \
        0, 0, 0, 0, 0, 0, 0, 453, 456, 0, 0, 0, 281, 0, 0, 311, 0, 223, 273, 0, 0, 160, 0, 0, 0,   \
        224, 0, 0, 0, 0, 0, 0, 0, 0, 177, 0, 0, 0, 0, 100, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 72, 0, \
        382, 0, 0, 0, 0, 0, 0, 0, 0, 13, 0, 0, 397, 0, 0, 0, 228, 375, 0, 0, 0, 0, 0, 0, 0, 0, 0,  \
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 59, 0, 427, 0, 0, 0, 32, 0, 0, 0, 0, 96, 0, 211, 0, 0, 0, 0, \
        0, 0, 85, 0, 95, 0, 0, 0, 0, 0, 0, 0, 0, 21, 0, 0, 0, 0, 0, 0, 0, 0, 127, 0, 0, 0, 355, 0, \
        0, 14, 383, 0, 0, 0, 0, 0, 0, 58, 0, 0, 385, 0, 0, 0, 39, 0, 0, 0, 0, 0, 0, 0, 354, 307,   \
        0, 0, 0, 70, 0, 179, 0, 0, 338, 387, 0, 250, 82, 394, 0, 34, 278, 123, 0, 0, 0, 0, 0, 0,   \
        74, 0, 0, 0, 84, 125, 0, 0, 0, 0, 0, 0, 0, 0, 0, 328, 402, 436, 0, 199, 41, 440, 0, 0, 0,  \
        0, 0, 0, 0, 134, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 33, 183, 0, 0, 206, 0, 0, 0, 0, 0, 0, 0, \
        0, 0, 0, 335, 0, 0, 258, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 388, 4, 424, 0, 0, 0, 0, 315, 113,  \
        0, 324, 0, 0, 227, 255, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
        40, 115, 241, 444, 420, 0, 0, 25, 351, 218, 0, 0, 415, 0, 0, 0, 0, 0, 0, 256, 0, 0, 0,     \
        159, 0, 0, 18, 56, 0, 0, 126, 0, 120, 0, 0, 0, 0, 0, 0, 0, 141, 0, 0, 0, 0, 439, 300, 0,   \
        0, 0, 0, 336, 410, 325, 0, 0, 0, 0, 0, 0, 330, 88, 193, 326, 0, 0, 0, 0, 0, 0, 406, 0, 0,  \
        83, 0, 0, 0, 0, 0, 0, 53, 0, 0, 0, 362, 0, 0, 0, 0, 0, 0, 0, 0, 43, 187, 0, 0, 0, 0, 0, 0, \
        302, 0, 0, 0, 0, 0, 0, 0, 376, 0, 0, 0, 0, 0, 0, 147, 367, 452, 0, 0, 0, 0, 55, 361, 0, 0, \
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 163, 310, 0, 0, 0, 0, 0, 194, 0, 0, 0, 0, 0, 0, 437, 0,   \
        63, 132, 225, 433, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 46, 0, 0, 0, 0, 460, 0, 19, 0, 0, 0,   \
        0, 0, 365, 0, 257, 65, 66, 101, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 91, 0, 0, 0,  \
        0, 393, 0, 0, 0, 0, 140, 0, 0, 0, 0, 196, 350, 301, 384, 0, 0, 188, 329, 0, 430, 0, 0, 0,  \
        0, 0, 0, 0, 0, 0, 0, 77, 0, 0, 0, 0, 172, 0, 0, 150, 0, 0, 0, 0, 0, 0, 0, 130, 277, 243,   \
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 226, 0, 0, 0, 0, 0, 161, 0, 0, 0, 0, 0, 390, 0,  \
        0, 0, 171, 0, 0, 0, 0, 0,

#endif
