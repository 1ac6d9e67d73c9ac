"""Mutants by rule: every place of a source file where a small, plausible mistake can be made.

A place is one line with one change. Only code inside functions counts (lines that begin with four
blanks); comments, texts, assertions, messages and counters for statistics are left alone, since no test
has to notice a change there.
"""
import dataclasses
import re

# What no test has to notice: beliefs, texts for people, counters, preprocessor, tables of constants.
LEFT_ALONE = re.compile(
    r"assert|KD_FAIL|kd_error_set|statistics|kd_progress|kd_table_count|_Static_assert|^\s*#"
    r"|snprintf|damaged\(|corrupt\(|static const|^\s*(case|default)\b|_count_total")
STATEMENT = re.compile(r"^ +(?:\(void\))?[A-Za-z_][\w\->.\[\]]*(\(.*\);| [-+|&]?= .*;|\+\+;|--;)$")
DECLARATION = re.compile(r"^ +(?:const |static |struct |unsigned )?[a-z_]\w* \**\w+(\[\w*\])?( = .*)?;$")
CONDITION = re.compile(r"^( +(?:\} else )?(?:if|while) \()(.*)(\)(?: \{)?)$")
COMPARISONS = {" < ": " <= ", " <= ": " < ", " > ": " >= ", " >= ": " > ", " == ": " != ", " != ": " == "}
JUNCTIONS = {" && ": " || ", " || ": " && "}
OFF_BY_ONE = {" + 1": "", " - 1": "", "= 0;": "= 1;"}


@dataclasses.dataclass(frozen=True)
class Mutant:
    path: str
    line: int  # Counted from 1.
    rule: str
    before: str
    after: str

    def title(self):
        return f"{self.path}:{self.line} {self.rule}: {self.before.strip()}  ->  {self.after.strip()}"


def blank_texts(line):
    """The line with texts and characters blanked, so that nothing in them is taken for code."""
    return re.sub(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'', lambda m: "\0" * len(m.group()), line)


def replacements(line, code, table, rule):
    for old, new in table.items():
        at = code.find(old)
        while at >= 0:
            yield rule, line[:at] + new + line[at + len(old):]
            at = code.find(old, at + 1)


def changes(line):
    code = blank_texts(line)
    if "for (" not in code:  # A loop's bounds are changed by comparison only.
        yield from replacements(line, code, OFF_BY_ONE, "off by one")
    yield from replacements(line, code, COMPARISONS, "comparison")
    yield from replacements(line, code, JUNCTIONS, "junction")
    found = CONDITION.match(line)
    if found and code.count("(") == code.count(")"):
        yield "condition", f"{found[1]}!({found[2]}){found[3]}"
    if STATEMENT.match(code) and not DECLARATION.match(code):
        yield "statement", re.match(r" *", line)[0] + "(void)0;"


def mutants_of(path, text):
    """All mutants of a file, in its order."""
    in_comment = False
    opened = 0  # Brackets that an earlier line left open: not the begin of a statement.
    for number, line in enumerate(text.split("\n"), 1):
        was_comment = in_comment
        code = re.sub(r"/\*.*?\*/", "", line)
        if "/*" in code:
            in_comment = True
        elif "*/" in code:
            in_comment = False
        first_opened = opened
        bare = blank_texts(code)
        opened = max(0, opened + bare.count("(") - bare.count(")"))
        if was_comment or in_comment or not line.startswith("    ") or LEFT_ALONE.search(line):
            continue
        for rule, changed in changes(line):
            if rule in ("statement", "condition") and (first_opened or opened):
                continue
            yield Mutant(path, number, rule, line, changed)
