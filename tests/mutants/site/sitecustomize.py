"""For Python processes that a test starts: they import the mutant that the environment names."""

import os
from importlib.machinery import SourceFileLoader

from tests.mutants.operators import mutated

PATH, NUMBER = os.environ["GPD_MUTANT"].split(":")
_get_code = SourceFileLoader.get_code


def get_code(self, fullname):  # type: ignore[no-untyped-def]
    if not self.path.endswith("/" + PATH):
        return _get_code(self, fullname)
    return compile(mutated(self.path, int(NUMBER)), self.path, "exec", dont_inherit=True)


SourceFileLoader.get_code = get_code
