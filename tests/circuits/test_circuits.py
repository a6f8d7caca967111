"""Circuits computed layer by layer beside the tensors that they stand for."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factorflow import InputError
from factorflow._x64 import double_precision
from factorflow.circuits import DeepCircuit, LocallyConnected, ShallowCircuit, one_hot, product_pool
from factorflow.factorizations import CP, HierarchicalTucker

SIZES = (3, 2, 4, 2, 3)
FACTORIZATIONS = [
    CP(4),
    HierarchicalTucker((2, 3, 4)),
    HierarchicalTucker(None, arity=3),
]


def factors_of(factorization, sizes=SIZES, seed=0):
    rng = np.random.default_rng(seed)
    shapes = factorization.shapes(sizes)
    return tuple(rng.standard_normal(shape) / np.sqrt(shape[1]) for shape in shapes)


def circuit_of(factorization, factors):
    if isinstance(factorization, CP):
        return ShallowCircuit.from_factors(factors)
    return DeepCircuit.from_factors(factors, factorization.arity)


def tensor_by_hand(factorization, factors):
    """By sums of outer products over every node, with nothing of the library's formulas."""
    order = len(factorization.sizes(factors))
    if isinstance(factorization, CP):
        columns = zip(*(factor.T for factor in factors), strict=True)
        return sum(outer(each) for each in columns)
    nodes = [list(factor.T) for factor in factors[:order]]
    for node, children in factorization.nodes(order):
        parts = [outer([nodes[c][r] for c in children]) for r in range(len(factors[node]))]
        nodes.append(
            [sum(w * p for w, p in zip(row, parts, strict=True)) for row in factors[node].T]
        )
    return nodes[-1][0]


def outer(arrays):
    result = np.ones(())
    for each in arrays:
        result = np.multiply.outer(result, each)
    return result


@pytest.mark.parametrize("factorization", FACTORIZATIONS, ids=str)
def test_one_hot_inputs_give_the_entries(factorization):
    factors = factors_of(factorization)
    circuit, tensor = circuit_of(factorization, factors), tensor_by_hand(factorization, factors)
    every = np.array(list(np.ndindex(*SIZES)))
    outputs = np.asarray(circuit(one_hot(every, SIZES))).reshape(SIZES)
    np.testing.assert_allclose(outputs, tensor, rtol=0, atol=1e-12 * np.abs(tensor).max())
    np.testing.assert_allclose(circuit.tensor(), tensor, rtol=0, atol=1e-12 * np.abs(tensor).max())


