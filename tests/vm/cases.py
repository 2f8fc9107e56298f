"""What cases are made of: the list of them, and how they check."""

from lab import Failed

ALL = []


class Case:
    def __init__(self, title, short, run):
        self.title, self.short, self.run = title, short, run
        self.name = run.__name__


def case(title, short=False):
    """Registers a case; `short`: one of those that plain scripts/test runs."""
    def register(run):
        ALL.append(Case(title, short, run))
        return run
    return register


def check(condition, what):
    if not condition:
        raise Failed(f"not so: {what}")


def equal(seen, expected):
    if seen != expected:
        raise Failed(f"seen: {seen!r}\nexpected: {expected!r}")
