#!/usr/bin/env python3
"""The results of scripts/bench as a Markdown table; with --into FILE between its two marks."""
import glob, json, os, re, sys

BEGIN, END = "<!-- scripts/bench: begin -->", "<!-- scripts/bench: end -->"


def flat(d, pre=""):
    for k, v in d.items():
        if isinstance(v, dict) and "median" not in v and "n" not in v:
            yield from flat(v, f"{pre}{k}: ")
        else:
            yield f"{pre}{k}", v


def show(v):
    if isinstance(v, dict) and "median" in v:
        return f"{v['min']} / **{v['median']}** / {v['max']}" if "min" in v else f"{v['median']} (p99 {v['p99']}, max {v['max']})"
    if isinstance(v, dict):
        return "-"
    return str(v)


def load(out, daemon):
    merged, meta = {}, {}
    for path in sorted(glob.glob(os.path.join(out, f"{daemon}.*.json"))):
        data = json.load(open(path))
        merged.update(data["results"])
        meta = data
    return merged, meta


def table(out):
    (keepalived, k), (tandemd, t) = load(out, "keepalived"), load(out, "tandemd")
    yield f"Linux {t.get('kernel', '?')}, {os.cpu_count()} CPUs; times are min / **median** / max of {t.get('runs', '?')} runs.\n"
    yield f"| test | figure | keepalived {k.get('version', '')} | tandemd {t.get('version', '')} |\n|---|---|---|---|"
    order = ["death", "crash", "planned", "linkdown", "return", "idle", "vips", "prefix", "instances"]
    number = lambda name: [int(n) for n in re.findall(r"\d+", name)]
    names = sorted({*keepalived, *tandemd}, key=lambda n: (order.index(n.split()[0]), n.endswith("ms"), number(n) and -number(n)[-1] * n.endswith("ms"), number(n)))
    for name in names:
        rows = [dict(flat(r.get(name, {}))) for r in (keepalived, tandemd)]
        for figure in dict.fromkeys(f for row in rows for f in row):
            if figure not in ("runs", "theory ms"):
                yield f"| {name} | {figure} | " + " | ".join(show(row[figure]) if figure in row else "-" for row in rows) + " |"


def main():
    text = "\n".join(table(sys.argv[1]))
    if len(sys.argv) < 4:
        return print(text)
    page = open(sys.argv[3]).read()
    if BEGIN not in page or END not in page:
        sys.exit(f"table.py: {sys.argv[3]} lacks its marks {BEGIN} and {END}")
    head, rest = page.split(BEGIN, 1)
    tail = rest.split(END, 1)[1]
    open(sys.argv[3], "w").write(f"{head}{BEGIN}\n{text}\n{END}{tail}")


if __name__ == "__main__":
    main()