@pytest.mark.parametrize("factorization", FACTORIZATIONS, ids=str)
def test_general_inputs_give_the_contraction(factorization):
    factors = factors_of(factorization)
    tensor = tensor_by_hand(factorization, factors)
    rng = np.random.default_rng(1)
    inputs = [rng.standard_normal((7, size)) for size in SIZES]
    outputs = np.asarray(circuit_of(factorization, factors)(inputs))
    wanted = np.einsum("abcde,pa,pb,pc,pd,pe->p", tensor, *inputs)
    np.testing.assert_allclose(outputs, wanted, rtol=1e-12, atol=1e-12 * np.abs(wanted).max())
    by_factors = factorization.evaluate(factors, inputs)
    np.testing.assert_allclose(outputs, by_factors, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("factorization", FACTORIZATIONS, ids=str)
def test_conversion_back_gives_the_factors(factorization):
    factors = factors_of(factorization)
    circuit = circuit_of(factorization, factors)
    other, back = circuit.to_factors()
    assert other.shapes(SIZES) == factorization.shapes(SIZES)
    assert type(other) is type(factorization)
    for one, given_one in zip(back, factors, strict=True):
        np.testing.assert_array_equal(one, given_one)
    again = circuit_of(other, back)
    np.testing.assert_array_equal(again.tensor(), circuit.tensor())
    assert circuit.sizes == SIZES


@settings(max_examples=8)
@given(
    sizes=st.lists(st.integers(1, 3), min_size=2, max_size=9),
    arity=st.integers(2, 4),
    width=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_any_order_arity_and_sizes(sizes, arity, width, seed):
    """Also windows that are shorter, and places with one channel."""
    factorization = HierarchicalTucker(width, arity)
    factors = factors_of(factorization, tuple(sizes), seed)
    index = np.random.default_rng(seed).integers(0, sizes)
    tensor = tensor_by_hand(factorization, factors)
    output = DeepCircuit.from_factors(factors, arity)(one_hot(index, sizes))
    assert float(output) == pytest.approx(tensor[tuple(index)], rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("factorization", FACTORIZATIONS[:2], ids=str)
def test_gradients_by_weights_are_those_by_factors(factorization):
    factors = factors_of(factorization)
    rng = np.random.default_rng(2)
    inputs = [rng.standard_normal((5, size)) for size in SIZES]

    def loss(outputs):
        return jnp.mean((outputs - 1) ** 2)

    with double_precision():
        circuit = circuit_of(factorization, factors)
        by_weights = eqx.filter_grad(lambda c: loss(c(inputs)))(circuit).to_factors()[1]
        by_factors = jax.grad(lambda f: loss(factorization.evaluate(f, inputs)))(factors)
    for one, other in zip(by_weights, by_factors, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12 * np.abs(other).max())


@pytest.mark.parametrize("factorization", FACTORIZATIONS[:2], ids=str)
def test_a_circuit_is_built_under_grad_and_jit(factorization):
    factors = factors_of(factorization)
    inputs = [np.random.default_rng(5).standard_normal((5, size)) for size in SIZES]
    with double_precision():
        of_circuit, of_factors = (
            jax.jit(jax.grad(lambda f, own=own: jnp.sum(own(f) ** 2)))(factors)
            for own in (
                lambda f: circuit_of(factorization, f)(inputs),
                lambda f: factorization.evaluate(f, inputs),
            )
        )
    for one, other in zip(of_circuit, of_factors, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12 * np.abs(other).max())


def test_examples_are_the_leading_axes():
    """None, one or two; as a sequence or, where lengths agree, as one array; and by vmap."""
    circuit = DeepCircuit.from_factors(factors_of(HierarchicalTucker(2), (3, 3, 3)))
    inputs = np.random.default_rng(3).standard_normal((4, 5, 3, 3))
    outputs = np.asarray(circuit(inputs))
    assert outputs.shape == (4, 5)
    sequence = [inputs[..., n, :] for n in range(3)]
    np.testing.assert_array_equal(circuit(sequence), outputs)
    np.testing.assert_allclose(circuit(inputs[2, 4]), outputs[2, 4], rtol=1e-13)
    np.testing.assert_allclose(circuit(list(inputs[2, 4])), outputs[2, 4], rtol=1e-13)
    with double_precision():
        mapped = jax.vmap(jax.vmap(circuit))(inputs)
    np.testing.assert_allclose(mapped, outputs, rtol=1e-12)


def test_it_is_linear_in_the_vector_of_each_place():
    factors = factors_of(CP(3), (4, 3, 2))
    circuit = ShallowCircuit.from_factors(factors)
    rng = np.random.default_rng(4)
    x, y = ([rng.standard_normal(size) for size in (4, 3, 2)] for _ in range(2))
    for place in range(3):
        mixed = [*x]
        mixed[place] = 2 * x[place] - 3 * y[place]
        other = [*x]
        other[place] = y[place]
        wanted = 2 * float(circuit(x)) - 3 * float(circuit(other))
        assert float(circuit(mixed)) == pytest.approx(wanted, rel=1e-12)


def test_all_places_in_one_window_is_the_shallow_circuit_with_output_weights():
    factors = factors_of(CP(3))
    weights = np.array([[2.0, -1.0, 0.5]])
    layers = [[factor.T for factor in factors], [weights]]
    deep = DeepCircuit(layers, arity=len(SIZES))
    weighted = (factors[0] * weights, *factors[1:])
    np.testing.assert_allclose(
        deep.tensor(), ShallowCircuit.from_factors(weighted).tensor(), atol=1e-14
    )


def test_product_pool_joins_neighbours():
    values = [np.full(2, float(p)) for p in (2, 3, 5, 7, 11)]
    pooled = [float(each[0]) for each in product_pool(values, 2)]
    assert pooled == [6, 35, 11]
    assert [float(each[0]) for each in product_pool(values, 9)] == [2310]


CIRCUIT = ShallowCircuit([np.ones((2, 3)), np.ones((2, 4))])
ONES = np.ones


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([ONES(3)], "2 places and the inputs 1"),
        (ONES((5, 3, 3)), "2 places and the inputs 3"),
        ([ONES(3), ONES(3)], r"place 1 must have length 4; got an array of shape \(3,\)"),
        ([ONES((5, 3)), ONES((6, 4))], "the same examples"),
        ([ONES((5, 3)), ONES(4)], "the same examples"),
        (ONES(3), r"array \(..., N, M\)"),
    ],
)
def test_inputs_that_do_not_fit(inputs, message):
    with pytest.raises(InputError, match=message):
        CIRCUIT(inputs)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ShallowCircuit([ONES((2, 3))]), "two places or more"),
        (lambda: ShallowCircuit([ONES((2, 3)), ONES((3, 3))]), "same number of channels .* 2, 3"),
        (lambda: ShallowCircuit([ONES((2, 3)), ONES(3)]), r"place 1 must be a matrix .*\(3,\)"),
        (lambda: LocallyConnected([]), "one place or more"),
        (lambda: DeepCircuit([[ONES((2, 3))] * 3, [ONES((1, 2))]]), "3, 2, 1 places; got 3, 1"),
        (
            lambda: DeepCircuit([[ONES((2, 3)), ONES((4, 3))], [ONES((1, 2))]]),
            "Place 0 of layer 2 takes 2 channels; the places that it joins give 2, 4",
        ),
        (lambda: DeepCircuit([[ONES((2, 3))] * 2, [ONES((3, 2))]]), "one channel, the output"),
        (lambda: DeepCircuit([[ONES((2, 3))] * 2, [ONES((1, 2))]], arity=1), "arity must be"),
        (lambda: DeepCircuit.from_factors([ONES((2, 2))] * 4), "No tree of arity 2 has 4 factors"),
    ],
)
def test_what_is_no_circuit(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_widths_that_no_factorization_names():
    """It computes all the same; only its factors have no name."""
    first = [ONES((2, 3)), ONES((2, 3)), ONES((3, 3)), ONES((3, 3))]
    circuit = DeepCircuit([first, [ONES((4, 2)), ONES((4, 3))], [ONES((1, 4))]])
    assert float(circuit(np.ones((4, 3)))) == 4 * (2 * 9) * (3 * 9)
    np.testing.assert_allclose(circuit.tensor(), np.full((3, 3, 3, 3), 4 * 2 * 3), rtol=1e-15)
    with pytest.raises(InputError, match="one width for all nodes"):
        circuit.to_factors()
