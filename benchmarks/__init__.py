"""What factorflow costs and gives beside what people would use instead.

python -m benchmarks            every case, in its quick size
python -m benchmarks roof       one case
python -m benchmarks --full     the large size
python -m benchmarks --report   docs/performance.md from the stored results
"""

import os

# Compilation is measured where it is said to be; what another process compiled must not hide it.
os.environ.setdefault("FACTORFLOW_CACHE", "off")
