#!/usr/bin/env python3
"""Keeps the rules of the house; CONTRIBUTING.md says why each is there.

    scripts/tidy.py                 check this repository: file:line: messages and exit code 1 on offences
    scripts/tidy.py --tests FILE    also compare with the names of the registered tests, one on a line
    scripts/tidy.py --self-test     plant one offence of every kind and check that each is found

Offences that are older than a rule, or better than following it, stand in scripts/tidy_allow.txt with their
reason. An entry that is no longer needed, or allows more than is there, is an offence itself: exceptions only
shrink.
"""

import argparse
import collections
import functools
import os
import pathlib
import re
import sys
import tempfile

# A room includes itself and the rooms before it.
ROOMS = ("base numerics config data graph learn plan wire transport store shard node engine orchestrator sim "
         "api cli").split()
# Includes against that order: (room, included file) -> reason.
ROOM_EXCEPTIONS = {
    ("numerics", "config/settings.h"): "kernels switch over the file's own enumerations: docs/adr/0009",
    ("plan", "engine/engine.h"): "the predicted step time comes from running some steps: docs/adr/0009",
}
# Who may include the public header: base takes the status codes from it, api implements it, cli uses it.
PUBLIC_HEADER_ROOMS = ("base", "api", "cli")

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 800
COLUMNS_MAX = 120
NESTING_MAX = 4

SOURCE_FOLDERS = ("src", "include", "tests", "fuzz", "examples", "benchmarks", "scripts", "cmake")
C_SUFFIXES = (".c", ".h", ".inc")
CODE_SUFFIXES = C_SUFFIXES + (".py", ".sh", ".cmake")
TEXT_SUFFIXES = CODE_SUFFIXES + (".md", ".yaml", ".yml", ".txt", ".json", ".svg")
SKIPPED_ANYWHERE = {".git", "node_modules", "__pycache__", "corpus"}
SKIPPED_AT_TOP = {"build", "runs", "data"}

ALLOCATION = r"(?:malloc|calloc|realloc|free|aligned_alloc|posix_memalign|strdup|strndup)"
UNBOUNDED = r"(?:strcpy|strcat|sprintf|vsprintf|strtok|alloca)"
NEVER = r"(?:gets|rand|srand|random|srandom|drand48)"
ENDING = r"(?:exit|_exit|_Exit|quick_exit|abort|assert)"
PRINTING = r"(?:printf|vprintf|puts|putchar|perror)"
LIBM = (r"(?:exp|exp2|expm1|log|log2|log10|log1p|pow|sin|cos|tan|sinh|cosh|tanh|asin|acos|atan|atan2"
        r"|cbrt|hypot|erf|erfc|lgamma|tgamma)[fl]?")
CLOCK = r"(?:time|clock|gettimeofday|clock_gettime)"
# Rooms whose numbers reach the weights: libm differs between versions and processors in the last bit.
EXACT_ROOMS = ("numerics", "data", "graph", "learn", "engine")

Finding = collections.namedtuple("Finding", "rule path line key value text")


class House:
    """The files of one repository, read once, and the offences found in them."""

    def __init__(self, root, registered_tests=None):
        self.root = pathlib.Path(root)
        self.registered_tests = registered_tests
        self.findings = []
        self.texts = {path: self.read(path) for path in self.walk()}

    def walk(self):
        """Names of the text files, from the root, in order."""
        names = []
        for folder, folders, files in os.walk(self.root):
            top = pathlib.Path(folder) == self.root
            skipped = SKIPPED_ANYWHERE | (SKIPPED_AT_TOP if top else set())
            folders[:] = [f for f in folders if f not in skipped]
            names += [pathlib.Path(folder, f).relative_to(self.root).as_posix() for f in files
                      if f.endswith(TEXT_SUFFIXES) or f == "run"]
        return sorted(names)

    def read(self, path):
        return (self.root / path).read_text(encoding="utf-8", errors="replace")

    def report(self, rule, path, line, text, key="", value=0):
        self.findings.append(Finding(rule, path, line, key, value, text))

    def files(self, folders, suffixes):
        for path, text in self.texts.items():
            if path.split("/")[0] in folders and path.endswith(suffixes):
                yield path, text


