"""Where matrices come from: synthetic ground truths, MovieLens ratings, photographs."""

from factorflow.datasets._low_rank import low_rank
from factorflow.datasets._movielens import movielens
from factorflow.datasets._photograph import photograph

__all__ = ["low_rank", "movielens", "photograph"]
