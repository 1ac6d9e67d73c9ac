#!/usr/bin/env python3
"""Checks the rules of docs/STYLE.md that a compiler cannot.

Run from the repository root: python3 tools/lint.py. Prints FILE:LINE: problem and exits 1 if there
is any; lengths are notes and never fail. Standard library only.
"""
import pathlib
import re
import sys

SOURCE = pathlib.Path("src")
TREES = [pathlib.Path(name) for name in ("src", "include", "test", "bench", "fuzz", "examples")]
COLUMNS_MAX, FUNCTION_LINES_MAX, FILE_LINES_MAX = 100, 70, 1500
BANNED = re.compile(
    r"(?<![\w.>])(strcpy|strcat|strncpy|strncat|strtok|sprintf|vsprintf|gets|atoi|atol|atof|alloca"
    r"|setjmp|longjmp|malloc|calloc|realloc|free|rand|srand|time|system|popen)\s*\(")
# What only base may call: the operating system.
OS_CALL = re.compile(
    r"(?<![\w.>])(open|openat|close|read|write|pread|pwrite|fsync|fdatasync|mmap|munmap|rename|unlink"
    r"|fopen|fclose|fread|fwrite|fork|execve|pthread_\w+|nanosleep|usleep|sleep|clock_gettime"
    r"|gettimeofday|getrandom|socket|connect|accept|send|recv|poll|epoll_\w+)\s*\(")
OS_HEADER = re.compile(
    r"#\s*include\s*<(unistd|fcntl|pthread|time|dirent|poll|signal|sys/\w+|netinet/\w+)\.h>")
INCLUDE = re.compile(r'#\s*include\s*"([^"]+)"')
README_HEADINGS = ["What it is", "What it is not", "Files", "Life of a request", "Invariants",
                   "Lock order", "Failure and recovery", "How it is tested"]
# Programs talk to terminals and files of their own; link's subject is a socket.
OS_ALLOWED = {"base": "the world", "shell": "a program", "link": "a socket between processes",
              "server": "sockets of clients", "main": "a program"}

problems = []
notes = []


def report(path, line, text):
    problems.append(f"{path}:{line}: {text}")


def note(path, line, text):
    notes.append(f"{path}:{line}: note: {text}")


def load_deps():
    allowed = {}
    for number, line in enumerate((SOURCE / "DEPS").read_text().splitlines(), 1):
        line = line.split("#")[0].strip()
        if not line:
            continue
        module, _, names = line.partition(":")
        for name in names.split():
            if name not in allowed:
                report(SOURCE / "DEPS", number, f"{module} depends on {name}, which is not above it")
        allowed[module] = set(names.split())
    return allowed


