"""One function in an interpreter of its own: `python -m benchmarks._child MODULE FUNCTION JSON`."""

import json
import resource
import sys
from importlib import import_module


def main() -> None:
    module, function, arguments = sys.argv[1:]
    answer = getattr(import_module(module), function)(*json.loads(arguments))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB, on macOS bytes
    peak_mb = peak / (2**20 if sys.platform == "darwin" else 2**10)
    print(json.dumps({"answer": answer, "peak_mb": peak_mb}))


if __name__ == "__main__":
    main()
