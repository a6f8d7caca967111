"""Convolutional arithmetic circuits: the networks that factorizations of tensors are."""

from factorflow.circuits._deep import DeepCircuit
from factorflow.circuits._layers import LocallyConnected, product_pool
from factorflow.circuits._representations import one_hot, representation
from factorflow.circuits._shallow import ShallowCircuit

__all__ = [
    "DeepCircuit",
    "LocallyConnected",
    "ShallowCircuit",
    "one_hot",
    "product_pool",
    "representation",
]
