"""What factorflow costs and gives beside what people would use instead.

python -m benchmarks            every case, in its quick size
python -m benchmarks roof       one case
python -m benchmarks --full     the large size
python -m benchmarks --report   docs/performance.md from the stored results
"""

import os


def forget_compiled() -> None:
    """Let the processes begun from here on find nothing that an earlier one compiled.

    Compilation is measured where it is said to be. JAX's own variables would beat ours.
    """
    os.environ["FACTORFLOW_CACHE"] = "off"
    for name in list(os.environ):
        if name.startswith("JAX_") and "CACHE" in name:
            del os.environ[name]