# ---- Reading C -----------------------------------------------------------------------------------------

TOKENS = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL)


DIRECTIVES = re.compile(r"^[ \t]*#(?:.*\\\n)*.*$", re.MULTILINE)
INCLUDES = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.MULTILINE)


def spaces(match):
    return re.sub(r"[^\n]", " ", match.group(0))


@functools.lru_cache(maxsize=None)
def blank(text):
    """The text with comments and strings replaced by spaces, so that lines and columns stay."""
    return TOKENS.sub(spaces, text)


def without_comments(text):
    return TOKENS.sub(lambda match: spaces(match) if match.group(0)[0] == "/" else match.group(0), text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def functions(code):
    """(name, first line, last line, deepest nesting) of every function in blanked code.

    A function's body opens by a brace after a closing parenthesis at file level. A brace in the first column
    is always at file level, so that halves of #if and #else can't put the count out."""
    code = DIRECTIVES.sub(spaces, code)
    found = []
    depth, deepest, start, head = 0, 0, 0, ""
    for number, line in enumerate(code.split("\n"), 1):
        if line[:1] in "{}" and line:
            depth = 0 if line[0] == "{" else 1
        for character in line:
            if character == "{":
                depth += 1
                deepest = depth if depth == 1 else max(deepest, depth)
            elif character == "}":
                depth -= 1
                if depth == 0:
                    if function_name(head) is not None:
                        found.append((function_name(head), start, number, deepest - 1))
                    head = ""
            elif depth == 0:
                if head == "" and not character.isspace():
                    start = number
                if head != "" or not character.isspace():
                    head = "" if character == ";" else head + character
        head += " " if depth == 0 and head != "" else ""
    return found


def function_name(head):
    """The name in `static int f(int a) __attribute__((x))`; None for a struct, an array and extern "C"."""
    head = re.sub(r"__attribute__\s*\(\(.*?\)\)", "", head).strip()
    if not head.endswith(")") or "=" in head:
        return None
    match = re.search(r"(\w+)\s*\(", head)
    return match.group(1) if match else None


def room_of(path):
    parts = path.split("/")
    return parts[1] if parts[0] == "src" and len(parts) > 2 else None


# ---- Rules ---------------------------------------------------------------------------------------------

def check_rooms(house):
    """Every folder of src/ is a known room and has a README.md."""
    rooms = {room_of(path): path for path in house.texts if room_of(path)}
    for room, path in sorted(rooms.items()):
        if room not in ROOMS:
            house.report("room", path, 1, f"'src/{room}' is not a room (the list is in scripts/tidy.py)")
        if f"src/{room}/README.md" not in house.texts:
            house.report("readme", f"src/{room}/README.md", 1, "missing: every room says what it does")


def check_includes(house):
    for path, text in house.files(("src",), C_SUFFIXES):
        room = room_of(path)
        for match in INCLUDES.finditer(without_comments(text)):
            message = include_offence(house, path, room, match.group(1))
            if message:
                house.report("include", path, line_of(text, match.start()), message, key=match.group(1))


def include_offence(house, path, room, included):
    test = path.endswith("_test.c")
    if included == "cuttlefish/cuttlefish.h":
        if room in PUBLIC_HEADER_ROOMS or test:
            return None
        return f"room '{room}' includes the public header (only {', '.join(PUBLIC_HEADER_ROOMS)} do)"
    if f"src/{included}" not in house.texts:
        if test and f"tests/{included}" in house.texts:
            return None
        return f'"{included}" is no file of src/: name it from there, as in "base/status.h"'
    other = included.split("/")[0]
    if room == "cli" and other != "cli" and not test:
        return f"the command includes '{included}': it uses nothing but cuttlefish/cuttlefish.h"
    if room not in ROOMS or other not in ROOMS or (room, included) in ROOM_EXCEPTIONS:
        return None
    if ROOMS.index(other) > ROOMS.index(room):
        return f"room '{room}' includes '{included}' from a room below it ({' > '.join((room, other))})"
    return None


def check_lengths(house):
    for path, text in house.files(SOURCE_FOLDERS, CODE_SUFFIXES):
        lines = text.split("\n")
        if lines and lines[-1] == "":
            lines.pop()
        if len(lines) > FILE_LINES_MAX:
            house.report("file-length", path, FILE_LINES_MAX + 1,
                         f"{len(lines)} lines (at most {FILE_LINES_MAX})", value=len(lines))
        wide = [(number, len(line)) for number, line in enumerate(lines, 1) if len(line) > COLUMNS_MAX]
        for number, width in wide:
            house.report("columns", path, number, f"{width} columns (at most {COLUMNS_MAX})", value=len(wide))


def check_functions(house):
    for path, text in house.files(("src", "tests", "fuzz", "examples", "benchmarks", "include"), C_SUFFIXES):
        for name, first, last, nesting in functions(blank(text)):
            length = last - first + 1
            if length > FUNCTION_LINES_MAX:
                house.report("function-length", path, first,
                             f"{name}() has {length} lines (at most {FUNCTION_LINES_MAX})", name, length)
            if nesting > NESTING_MAX:
                house.report("nesting", path, first,
                             f"{name}() nests {nesting} deep (at most {NESTING_MAX})", name, nesting)


def check_macros(house):
    """A function's length can't be hidden in a macro."""
    for path, text in house.files(("src", "include"), C_SUFFIXES):
        for match in DIRECTIVES.finditer(text):
            length = match.group(0).count("\n") + 1
            if length > FUNCTION_LINES_MAX:
                name = re.split(r"\W+", match.group(0))[2]
                house.report("function-length", path, line_of(text, match.start()),
                             f"macro {name} has {length} lines (at most {FUNCTION_LINES_MAX})", name, length)


def bans(path):
    """(pattern of names, what to say) that hold for a C file."""
    room, test = room_of(path), path.endswith("_test.c")
    yield NEVER, "unbounded, or random without a seed of ours: use cfi_draw"
    if room is None or test:
        return
    yield UNBOUNDED, "writes without a bound, or keeps hidden state: use snprintf, cfi_text, memcpy"
    if path not in ("src/base/alloc.c", "src/cli/memory.c"):
        yield ALLOCATION, "allocation goes through base/alloc.h, which counts it and can make it fail"
    if path not in ("src/cli/main.c", "src/cli/memory.c"):
        yield ENDING, "the library reports, it never ends the program: return a cf_status"
    if room != "cli":
        yield PRINTING, "the library never prints: return text, or call the caller's function"
    if room != "cli" and path != "src/base/clock.c":
        yield CLOCK, "time comes from base/clock.h, and never reaches a weight"
    if room in EXACT_ROOMS:
        yield LIBM, "libm differs between machines in the last bit: use numerics' own functions"


def check_bans(house):
    for path, text in house.files(("src", "tests", "fuzz", "examples"), C_SUFFIXES):
        code = blank(text)
        for names, reason in bans(path):
            for match in re.finditer(r"(?<![\w.>])(" + names + r")\s*\(", code):
                house.report("banned", path, line_of(code, match.start()), f"{match.group(1)}(): {reason}",
                             key=match.group(1))
        if room_of(path) not in (None, "cli") and not path.endswith("_test.c"):
            for match in re.finditer(r"\b(stdout|stderr)\b", code):
                house.report("banned", path, line_of(code, match.start()),
                             f"{match.group(1)}: the library never prints", key=match.group(1))


def check_texts(house):
    """Marks that must not stay, and paths that only exist on somebody's machine."""
    for path, text in house.texts.items():
        if path == "scripts/tidy.py":
            continue
        for match in re.finditer(r"\b(TODO|FIXME|XXX)\b(?!\(#\d+\))", text):
            house.report("todo", path, line_of(text, match.start()),
                         f"{match.group(1)} without a number: TODO(#12)")
        for match in re.finditer(r"(?<![\w.])/(?:work|home)/\w", text):
            house.report("machine-path", path, line_of(text, match.start()), "names a folder of one machine")


def check_registered_tests(house):
    """Every test file runs: C tests by their name in ctest, scripts by being named in a CMake file."""
    for path, text in house.files(("src", "tests"), ("_test.c",)):
        parts = path.split("/")
        name = f"{parts[-2]}.{parts[-1][:-len('_test.c')]}"
        if house.registered_tests is not None and name not in house.registered_tests:
            house.report("test", path, 1, f"ctest knows no test '{name}'")
        for match in re.finditer(r"^static void (\w+)\(void \*\*state\)\s*\{", blank(text), re.MULTILINE):
            if blank(text).count(match.group(1)) < 2:
                house.report("test", path, line_of(text, match.start()), f"{match.group(1)} is never run")
    for path, _ in house.files(("tests",), (".py", ".sh")):
        stem = path.split("/")[-1].rsplit(".", 1)[0]
        others = [text for other, text in house.texts.items() if other != path and other.startswith("tests/")]
        if not any(re.search(rf"\b{re.escape(stem)}\b", text) for text in others):
            house.report("test", path, 1, "no CMake file and no other test names this script")


def check_documents(house):
    """What documents name exists: functions, tests, other documents."""
    code = "\n".join(blank(text) for path, text in house.files(("src", "include"), C_SUFFIXES))
    architecture = house.texts.get("docs/ARCHITECTURE.md", "")
    for match in re.finditer(r"`(\w+)\(\)`", architecture):
        if not re.search(rf"\b{match.group(1)}\s*\(", code):
            house.report("document", "docs/ARCHITECTURE.md", line_of(architecture, match.start()),
                         f"there is no function {match.group(1)}() in src/")
    check_quality_page(house)
    for path, text in house.texts.items():
        if path.endswith(".md"):
            check_links(house, path, text)
        elif path.endswith(C_SUFFIXES):
            check_named_documents(house, path, text)


def check_quality_page(house):
    quality = house.texts.get("docs/QUALITY.md", "")
    test_code = "\n".join(text for _, text in house.files(("src", "tests"), ("_test.c",)))
    for match in re.finditer(r"`([a-z0-9_]+)(\.[a-z0-9_]+)?`", quality):
        name = match.group(0).strip("`")
        if match.group(2) and house.registered_tests is not None and name not in house.registered_tests:
            house.report("document", "docs/QUALITY.md", line_of(quality, match.start()),
                         f"ctest knows no test '{name}'")
        elif not match.group(2) and name + "(" not in test_code:
            house.report("document", "docs/QUALITY.md", line_of(quality, match.start()),
                         f"no test is called {name}")


def check_links(house, path, text):
    folder = (house.root / path).parent
    for match in re.finditer(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        target = match.group(1)
        if "://" not in target and not target.startswith("mailto:") and not (folder / target).exists():
            house.report("document", path, line_of(text, match.start()),
                         f"link to '{target}', which is not there")


def check_named_documents(house, path, text):
    """A comment that sends the reader to a page must send him to one that exists."""
    folder = path.rsplit("/", 1)[0]
    for match in re.finditer(r"[\w./-]*\w\.md\b", text):
        name = match.group(0)
        places = (name, f"docs/{name}", f"src/{name}", f"{folder}/{name}")
        if not any(place in house.texts for place in places):
            house.report("document", path, line_of(text, match.start()), f"names {name}, which is not there")


RULES = (check_rooms, check_includes, check_lengths, check_functions, check_macros, check_bans, check_texts,
         check_registered_tests, check_documents)


# ---- The ratchet ---------------------------------------------------------------------------------------

def apply_ratchet(house, allow_path="scripts/tidy_allow.txt"):
    """Takes away the findings that tidy_allow.txt excuses. A line is `rule path[:key] value # reason`."""
    text = house.texts.get(allow_path, "")
    remaining = house.findings
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() == "" or line.startswith("#"):
            continue
        match = re.fullmatch(r"(\S+) ([^\s:]+)(?::(\S+))? (\d+) +# \S.*", line)
        if match is None:
            house.report("ratchet", allow_path, number, "not `rule path[:key] value # reason`")
            continue
        rule, path, key, value = match.group(1), match.group(2), match.group(3) or "", int(match.group(4))
        excused = [f for f in remaining if (f.rule, f.path, f.key) == (rule, path, key)]
        actual = max((f.value or len(excused) for f in excused), default=0)
        if actual == 0:
            house.report("ratchet", allow_path, number, "no longer needed: delete the line")
        elif actual < value:
            house.report("ratchet", allow_path, number, f"allows {value}, there is {actual}: lower it")
        if actual <= value:
            remaining = [f for f in remaining if f not in excused]
    kept = [f for f in house.findings if f.rule == "ratchet"]
    house.findings = [f for f in remaining if f.rule != "ratchet"] + kept


def tidy(root, registered_tests=None):
    house = House(root, registered_tests)
    for rule in RULES:
        rule(house)
    apply_ratchet(house)
    return sorted(house.findings, key=lambda f: (f.path, f.line, f.rule, f.text))


# ---- Self-test -----------------------------------------------------------------------------------------

def long_function(name, lines):
    return f"static int {name}(void)\n{{\n" + "    ;\n" * (lines - 4) + "    return 0;\n}\n"


CLEAN = {
    "src/base/README.md": "# base\n",
    "src/base/a.h": '#include "cuttlefish/cuttlefish.h"\nint cfi_a(void);\n',
    "src/base/a.c": """
/* malloc( in a comment */
#include "base/a.h"
int cfi_a(void)
{
    const char *text = "exit(1)";
    return text[0] + cfi_free(0) + x.free(y) + z->free(y);
}
""",
    "src/base/alloc.c": "void *cfi_calloc(void)\n{\n    return calloc(1, 1);\n}\n",
    "src/base/a_test.c": """
#include "base/a.h"
#include "lib/help.h"
static void a_is_good(void **state)
{
    free(state);
}
int main(void)
{
    return run(a_is_good);
}
""",
    "src/learn/README.md": "# learn\n",
    "src/learn/l.c": '#include "base/a.h"\n' + long_function("just_short_enough", 70),
    "src/cli/README.md": "# cli\n",
    "src/cli/main.c": '#include "cuttlefish/cuttlefish.h"\nint main(void)\n{\n    exit(printf("x"));\n}\n',
    "tests/lib/help.h": "/* help */\n",
    "tests/t/script.py": "pass\n",
    "tests/tests.cmake": "add_test(NAME t.script COMMAND python3 script.py)\n",
    "include/cuttlefish/cuttlefish.h": "/* docs/ARCHITECTURE.md */\n",
    "docs/ARCHITECTURE.md": "See `cfi_a()` and [quality](QUALITY.md#top).\n",
    "docs/QUALITY.md": "proved by `base.a`, `a_is_good`\n",
}
B = "src/learn/b.c"
ALLOW = "scripts/tidy_allow.txt"

# (files laid over CLEAN, how the one message begins; None: no message)
OFFENCES = (
    ({}, None),
    ({"src/attic/README.md": ""}, "src/attic/README.md:1: room: 'src/attic' is not a room"),
    ({"src/data/d.c": ""}, "src/data/README.md:1: readme: missing"),
    ({"src/base/b.c": '\n#include "learn/l.h"\n', "src/learn/l.h": ""},
     "src/base/b.c:2: include: room 'base' includes 'learn/l.h' from a room below it"),
    ({B: '#include "cuttlefish/cuttlefish.h"\n'}, B + ":1: include: room 'learn' includes the public header"),
    ({B: '#include "a.h"\n'}, B + ':1: include: "a.h" is no file of src/'),
    ({"src/cli/b.c": '#include "base/a.h"\n'}, "src/cli/b.c:1: include: the command includes 'base/a.h'"),
    ({B: "\n" + long_function("endless", 71)}, B + ":2: function-length: endless() has 71 lines"),
    ({B: "#define M \\\n" + "x \\\n" * 69 + "y\n"}, B + ":1: function-length: macro M has 71 lines"),
    ({B: "int f(int a)\n{\n { { { { { a(); } } } } }\n}\n"}, B + ":1: nesting: f() nests 5 deep"),
    ({B: ";\n" * 801}, B + ":801: file-length: 801 lines"),
    ({"scripts/x.sh": "\n" + "x" * 121 + "\n"}, "scripts/x.sh:2: columns: 121 columns"),
    ({B: "int x = f(malloc(3));\n"}, B + ":1: banned: malloc()"),
    ({B: "\nfree (p);\n"}, B + ":2: banned: free()"),
    ({B: "sprintf(a, b);\n"}, B + ":1: banned: sprintf()"),
    ({"tests/t/b_test.c": "x = rand();\n"}, "tests/t/b_test.c:1: banned: rand()"),
    ({B: "assert(a);\n"}, B + ":1: banned: assert()"),
    ({"src/cli/b.c": "exit(1);\n"}, "src/cli/b.c:1: banned: exit()"),
    ({B: "printf(a);\n"}, B + ":1: banned: printf()"),
    ({B: "fprintf(stderr, a);\n"}, B + ":1: banned: stderr"),
    ({B: "y = powf(a, 2);\n"}, B + ":1: banned: powf()"),
    ({B: "y = time(NULL);\n"}, B + ":1: banned: time()"),
    ({B: "/* TODO more */\n"}, B + ":1: todo: TODO without a number"),
    ({"docs/x.md": "in /home/someone/x\n"}, "docs/x.md:1: machine-path: names a folder"),
    ({"src/learn/b_test.c": "int x;\n"}, "src/learn/b_test.c:1: test: ctest knows no test 'learn.b'"),
    ({"src/base/a_test.c": "static void forgotten(void **state)\n{\n}\n", "docs/QUALITY.md": ""},
     "src/base/a_test.c:1: test: forgotten is never run"),
    ({"tests/t/lost.py": "pass\n"}, "tests/t/lost.py:1: test: no CMake file"),
    ({"docs/ARCHITECTURE.md": "\n`cfi_gone()`\n"},
     "docs/ARCHITECTURE.md:2: document: there is no function cfi_gone()"),
    ({"docs/QUALITY.md": "`base.gone`\n"}, "docs/QUALITY.md:1: document: ctest knows no test 'base.gone'"),
    ({"docs/QUALITY.md": "`a_is_bad`\n"}, "docs/QUALITY.md:1: document: no test is called a_is_bad"),
    ({"README.md": "[x](gone.md)\n"}, "README.md:1: document: link to 'gone.md'"),
    ({B: "/* docs/gone.md */\n"}, B + ":1: document: names docs/gone.md"),
    ({ALLOW: "columns src/base/a.c 3 # old\n"}, ALLOW + ":1: ratchet: no longer needed"),
    ({ALLOW: "columns src/base/a.c 3\n"}, ALLOW + ":1: ratchet: not `rule path"),
    ({ALLOW: f"\nfunction-length {B}:f 90 # old\n", B: long_function("f", 80)},
     ALLOW + ":2: ratchet: allows 90, there is 80: lower it"),
    ({ALLOW: f"function-length {B}:f 75 # old\n", B: long_function("f", 80)},
     B + ":1: function-length: f() has 80 lines"),
    ({ALLOW: f"function-length {B}:f 80 # old\n", B: long_function("f", 80)}, None),
)


def findings_of(files):
    with tempfile.TemporaryDirectory() as folder:
        for name, text in {**CLEAN, **files}.items():
            path = pathlib.Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return [message(f) for f in tidy(folder, {"base.a", "t.b", "t.script"})]


def self_test():
    failures = 0
    for files, expected in OFFENCES:
        found = findings_of(files)
        good = found == [] if expected is None else len(found) == 1 and found[0].startswith(expected)
        if not good:
            failures += 1
            print(f"self-test: expected {expected!r}, found {found}")
    print(f"self-test: {len(OFFENCES)} cases, {failures} failed")
    return 1 if failures else 0


# ---- Command line --------------------------------------------------------------------------------------

def message(finding):
    return f"{finding.path}:{finding.line}: {finding.rule}: {finding.text}"


def main():
    parser = argparse.ArgumentParser(description="Checks the rules of the house (CONTRIBUTING.md).")
    parser.add_argument("--root", default=pathlib.Path(__file__).resolve().parent.parent)
    parser.add_argument("--tests", help="file with the names of the registered tests, one on a line")
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args()
    if arguments.self_test:
        return self_test()
    registered = None
    if arguments.tests:
        registered = set(pathlib.Path(arguments.tests).read_text(encoding="utf-8").split())
    findings = tidy(arguments.root, registered)
    for finding in findings:
        print(message(finding))
    print(f"tidy: {len(findings)} offences" if findings else "tidy: clean")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
