"""How many evaluations our methods need, beside SciPy's of the same name, on the whole Moré–Garbow–Hillstrom set.

    python benchmarks/evaluations.py [--method bfgs] [--surfaces] [--record benchmarks/records/NAME.json]

For each method and problem: evaluations of the function (of the gradient, where those are more), Hessian products, and
the ratio to SciPy's, with the same stopping rule. A ratio stands where both arrive and are equally low; else the row
says what either has found. The numbers do not depend on the machine, but for the last bits of sums.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from descent.by_scipy import MGH, SCIPYS, SURFACES, Case, Comparison, both


def table(method: str, cases: list[Case], *, differences: bool) -> dict[str, object]:
    """Print the rows of one method, and give what is recorded of it."""
    name = method + (" (2-point)" if differences else "")
    print(f"\n{name}, beside SciPy's {SCIPYS[method]}")
    rows: list[dict[str, object]] = []
    ratios: list[float] = []
    sums = [0, 0]
    for case in cases:
        try:
            found = both(case, method, differences=differences)
        except Exception as failure:  # noqa: BLE001  # SciPy's dogleg, where the Hessian is not positive definite
            print(f"  {case.name:42} {type(failure).__name__}: {failure}")
            continue
        ours, theirs = found.spent
        if found.is_solved_by_both:
            ratios.append(ours / theirs)
            sums = [sums[0] + ours, sums[1] + theirs]
        print(row(case, found))
        rows.append(
            {
                "problem": case.name,
                "ours": [ours, found.ours.nhvp],
                "scipy": [theirs, int(found.theirs.get("nhev", 0))],
                "both": found.is_solved_by_both,
            }
        )
    within = sum(ratio <= 1.5 for ratio in ratios)
    summary = {
        "solved by both": len(ratios),
        "of": len(cases),
        "median": round(statistics.median(ratios), 3),
        "total": round(sums[0] / sums[1], 3),
        "most": round(max(ratios), 3),
        "within 1.5": within,
    }
    print("  " + ", ".join(f"{key} {value}" for key, value in summary.items()))
    return {"method": name, "summary": summary, "rows": rows}


def row(case: Case, found: Comparison) -> str:
    """One problem's line."""
    ours, theirs = found.spent
    products = f"{found.ours.nhvp or '':>6} {found.theirs.get('nhev', 0) or '':>6}"
    said = f"{ours / theirs:6.2f}" if found.is_solved_by_both else "     –"
    if not found.is_solved_by_both:
        arrived = ["arrives at" if success else "stops at" for success in (found.ours.success, found.theirs.success)]
        said += f"  ours {arrived[0]} {found.ours.fun:.6g}, SciPy's {arrived[1]} {found.theirs.fun:.6g}"
    return f"  {case.name:42} {ours:6} {theirs:6}  {products}  {said}"


def main() -> None:
    """Print the tables, and record them if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", choices=SCIPYS, action="append", help="one of them; all, if none is given")
    parser.add_argument("--surfaces", action="store_true", help="on the surfaces, instead of the set")
    parser.add_argument("--record", type=Path, help="write the numbers to this file")
    arguments = parser.parse_args()
    cases = SURFACES if arguments.surfaces else MGH
    print(f"{'':44} evaluations      products   ratio\n{'':44}   ours  SciPy    ours  SciPy")
    tables = [table(method, cases, differences=False) for method in arguments.method or SCIPYS]
    if not arguments.method or "newton_cg" in arguments.method:
        tables.append(table("newton_cg", cases, differences=True))
    if arguments.record:
        arguments.record.write_text(json.dumps(tables, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
