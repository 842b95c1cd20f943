"""The making of mutants: a decorator that opens a faulty class through the harness of the sound one."""

from __future__ import annotations


def mutants_in(namespace, base):
    """A decorator: `@mutant("TOOL-01")` makes `<Name>Harness` in `namespace` and notes who must see it."""
    found = namespace["MUTANTS"] = {}

    def mutant(asked, **fields):
        def register(made_of):
            name = f"{made_of.__name__}Harness"
            namespace[name] = type(name, (base,), {"made_of": made_of, **fields})
            found[name] = asked
            return made_of

        return register

    return mutant
