#!/usr/bin/env python3
"""Checks that the headers keep to the floors of the house.

A header may include its own room and the rooms of the floors below, never a room on its own floor or above. Further:
no cycles, no header over 500 lines, no room that the table does not know, no header that the umbrella does not reach,
nothing but includes in the umbrella, and third-party headers only in simd/.

    python3 cmake/check_layers.py               check include/alidade of this repository
    python3 cmake/check_layers.py --root DIR    check DIR/alidade
    python3 cmake/check_layers.py --self-test   prove that each rule finds its violation

Exit code: 0 nothing found, 1 violations (each printed with its place and the way to mend it), 2 wrong use.
"""

import argparse
import pathlib
import re
import sys
import tempfile

# From the ground up. config/ lies below core/: it opens the namespace in which all else is written.
FLOORS = [
    ["config"],
    ["core"],
    ["memory", "perf"],
    ["simd"],
    ["distance", "ops"],
    ["quantize", "storage"],
    ["index", "cache", "rl"],
    ["engine"],
]
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
UMBRELLA = "alidade/alidade.hpp"
MAX_LINES = 500
THIRD_PARTY = {"xsimd": "simd"}  # folder of the dependency -> the only room that may include it

COMMENT = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.DOTALL)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.MULTILINE)


def without_comments(text):
    """Comments become blanks (line breaks stay, so that line numbers do); string literals stay."""

    def blank(match):
        found = match.group(0)
        return found if found.startswith('"') else re.sub(r"[^\n]", " ", found)

    return COMMENT.sub(blank, text)


def room_of(header):
    """'alidade/simd/ops/bytes.hpp' -> 'simd'; None for a header that lies in no room."""
    parts = header.split("/")
    return parts[1] if len(parts) > 2 else None


class Checker:
    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.violations = []
        self.includes = {}  # header -> [(line, included header of ours)]

    def report(self, header, line, what, mend):
        self.violations.append((header, line, what, mend))

    def run(self):
        paths = sorted(p for p in (self.root / "alidade").rglob("*") if p.is_file())
        headers = [p.relative_to(self.root).as_posix() for p in paths]
        known = set(headers)
        for header in headers:
            self.check_header(header, known)
        self.check_cycles()
        self.check_orphans(headers)
        return self.violations

    def check_header(self, header, known):
        text = (self.root / header).read_text(encoding="utf-8")
        lines = text.count("\n") + (not text.endswith("\n") and text != "")
        if lines > MAX_LINES:
            self.report(header, lines, f"has {lines} lines, {lines - MAX_LINES} more than allowed",
                        "split it by purpose: one purpose a header")
        room = room_of(header)
        if header == UMBRELLA:
            self.check_umbrella(header, text)
        elif room is None:
            self.report(header, 1, "lies in no room", f"move it into a room; only {UMBRELLA} lies beside them")
        elif room not in FLOOR_OF:
            self.report(header, 1, f"lies in the unknown room {room}/",
                        "put it into a known room, or add the room to its floor in FLOORS of this script")

        self.includes[header] = []
        code = without_comments(text)
        for match in INCLUDE.finditer(code):
            line = code.count("\n", 0, match.start()) + 1
            self.check_include(header, line, match.group(1), match.group(2), known)

    def check_umbrella(self, header, text):
        for number, line in enumerate(without_comments(text).split("\n"), start=1):
            if line.strip() and not re.match(r"[ \t]*#[ \t]*(include|pragma[ \t]+once)\b", line):
                self.report(header, number, f"the umbrella holds more than includes: {line.strip()}",
                            "move it into a header of the room that it belongs to")
                return

    def check_include(self, header, line, quote, name, known):
        target = name
        if quote == '"':
            beside = (pathlib.PurePosixPath(header).parent / name).as_posix()
            resolved = (self.root / beside).resolve()
            if resolved.is_file() and resolved.is_relative_to(self.root.resolve()):
                target = resolved.relative_to(self.root.resolve()).as_posix()
        if not target.startswith("alidade/"):
            folder = target.split("/")[0]
            if quote == '"':
                self.report(header, line, f'includes "{name}", which is no header of the library',
                            "write <...> for the standard library and <alidade/...> for our own headers")
            elif folder in THIRD_PARTY and room_of(header) != THIRD_PARTY[folder]:
                self.report(header, line, f"includes <{name}>",
                            f"only {THIRD_PARTY[folder]}/ may name {folder}: use what {THIRD_PARTY[folder]}/ offers")
            return
        if target not in known:
            self.report(header, line, f"includes {name}, which does not exist", "correct the path or remove the line")
            return
        self.includes[header].append((line, target))
        if header == UMBRELLA:
            return
        if target == UMBRELLA:
            self.report(header, line, "includes the umbrella", "include the headers that it needs")
            return
        room, other = room_of(header), room_of(target)
        if room == other or room not in FLOOR_OF or other not in FLOOR_OF:
            return
        if FLOOR_OF[other] > FLOOR_OF[room]:
            self.report(header, line, f"{room}/ includes {target} from the higher floor of {other}/",
                        f"move what is needed down to {room}/ or below, or this header up to a floor above {other}/")
        elif FLOOR_OF[other] == FLOOR_OF[room]:
            self.report(header, line, f"{room}/ includes {target} from {other}/, a room on the same floor",
                        "move what both need to a floor below, or compose the two on a floor above")

    def check_cycles(self):
        state = {}  # header -> "open" (on the path) or "done"
        path = []

        def visit(header):
            state[header] = "open"
            path.append(header)
            for line, target in self.includes[header]:
                if state.get(target) == "open":
                    cycle = path[path.index(target):] + [target]
                    self.report(header, line, "closes a cycle: " + " -> ".join(cycle),
                                "move what these headers share into one that all of them include")
                elif target not in state:
                    visit(target)
            path.pop()
            state[header] = "done"

        for header in self.includes:
            if header not in state:
                visit(header)

    def check_orphans(self, headers):
        if UMBRELLA not in self.includes:
            self.report(UMBRELLA, 1, "does not exist", "write the umbrella: it includes every public header")
            return
        reached, pending = set(), [UMBRELLA]
        while pending:
            header = pending.pop()
            if header not in reached:
                reached.add(header)
                pending += [target for _, target in self.includes[header]]
        for header in headers:
            if header not in reached:
                self.report(header, 1, "is not reached from the umbrella",
                            f"include it in {UMBRELLA} or in a header that {UMBRELLA} includes, or remove it")


