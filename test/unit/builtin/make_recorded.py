#!/usr/bin/env python3
"""Records PostgreSQL's answers for the cases in cases.txt as recorded_functions.h.

A line of cases.txt is KIND NAME ARGUMENT... separated by tabs. KIND is F (function or operator),
A (aggregate; each argument is an array of the rows' values), O (ordered-set aggregate; the last
argument is the sorted one, the others are single values) or T (table function). An argument is
TYPE:VALUE; the value \\N is NULL. Needs psql and a server that it reaches by the given options:

    make_recorded.py -h /tmp/socket -U postgres postgres
"""
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
SETUP = r"""
SET client_min_messages = error; SET timezone = 'Europe/Berlin'; SET intervalstyle = postgres;
CREATE OR REPLACE FUNCTION pg_temp.attempt(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE missing boolean; answer text;
BEGIN
  EXECUTE 'SELECT x IS NULL, format(''%s'', x) FROM (' || query || ') s(x)' INTO missing, answer;
  RETURN CASE WHEN missing THEN '\N' ELSE '=' || answer END;
EXCEPTION WHEN OTHERS THEN RETURN '!' || SQLSTATE || ' ' || SQLERRM;
END $$;
"""


def literal(argument, array=False):
    kind, _, value = argument.partition(":")
    kind += "[]" if array else ""
    return f"NULL::{kind}" if value == "\\N" else "E'" + value.replace("\\", "\\\\").replace("'", "''").replace("\n", "\\n") + f"'::{kind}"


def query(kind, name, arguments):
    word = name[0].isalpha() or name[0] == "_"
    if kind == "F":
        values = [literal(a) for a in arguments]
        if name == "position":
            return f"SELECT position({values[1]} in {values[0]})"
        if name == "extract":
            return f"SELECT extract({arguments[0].partition(':')[2]} from {values[1]})"
        if word:
            if name == "overlaps":
                return f"SELECT ({values[0]}, {values[1]}) OVERLAPS ({values[2]}, {values[3]})"
            if name in ("overlay", "substring", "normalize", "btrim", "timezone"):
                name = "pg_catalog." + name
            return f"SELECT {name}({', '.join(values)})"
        return "SELECT " + (f"{name} {values[0]}" if len(values) == 1 else f"{values[0]} {name} {values[1]}")
    if kind == "A":
        names = [f"a{i}" for i in range(len(arguments))]
        arrays = ", ".join(literal(a, True) for a in arguments)
        return f"SELECT {name}({', '.join(names)}) FROM unnest({arrays}) u({', '.join(names)})"
    if kind == "O":
        direct = ", ".join(literal(a) for a in arguments[:-1])
        return f"SELECT {name}({direct}) WITHIN GROUP (ORDER BY a) FROM unnest({literal(arguments[-1], True)}) u(a)"
    values = ", ".join(literal(a) for a in arguments)
    return (f"SELECT string_agg(format('%s', coalesce(x::text, '\\N')), ' ; ' ORDER BY n) FROM "
            f"(SELECT t::text, row_number() over () FROM {name}({values}) t) s(x, n)")


def c_piece(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t").replace("?", "\\?") + '"'


def c_text(text):
    """A C literal, cut into pieces that fit a line."""
    return "\n     ".join(c_piece(text[i:i + 60]) for i in range(0, max(len(text), 1), 60))


def main():
    lines = [l.split("\t") for l in (HERE / "cases.txt").read_text().splitlines() if l and l[0] != "#"]
    lines = [[f.replace("\\n", "\n") for f in l] for l in lines]
    script = SETUP
    for kind, name, *arguments in lines:
        script += "SELECT encode(convert_to(pg_temp.attempt($q$" + query(kind, name, arguments) + "$q$), 'UTF8'), 'hex');\n"
    done = subprocess.run(["psql", "-qAtX", "-v", "ON_ERROR_STOP=1", *sys.argv[1:]], input=script, text=True, capture_output=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    answers = [bytes.fromhex(l).decode() for l in done.stdout.splitlines() if l]
    assert len(answers) == len(lines), (len(answers), len(lines))
    out = ["/*", " * What PostgreSQL 15 answers; made by make_recorded.py from cases.txt.", " */",
           "static const struct recorded {", "    char kind;", "    const char *name;",
           "    const char *arguments[8];", "    const char *answer; /* \"=text\", \"\\\\N\", or \"!SQLSTATE message\" */",
           "} recorded[] = {"]
    for (kind, name, *arguments), answer in zip(lines, answers):
        if answer[:6] in ("!42883", "!42601") and "does not exist" in answer or "42725" in answer[:7]:
            print("unknown to PostgreSQL:", kind, name, arguments, answer, file=sys.stderr)
        args = ", ".join(c_text(a) for a in arguments) or "NULL"
        if len(args) > 80:
            args = ",\n      ".join(c_text(a) for a in arguments)
        out.append(f"    {{'{kind}', {c_text(name)},\n     {{{args}}},\n     {c_text(answer)}}},")
    out.append("};")
    (HERE / "recorded_functions.h").write_text("\n".join(out) + "\n")


main()
