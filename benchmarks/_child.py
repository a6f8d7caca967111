"""One function in an interpreter of its own: `python -m benchmarks._child MODULE FUNCTION JSON`."""

import json
import re
import resource
import sys
from importlib import import_module
from pathlib import Path


def main() -> None:
    module, function, arguments = sys.argv[1:]
    answer = getattr(import_module(module), function)(*json.loads(arguments))
    print(json.dumps({"answer": answer, "peak_mb": _peak_mb()}))


def _peak_mb() -> float:
    """Peak memory since this program began: on Linux ``ru_maxrss`` has that of the parent too."""
    status = Path("/proc/self/status")
    if status.exists() and (found := re.search(r"VmHWM:\s*(\d+) kB", status.read_text())):
        return int(found[1]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB, on macOS bytes
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    main()