def blank_comments_and_strings(text):
    """Replaces them by blanks, keeping every newline where it was."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))
    return re.sub(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])+'", blank, text,
                  flags=re.S)


def check_layout(path, raw):
    if not raw[0].startswith("/*"):
        report(path, 1, "no file comment")
    if len(raw) > FILE_LINES_MAX:
        note(path, len(raw), f"file of {len(raw)} lines (over {FILE_LINES_MAX})")
    for number, line in enumerate(raw, 1):
        if len(line) > COLUMNS_MAX:
            report(path, number, f"{len(line)} columns (limit {COLUMNS_MAX})")
        if line != line.rstrip() or "\t" in line:
            report(path, number, "tab or trailing blank")
        if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", line):
            report(path, number, "unfinished work belongs in an issue")


def check_includes(path, module, raw, allowed):
    for number, line in enumerate(raw, 1):
        match = INCLUDE.search(line)
        if match is None:
            if module not in OS_ALLOWED and OS_HEADER.search(line):
                report(path, number, "operating-system header outside base/")
            continue
        target = match.group(1)
        owner = target.split("/")[0]
        if target == "kade.h" or owner == module:
            continue
        if "/" not in target:
            report(path, number, f"{target}: write includes as \"module/noun.h\"")
        elif owner not in allowed.get(module, set()):
            report(path, number, f"{module} may not include {owner} (see src/DEPS)")
        elif target.endswith("_internal.h"):
            report(path, number, f"{target} is private to {owner}")


def check_calls(path, module, code):
    for number, line in enumerate(code, 1):
        match = BANNED.search(line)
        if match is not None and module not in ("base", "shell"):
            report(path, number, f"{match.group(1)}() is banned outside base/")
        match = OS_CALL.search(line)
        if match is not None and module not in OS_ALLOWED and not line.lstrip().startswith("static"):
            report(path, number, f"{match.group(1)}() calls the operating system outside base/")


def check_functions(path, code):
    start = None
    for number, line in enumerate(code, 1):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            body = code[start:number]
            if number - start + 1 > FUNCTION_LINES_MAX:
                note(path, start, f"function of {number - start + 1} lines "
                                  f"(over {FUNCTION_LINES_MAX})")
            if "out:" in body and any(re.search(r"\bKD_TRY\(", text) for text in body):
                report(path, start, "KD_TRY in a function with out: (use KD_TRY_OUT)")
            labels = [text for text in body if re.fullmatch(r"[a-z_]\w*:", text) and text != "out:"]
            if labels:
                report(path, start, f"label {labels[0]} (the only label is out:)")
            start = None


def check_private_names(definitions, uses):
    for name, (path, number) in uses:
        owners = definitions.get(name)
        if owners is not None and path.parts[1] not in owners:
            report(path, number, f"{name} is private to {', '.join(sorted(owners))}")


def find_private_names(path, code, definitions, uses):
    for number, line in enumerate(code, 1):
        for name in re.findall(r"\bkdi_\w+", line):
            if path.name.endswith("_internal.h"):
                definitions.setdefault(name, set()).add(path.parts[1])
            uses.append((name, (path, number)))


def find_definitions(path, code, symbols):
    """Functions with external linkage: all modules end up in one library."""
    for number, line in enumerate(code, 1):
        match = re.match(r"[a-z_][\w \*]*?\b(kdi?_\w+)\(", line)
        if match is None or line.startswith(("static", "typedef", "return", "extern")):
            continue
        rest = "\n".join(code[number - 1:number + 12])
        head = re.match(r"[^;{]*[;{]", rest)
        if head is not None and head.group(0).endswith("{"):
            symbols.setdefault(match.group(1), []).append((path, number))


def check_unique_symbols(symbols):
    for name, places in symbols.items():
        for path, number in places[1:]:
            if path == places[0][0]:
                continue  # Two forms of one function, for two processors.
            report(path, number, f"{name} is also defined in {places[0][0]}:{places[0][1]}")


def check_unique_names(paths):
    seen = {}
    for path in paths:
        if path.name in seen:
            report(path, 1, f"file name also used by {seen[path.name]}")
        seen[path.name] = path


def check_cmake(module, names):
    path = SOURCE / module / "CMakeLists.txt"
    if not path.exists():
        report(path, 1, "no CMakeLists.txt")
        return
    text = re.sub(r"#[^\n]*", "", path.read_text())
    listed = set(re.findall(r"[\w/]+\.c\b", text))
    for source in sorted((SOURCE / module).glob("*.c")):
        if source.name not in listed:
            report(path, 1, f"{source.name} is not listed")
    match = re.search(r"kd_module\(\s*" + module + r"\b(.*?)\)", text, flags=re.S)
    if match is None:
        return
    words = match.group(1).split()
    linked = set()
    if "DEPS" in words:
        for word in words[words.index("DEPS") + 1:]:
            if word in ("FILES", "LIBS"):
                break
            linked.add(word)
    if linked != names:
        report(path, 1, f"DEPS {' '.join(sorted(linked))} differ from src/DEPS: "
                        f"{' '.join(sorted(names))}")


def check_readme(module):
    path = SOURCE / module / "README.md"
    if not path.exists():
        report(path, 1, "the module has no README.md")
        return
    headings = [line.lstrip("#").strip().lower()
                for line in path.read_text().splitlines() if line.startswith("#")]
    for wanted in README_HEADINGS:
        if not any(heading.startswith(wanted.lower()) for heading in headings):
            report(path, 1, f"no heading \"{wanted}\"")


def main():
    allowed = load_deps()
    paths = sorted(p for tree in TREES for p in tree.rglob("*") if p.suffix in (".c", ".h"))
    definitions, uses, symbols = {}, [], {}
    for path in paths:
        text = path.read_text()
        raw, code = text.split("\n"), blank_comments_and_strings(text).split("\n")
        check_layout(path, raw)
        check_functions(path, code)
        if path.parts[0] != "src":
            continue
        module = path.parts[1]
        if module not in allowed:
            report(path, 1, f"module {module} is not in src/DEPS")
        check_includes(path, module, raw, allowed)
        check_calls(path, module, code)
        find_private_names(path, code, definitions, uses)
        if path.suffix == ".c":
            find_definitions(path, code, symbols)
    check_private_names(definitions, uses)
    check_unique_symbols(symbols)
    check_unique_names(paths)
    for module, names in allowed.items():
        if (SOURCE / module).is_dir():
            check_cmake(module, names)
            check_readme(module)
    for line in notes + problems:
        print(line)
    print(f"lint: {len(paths)} files, {len(problems)} problems, {len(notes)} notes")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