def check(root):
    violations = Checker(root).run()
    for header, line, what, mend in violations:
        print(f"{pathlib.Path(root) / header}:{line}: {what}\n    to mend: {mend}")
    return violations


def self_test():
    """Each case is a small house; the words must appear in what the checker reports (none: a clean house)."""
    clean = {
        "alidade.hpp": "#pragma once\n// the umbrella\n#include <alidade/index/graph.hpp>\n",
        "config/arch.hpp": "#pragma once\n",
        "core/errors.hpp": "#include <alidade/config/arch.hpp>\n#include <vector>\n",
        "simd/ops/dot.hpp": "#include <xsimd/xsimd.hpp>\n#include <alidade/core/errors.hpp>\n",
        "index/node.hpp": "#include <alidade/simd/ops/dot.hpp>\n",
        "index/graph.hpp": '#include "node.hpp"\n#include "alidade/core/errors.hpp"\n',
    }
    reach_all = "#pragma once\n#include <alidade/index/graph.hpp>\n#include <alidade/{}>\n"
    cases = [
        ("a clean house", {}, []),
        ("an include in a comment", {"core/errors.hpp": "// #include <alidade/index/node.hpp>\n/*\n"
                                     "#include <alidade/index/node.hpp>\n*/\n#include <alidade/config/arch.hpp>\n"}, []),
        ("a higher floor", {"core/errors.hpp": "#include <alidade/config/arch.hpp>\n"
                            "#include <alidade/simd/ops/dot.hpp>\n"}, ["core/errors.hpp:2", "higher floor of simd/"]),
        ("a higher floor, by a relative path", {"core/errors.hpp": '#include <alidade/config/arch.hpp>\n'
                                                '#  include "../index/node.hpp"\n'}, ["higher floor of index/"]),
        ("config above core", {"config/arch.hpp": "#include <alidade/core/errors.hpp>\n"}, ["higher floor of core/"]),
        ("a room on the same floor", {"cache/lru.hpp": "#include <alidade/index/node.hpp>\n",
                                      "alidade.hpp": reach_all.format("cache/lru.hpp")},
         ["cache/lru.hpp:1", "a room on the same floor"]),
        ("a cycle of two", {"index/node.hpp": "#include <alidade/simd/ops/dot.hpp>\n#include <alidade/index/graph.hpp>\n"},
         ["closes a cycle", "alidade/index/graph.hpp -> alidade/index/node.hpp -> alidade/index/graph.hpp"]),
        ("a cycle of one", {"index/graph.hpp": '#include "node.hpp"\n#include <alidade/index/graph.hpp>\n'},
         ["closes a cycle", "index/graph.hpp:2"]),
        ("a long header", {"index/node.hpp": "#include <alidade/simd/ops/dot.hpp>\n" + "\n" * 500},
         ["index/node.hpp:501", "1 more than allowed"]),
        ("a header of 500 lines", {"index/node.hpp": "#include <alidade/simd/ops/dot.hpp>\n" + "\n" * 499}, []),
        ("an unknown room", {"attic/box.hpp": "#pragma once\n", "alidade.hpp": reach_all.format("attic/box.hpp")},
         ["unknown room attic/"]),
        ("a header in no room", {"loose.hpp": "#pragma once\n", "alidade.hpp": reach_all.format("loose.hpp")},
         ["lies in no room"]),
        ("an orphan", {"index/orphan.hpp": "#pragma once\n"}, ["index/orphan.hpp:1", "not reached"]),
        ("code in the umbrella", {"alidade.hpp": clean["alidade.hpp"] + "namespace alidade {}\n"},
         ["alidade.hpp:4", "more than includes"]),
        ("the umbrella from within", {"index/node.hpp": "#include <alidade/simd/ops/dot.hpp>\n"
                                      "#include <alidade/alidade.hpp>\n"}, ["includes the umbrella"]),
        ("a missing header", {"index/node.hpp": "#include <alidade/simd/ops/dot.hpp>\n"
                              "#include <alidade/simd/gone.hpp>\n"}, ["does not exist", "index/node.hpp:2"]),
        ("xsimd outside of simd", {"index/node.hpp": "#include <alidade/simd/ops/dot.hpp>\n"
                                   "#include <xsimd/xsimd.hpp>\n"}, ["only simd/ may name xsimd"]),
        ("no umbrella", {"alidade.hpp": None}, ["write the umbrella"]),
    ]
    failed = 0
    for name, changes, words in cases:
        with tempfile.TemporaryDirectory() as folder:
            for path, text in {**clean, **changes}.items():
                if text is not None:
                    file = pathlib.Path(folder, "alidade", path)
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_text(text, encoding="utf-8")
            found = [f"{h}:{line}: {what}; {mend}" for h, line, what, mend in Checker(folder).run()]
        ok = not found if not words else all(any(word in text for text in found) for word in words)
        if not ok:
            failed += 1
            print(f"self-test: {name}: expected {words or 'nothing'}, found {found or 'nothing'}")
    print(f"check_layers self-test: {len(cases) - failed} passed, {failed} failed")
    return failed


def main():
    parser = argparse.ArgumentParser(description="Checks that the headers keep to the floors of the house.")
    parser.add_argument("--root", default=pathlib.Path(__file__).resolve().parent.parent / "include",
                        help="the folder that contains alidade/ (default: include/ of this repository)")
    parser.add_argument("--self-test", action="store_true", help="prove that each rule finds its violation")
    arguments = parser.parse_args()
    if arguments.self_test:
        return 1 if self_test() else 0
    if not pathlib.Path(arguments.root, "alidade").is_dir():
        parser.error(f"there is no folder alidade/ in {arguments.root}")
    violations = check(arguments.root)
    if violations:
        print(f"check_layers: {len(violations)} violation{'s' if len(violations) > 1 else ''}")
        return 1
    print("check_layers: the floors are kept")
    return 0


if __name__ == "__main__":
    sys.exit(main())
