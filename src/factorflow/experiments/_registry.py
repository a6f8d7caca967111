"""All claims; a new one is entered here."""

from collections.abc import Iterable
from difflib import get_close_matches

from factorflow._errors import InputError
from factorflow.experiments import (
    _arora2018_end_to_end,
    _arora2018_ethanol,
    _arora2018_no_regularizer,
    _arora2018_toy,
    _arora2019_depth_order,
    _arora2019_dynamics,
    _arora2019_factor,
    _arora2019_grids,
    _arora2019_recipe,
    _arora2019_regime_map,
    _arora2019_schatten,
    _arora2019_single_observation,
    _arora2019_slides,
    _arora2019_table1,
    _arora2019_velocities,
    _arora2019b_balanced_start,
    _arora2019b_certificate,
    _circuits_digits,
    _depth_dial,
    _fewest_entries,
    _greedy_components,
    _greedy_phase_retrieval,
    _greedy_robust_pca,
    _gunasekar2017_commuting,
    _infinitesimal,
    _li2021_completion,
    _li2021_eigenpairs,
    _li2021_example,
    _li2021_trajectory,
    _optimizers,
    _razin2020_blow_up,
    _razin2020_circuits,
    _razin2020_descent,
    _razin2020_larger,
    _razin2020_perturbed,
    _razin2020_tensor_recipe,
    _razin2020_tensors,
    _razin2021_component_norms,
    _razin2021_dominant_component,
    _razin2021_scale,
    _razin2022_hierarchical,
)
from factorflow.experiments._claim import Claim

CLAIMS: tuple[Claim, ...] = (
    _arora2019_factor.CLAIM,
    _arora2019_table1.CLAIM,
    _arora2019_slides.CLAIM,
    _arora2019_depth_order.CLAIM,
    _arora2019_dynamics.SYNTHETIC,
    _arora2019_dynamics.MOVIELENS,
    _gunasekar2017_commuting.CLAIM,
    _arora2019_schatten.CLAIM,
    _arora2019_recipe.CLAIM,
    _arora2019_grids.COMPLETION,
    _arora2019_grids.SENSING,
    _arora2019_regime_map.CLAIM,
    _arora2019_velocities.CLAIM,
    _arora2018_end_to_end.CLAIM,
    _arora2019_single_observation.CLAIM,
    _arora2018_no_regularizer.CLAIM,
    _arora2019b_certificate.CLAIM,
    _arora2019b_balanced_start.CLAIM,
    _arora2018_toy.CLAIM,
    _arora2018_ethanol.CLAIM,
    _optimizers.CLAIM,
    _depth_dial.CLAIM,
    _infinitesimal.CLAIM,
    _fewest_entries.CLAIM,
    _razin2020_blow_up.CLAIM,
    _razin2020_descent.CLAIM,
    _razin2020_perturbed.CLAIM,
    _razin2020_larger.CLAIM,
    _razin2020_tensors.ORDER_3,
    _razin2020_tensors.ORDER_4,
    _razin2020_tensor_recipe.CLAIM,
    _greedy_components.CLAIM,
    _razin2021_scale.CLAIM,
    _razin2021_component_norms.CLAIM,
    _razin2021_dominant_component.CLAIM,
    _razin2022_hierarchical.CLAIM,
    _li2021_example.CLAIM,
    _li2021_eigenpairs.CLAIM,
    _li2021_completion.CLAIM,
    _li2021_trajectory.CLAIM,
    _greedy_phase_retrieval.CLAIM,
    _greedy_robust_pca.CLAIM,
    _razin2020_circuits.CLAIM,
    _circuits_digits.CLAIM,
)


def claims() -> tuple[Claim, ...]:
    """All claims."""
    return CLAIMS


def named(ids: Iterable[str]) -> list[Claim]:
    """The claims of these ids, in their order.

    Raises
    ------
    InputError
        If there is no claim of such an id.
    """
    known = {claim.id: claim for claim in claims()}
    found = []
    for wanted in ids:
        if wanted not in known:
            raise InputError(f"There is no claim {wanted!r}; {_near(wanted, list(known))}")
        found.append(known[wanted])
    return found


def _near(wanted: str, known: list[str]) -> str:
    near = get_close_matches(wanted, known, cutoff=0.5)
    near += [name for name in known if wanted in name and name not in near]
    listed = "factorflow claims lists all."
    return f"did you mean {' or '.join(near)}? {listed}" if near else listed
