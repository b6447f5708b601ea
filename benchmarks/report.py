"""The comparison as a table for the terminal, as Markdown, and the machine's facts."""

import os
import platform
import statistics
import sys

OURS = "cuttlefish"
COLOURS = {"good": "32", "near": "33", "bad": "31", "head": "1", "dim": "2"}
# Cases whose step is so short that its time says more than samples per second.
MICROSECONDS = ("b", "f1")


def paint(text, colour):
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\033[{COLOURS[colour]}m{text}\033[0m"


def figure(row, rate):
    """A rate in steps a second, as people read it for this case."""
    if row["case"] in MICROSECONDS:
        return f"{1e6 / rate:.1f} us"
    samples = rate * row["batch"]
    return f"{samples / 1000:.2f} k/s" if samples < 1e5 else f"{samples / 1000:.0f} k/s"


def median_rate(row, name):
    return statistics.median(row["participants"][name]["rates"])


def peers_of(row):
    return [name for name in row["participants"] if name != OURS]


def ratios(row):
    """Ours to the fastest peer of the same round, round by round."""
    if OURS not in row["participants"] or not peers_of(row):
        return []
    rounds = zip(*(row["participants"][name]["rates"] for name in peers_of(row)))
    return [ours / max(theirs) for ours, theirs in zip(row["participants"][OURS]["rates"], rounds)]


def peak_share(row, name):
    """Share of the FMA peak measured in the same rounds; None where the case has no FLOP count."""
    if not row.get("training_flops") or not row.get("peak_gflops"):
        return None
    flops = row["training_flops"] * row["batch"] * median_rate(row, name)
    return flops / 1e9 / statistics.median(row["peak_gflops"])


def ratio_text(row):
    values = ratios(row)
    if not values:
        return "-"
    return f"{statistics.median(values):.2f}x ({min(values):.2f}..{max(values):.2f})"


def ratio_colour(row, target):
    values = ratios(row)
    if not values:
        return "dim"
    middle = statistics.median(values)
    return "good" if middle >= target else "near" if middle >= 1 else "bad"


def participant_text(row, name):
    entry = row["participants"].get(name)
    if entry is None:
        return "-"
    share = peak_share(row, name)
    mode = "" if name == OURS else f" {entry['mode']}"
    return figure(row, median_rate(row, name)) + (f" {share:.0%}" if share else "") + mode


def cells(row, names):
    return [row["case"], str(row["threads"])] + [participant_text(row, name) for name in names] + [ratio_text(row)]


def header(names):
    return ["case", "threads", *names, "ours / best peer (min..max)"]


def print_table(rows, names, targets):
    lines = [header(names)] + [cells(row, names) for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for index, line in enumerate(lines):
        padded = [text.ljust(width) for text, width in zip(line, widths)]
        if index == 0:
            padded = [paint(text, "head") for text in padded]
        else:
            row = rows[index - 1]
            padded[-1] = paint(padded[-1], ratio_colour(row, targets[row["case"]]))
            best = max(peers_of(row), key=lambda name: median_rate(row, name), default=None)
            for i, name in enumerate(names):
                if name == best:
                    padded[2 + i] = paint(padded[2 + i], "head")
        print("  ".join(padded).rstrip())
    print()
    for row in rows:
        if row["others"] > 0.05:
            print(paint(f"case {row['case']}, {row['threads']} thread(s): other processes took {row['others']:.0%} of "
                        "the machine; repeat when it is quiet", "bad"))


def markdown(rows, names, machine):
    titles = {row["case"]: row["title"] for row in rows}
    lines = ["| " + " | ".join(header(names)) + " |", "|" + " --- |" * (len(names) + 3)]
    lines += ["| " + " | ".join(cells(row, names)) + " |" for row in rows]
    lines += ["", "Cases: " + "; ".join(f"{case} = {title}" for case, title in titles.items()) + ".",
              "Percentages: share of the measured FMA peak. " + machine_text(machine)]
    return "\n".join(lines)


def machine_facts(peaks):
    model = platform.processor() or platform.machine()
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {"cpu": model, "cores": len(os.sched_getaffinity(0)), "system": platform.platform(),
            "load": os.getloadavg()[0], "peak_gflops": peaks, "versions": {}}


def machine_text(machine):
    peaks = ", ".join(f"{count} thread{'s' if int(count) > 1 else ''} {gflops:.0f}"
                      for count, gflops in machine["peak_gflops"].items())
    versions = ", ".join(sorted(machine["versions"].values()))
    return f"{machine['cpu']}, {machine['cores']} cores; FMA peak in GFLOP/s: {peaks or 'not measured'}; {versions}."
