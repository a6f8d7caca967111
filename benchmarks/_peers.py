"""The packages that factorflow is measured against."""

from importlib.util import find_spec

# import name: name to install by
PEERS = {
    "torch": "torch",
    "diffrax": "diffrax",
    "scipy": "scipy",
    "cvxpy": "cvxpy",
    "scs": "scs",
    "clarabel": "clarabel",
    "cmfrec": "cmfrec",
    "surprise": "scikit-surprise",
    "sklearn": "scikit-learn",
    "skimage": "scikit-image",
    "tensorly": "tensorly",
}


def missing(*modules: str) -> dict[str, str]:
    """Reason by name for those of the peers that are not installed."""
    return {
        PEERS[module]: "not installed: pip install 'factorflow[peers]'"
        for module in modules
        if find_spec(module) is None
    }
