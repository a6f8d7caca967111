"""Images as matrices: the colours side by side."""

import numpy as np

from factorflow._errors import InputError


def to_matrix(image: np.ndarray) -> np.ndarray:
    """Horizontal unfolding of an image: (h, w) as it is, (h, w, 3) as (h, 3 w) ``[R | G | B]``.

    The colours stand side by side because they share their row space: a row of the matrix is a
    row of pixels in all colours, so the unfolding of a photograph has a faster spectral decay
    than the three colours apart.

    Raises
    ------
    InputError
        If the image has neither two axes nor three with three colours.
    """
    image = np.asarray(image)
    if image.ndim == 2:
        return image
    if image.ndim != 3 or image.shape[2] != 3:
        raise InputError(f"An image has shape (h, w) or (h, w, 3); got {image.shape}.")
    height, width, channels = image.shape
    return image.transpose(0, 2, 1).reshape(height, channels * width)


def from_matrix(matrix: np.ndarray, channels: int) -> np.ndarray:
    """The image of an unfolding: (h, w) for one channel, (h, w, 3) for three.

    Raises
    ------
    InputError
        If ``channels`` is not 1 or 3, or the matrix's columns do not divide by it.
    """
    matrix = np.asarray(matrix)
    if matrix.ndim != 2 or channels not in (1, 3) or matrix.shape[1] % channels:
        raise InputError(
            f"A matrix of shape {matrix.shape} is not the unfolding of an image "
            f"of {channels} channels."
        )
    if channels == 1:
        return matrix
    height, columns = matrix.shape
    return matrix.reshape(height, channels, columns // channels).transpose(0, 2, 1)


def to_image(values: np.ndarray, channels: int) -> np.ndarray:
    """The image of an unfolding, or one that was not unfolded as it is."""
    return values if values.ndim == 3 else from_matrix(values, channels)
