"""The user's command that runs when an alias changes hands, such as GPD_REGISTRY_HOOK="python notify.py --to team".

It stands in the environment, beside GPD_REGISTRY_URL, and not in params.yaml: whoever checks out a commit of somebody
else's must not run a command of theirs. It is split into words and run without a shell; the change is a JSON document
on its standard input. The change has been written by then and stays whatever the command does.
"""

import json
import os
import shlex
import subprocess
import sys
from typing import Any

VARIABLE = "GPD_REGISTRY_HOOK"
CHANGES = "changes"  # in a session's `info`: the documents of what its transaction has changed
MOST_SECONDS = 60


def run_hook(document: dict[str, Any]) -> None:
    """Runs the command, if there is one, and says on standard error why it failed, if it did."""
    if not (text := os.environ.get(VARIABLE, "").strip()):
        return
    if problem := _run(text, json.dumps(document, ensure_ascii=False, default=str)):
        print(f"gpd: {VARIABLE}: {problem}; the alias has changed all the same", file=sys.stderr)


def _run(text: str, document: str) -> str | None:
    try:
        words = shlex.split(text)
        done = subprocess.run(
            words,
            input=document,
            text=True,
            encoding="utf-8",
            errors="replace",
            capture_output=True,
            timeout=MOST_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"stopped after {MOST_SECONDS} s"
    except (OSError, ValueError) as error:
        return " ".join(str(error).split())
    if not done.returncode:
        return None
    lines = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
    return f"exit status {done.returncode} ({lines[-1]:.200})"
