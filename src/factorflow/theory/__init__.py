"""Closed forms, bounds and certificates: one file for each piece of theory."""

from factorflow.theory._certificate import Certificate, kkt_certificate, least_trace
from factorflow.theory._circulation import (
    acceleration_curl,
    acceleration_field,
    circulation,
    curl,
    linear_loss_circulation,
)
from factorflow.theory._commuting import commuting_eigenvalues, exposure_of
from factorflow.theory._commuting_limit import CommutingLimit, commuting_flow
from factorflow.theory._component_norms import (
    balanced_component_norm,
    component_blow_up_time,
    component_effective_rank,
    component_growth_rates,
    component_norm_bounds,
    component_norm_velocity,
    component_norms,
    component_unbalancedness,
)
from factorflow.theory._conserved import conserved_quantities, unbalancedness
from factorflow.theory._convergence import (
    Assumption,
    ConvergenceCertificate,
    StuckStart,
    deficiency_margin,
    descent_certificate,
    flow_certificate,
    flow_certificate_of,
    stuck_start,
)
from factorflow.theory._determinant import (
    QuasiNorm,
    blow_up_sign,
    distance_bound,
    effective_rank_bound,
    larger_entry_bound,
    norm_bound,
    unobserved_entry_bound,
)
from factorflow.theory._gauge import gauge_deviation, rotated
from factorflow.theory._greedy_path import (
    DistanceToPoints,
    SaddleVisit,
    aligned_distance,
    distance_to_points,
    present_rank,
    saddle_visits,
)
from factorflow.theory._learning_of_eigenpairs import escape_time, mode_size, mode_time
from factorflow.theory._local_components import (
    local_component_growth_rates,
    local_component_norms,
    local_component_unbalancedness,
    local_component_velocities,
)
from factorflow.theory._matricization import (
    matricization_ranks,
    matricization_singular_values,
    matricization_spectra,
)
from factorflow.theory._monitors import (
    deficiency_margin_monitor,
    determinant_sign_monitor,
    distance_monitor,
    effective_rank_monitor,
    norm_monitor,
    unbalancedness_monitor,
    unobserved_entry_monitor,
)
from factorflow.theory._nuclear_norm_counterexample import (
    NuclearNormCounterexample,
    nuclear_norm_counterexample,
)
from factorflow.theory._parsimony import common_count, common_singular_value
from factorflow.theory._preconditioner import Preconditioner, end_to_end_velocity, preconditioner
from factorflow.theory._schatten import (
    SchattenCounterexample,
    schatten_counterexample,
    schatten_power,
)
from factorflow.theory._single_observation import (
    SingleObservationRelation,
    single_observation_relation,
)
from factorflow.theory._single_output import MomentumForm, momentum_form, single_output_velocity
from factorflow.theory._tensor_rank import TensorRank, estimate_tensor_rank
from factorflow.theory._two_samples import two_sample_steps
from factorflow.theory._velocities import (
    Alignment,
    SingularVectors,
    alignment,
    singular_value_velocities,
    singular_vector_velocities,
)

__all__ = [
    "Alignment",
    "Assumption",
    "Certificate",
    "CommutingLimit",
    "ConvergenceCertificate",
    "DistanceToPoints",
    "MomentumForm",
    "NuclearNormCounterexample",
    "Preconditioner",
    "QuasiNorm",
    "SaddleVisit",
    "SchattenCounterexample",
    "SingleObservationRelation",
    "SingularVectors",
    "StuckStart",
    "TensorRank",
    "acceleration_curl",
    "acceleration_field",
    "aligned_distance",
    "alignment",
    "balanced_component_norm",
    "blow_up_sign",
    "circulation",
    "common_count",
    "common_singular_value",
    "commuting_eigenvalues",
    "commuting_flow",
    "component_blow_up_time",
    "component_effective_rank",
    "component_growth_rates",
    "component_norm_bounds",
    "component_norm_velocity",
    "component_norms",
    "component_unbalancedness",
    "conserved_quantities",
    "curl",
    "deficiency_margin",
    "deficiency_margin_monitor",
    "descent_certificate",
    "determinant_sign_monitor",
    "distance_bound",
    "distance_monitor",
    "distance_to_points",
    "effective_rank_bound",
    "effective_rank_monitor",
    "end_to_end_velocity",
    "escape_time",
    "estimate_tensor_rank",
    "exposure_of",
    "flow_certificate",
    "flow_certificate_of",
    "gauge_deviation",
    "kkt_certificate",
    "larger_entry_bound",
    "least_trace",
    "linear_loss_circulation",
    "local_component_growth_rates",
    "local_component_norms",
    "local_component_unbalancedness",
    "local_component_velocities",
    "matricization_ranks",
    "matricization_singular_values",
    "matricization_spectra",
    "mode_size",
    "mode_time",
    "momentum_form",
    "norm_bound",
    "norm_monitor",
    "nuclear_norm_counterexample",
    "preconditioner",
    "present_rank",
    "rotated",
    "saddle_visits",
    "schatten_counterexample",
    "schatten_power",
    "single_observation_relation",
    "single_output_velocity",
    "singular_value_velocities",
    "singular_vector_velocities",
    "stuck_start",
    "two_sample_steps",
    "unbalancedness",
    "unbalancedness_monitor",
    "unobserved_entry_bound",
    "unobserved_entry_monitor",
]
